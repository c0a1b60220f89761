"""Decides whether a drive is complete and should be queued. Pure: from its ledger record, its objects and its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ingest.ledger.records import DriveRecord, ObjectRecord
from ingest.ledger.work_message import WorkReason
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject
from lake.overrides import Override


class Lack(StrEnum):
    """Why an object counts as missing."""

    ABSENT = "absent"
    SIZE_DIFFERS = "size_differs"


@dataclass(frozen=True, slots=True)
class MissingObject:
    """One object that the drive still waits for. `expected_bytes` is None for the calibration, whose size no manifest states."""

    key: str
    lack: Lack
    expected_bytes: int | None
    found_bytes: int | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """The drive's input and the decision about it.

    Attributes:
        input: The landed objects, as the input of a revision.
        reason: Why to queue it; None while the drive has to wait.
        missing: The objects that the drive waits for.
        manifest_fault: Why a manifest that has landed cannot be used.
    """

    input: DriveInput
    reason: WorkReason | None
    missing: tuple[MissingObject, ...]
    manifest_fault: str | None


def assess(
    record: DriveRecord,
    objects: Mapping[str, ObjectRecord],
    manifest: Manifest | None,
    manifest_fault: str | None,
    *,
    overdue: bool,
    decisions: Iterable[str] = (),
) -> Assessment:
    """Decide about a drive from its ledger record and its objects by key.

    An input of the versions of the current revision has the overrides of that revision: a rejection processes nothing. One of
    other versions has all `decisions` (overrides, as the ledger keeps them) that were taken on the same content. Either
    keeps the baseline that the drive was queued with: a new one alone makes no new revision.

    | landed | decision |
    | --- | --- |
    | a valid manifest, all objects that it names and the calibration | queue: `complete` the first time, `reprocess` later |
    | a manifest that cannot be used | queue at once, so that the drive is quarantined with the reason; later objects wait until overdue |
    | anything else | wait; once overdue, queue as `overdue` |
    """  # noqa: E501 - a table row is one line
    found = _input(record, objects, manifest, decisions)
    sizes_bytes = {key: known.head.size_bytes for key, known in objects.items()}
    missing = () if manifest is None else missing_objects(manifest, sizes_bytes)
    manifest_queued = found.manifest is not None and found.manifest.version_id == record.manifest_version
    reason: WorkReason | None = None
    if (manifest is not None and not missing) or (manifest_fault is not None and not manifest_queued):
        reason = WorkReason.COMPLETE if record.generation == 0 else WorkReason.REPROCESS
    elif overdue:
        reason = WorkReason.OVERDUE
    return Assessment(found, reason, missing, manifest_fault)


def _input(
    record: DriveRecord, objects: Mapping[str, ObjectRecord], manifest: Manifest | None, decisions: Iterable[str]
) -> DriveInput:
    drive = record.drive
    declared = {} if manifest is None else {entry.key: entry.sha256 for entry in manifest.objects}
    if manifest is not None:
        declared[drive.calibration_key] = manifest.calibration_sha256
    pinned = {key: InputObject(key, known.version_id, declared.get(key, ""), known.head.etag) for key, known in objects.items()}
    bare = DriveInput(
        drive=drive,
        manifest=pinned.pop(drive.manifest_key, None),
        calibration=pinned.pop(drive.calibration_key, None),
        objects=frozenset(pinned.values()),
        baseline=record.baseline,
    )
    current = replace(bare, overrides=_holding(record.overrides, bare))
    return current if current.revision == record.revision else replace(bare, overrides=_holding(decisions, bare))


def _holding(overrides: Iterable[str], bare: DriveInput) -> frozenset[str]:
    bases = bare.bases
    return frozenset(text for text in overrides if Override.parse(text).input in bases)


def missing_objects(manifest: Manifest, sizes_bytes: Mapping[str, int]) -> tuple[MissingObject, ...]:
    """The objects that `manifest` names and that have not landed with the named size, in the manifest's order.

    The calibration comes first. Objects that the manifest does not name are ignored. A size that differs is an older or an
    unfinished version of the object; checksums are compared by the code that reads the bytes.

    Args:
        manifest: The drive's manifest.
        sizes_bytes: Size of every landed object by key.
    """
    found = []
    if manifest.drive.calibration_key not in sizes_bytes:
        found.append(MissingObject(manifest.drive.calibration_key, Lack.ABSENT, None, None))
    for entry in manifest.objects:
        size_bytes = sizes_bytes.get(entry.key)
        if size_bytes is None:
            found.append(MissingObject(entry.key, Lack.ABSENT, entry.size_bytes, None))
        elif size_bytes != entry.size_bytes:
            found.append(MissingObject(entry.key, Lack.SIZE_DIFFERS, entry.size_bytes, size_bytes))
    return tuple(found)
