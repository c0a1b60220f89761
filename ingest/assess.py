"""Is a drive to be queued, and as what? A pure decision over what has landed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingest.completeness import Missing, missing_objects
from ingest.ledger.records import DriveRecord, ObjectRecord
from ingest.ledger.work import Reason
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject
from lake.overrides import Override


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is there and what follows. `reason` is None while the drive is to wait; then `missing` says for what.

    `manifest_fault` is why a manifest that has landed cannot be used.
    """

    input: DriveInput
    reason: Reason | None
    missing: tuple[Missing, ...]
    manifest_fault: str | None


def assess(
    record: DriveRecord,
    objects: Mapping[str, ObjectRecord],
    manifest: Manifest | None,
    manifest_fault: str | None,
    *,
    overdue: bool,
) -> Assessment:
    """Decide about a drive from its ledger record and its objects by key.

    Of the record's overrides the input holds those that were decided on the same objects.

    | there is | then |
    | --- | --- |
    | a good manifest and all that it names, with the calibration | queue: `complete` the first time, `reprocess` later |
    | a manifest that cannot be used | queue at once, so that the drive is quarantined with the reason; what lands after that waits until overdue |
    | anything else | wait; once overdue queue, `overdue` |
    """  # noqa: E501 - a table row is one line
    found = _input(record, objects, manifest)
    sizes_bytes = {key: known.head.size_bytes for key, known in objects.items()}
    missing = () if manifest is None else missing_objects(manifest, sizes_bytes)
    told = found.manifest is not None and found.manifest.version_id == record.manifest_version
    reason: Reason | None = None
    if (manifest is not None and not missing) or (manifest_fault is not None and not told):
        reason = Reason.COMPLETE if record.generation == 0 else Reason.REPROCESS
    elif overdue:
        reason = Reason.OVERDUE
    return Assessment(found, reason, missing, manifest_fault)


def _input(record: DriveRecord, objects: Mapping[str, ObjectRecord], manifest: Manifest | None) -> DriveInput:
    drive = record.drive
    declared = {} if manifest is None else {entry.key: entry.sha256 for entry in manifest.objects}
    if manifest is not None:
        declared[drive.calibration_key] = manifest.calibration_sha256
    pinned = {key: InputObject(key, known.version_id, declared.get(key, "")) for key, known in objects.items()}
    bare = DriveInput(
        drive=drive,
        manifest=pinned.pop(drive.manifest_key, None),
        calibration=pinned.pop(drive.calibration_key, None),
        objects=frozenset(pinned.values()),
    )
    return replace(bare, overrides=frozenset(text for text in record.overrides if Override.parse(text).input == bare.revision))
