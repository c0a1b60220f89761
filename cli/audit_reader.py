"""Reads what the audit looks at: the raw bucket's versions, the ledger, the tables, the quarantine bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli import lake_reader
from cli.audit_inputs import (
    AuditInputs,
    BatchRef,
    Held,
    LedgerDrive,
    LedgerObject,
    ObjectFrames,
    RawObject,
    Record,
    Scene,
)
from ingest.ledger import DriveRecord, Ledger
from ingest.states import FINAL
from lake.documents import Manifest
from lake.errors import LandingError
from lake.landing import parse_raw_key
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from types_boto3_s3 import S3Client


def read(settings: Settings, s3: S3Client, ledger: Ledger, catalog: Catalog) -> AuditInputs:
    """Everything the audit needs. Reads no payload; memory grows with the number of objects, scenes and records."""
    drives = tuple(ledger.drives())
    snapshots = lake_reader.snapshots(catalog)
    found = lake_reader.matches(catalog)
    return AuditInputs(
        raw=tuple(raw_objects(s3, settings.raw_bucket)),
        ledger_objects=tuple(_ledger_objects(ledger, drives)),
        ledger_drives=tuple(_ledger_drive(drive) for drive in drives),
        declared=tuple(_declared(ObjectStore(s3), settings.raw_bucket, drives)),
        indexed=tuple(
            ObjectFrames(f"{row['vehicle_id']}/{row['drive_id']}", row["key"], row["count_all"])
            for row in lake_reader.object_counts(catalog)
        ),
        frames=lake_reader.frame_counts(catalog),
        scenes=tuple(
            Scene(row["scene_id"], f"{row['vehicle_id']}/{row['drive_id']}", row["revision"])
            for row in lake_reader.scene_facts(catalog)
        ),
        held=held(found),
        records=tuple(_record(row) for row in lake_reader.records(catalog)),
        payloads=frozenset(
            f"s3://{settings.quarantine_bucket}/{key}" for key in ObjectStore(s3).list(settings.quarantine_bucket, "")
        ),
        batches=tuple(
            BatchRef(entry.drive or "", entry.revision or "", entry.generation or 0, entry.snapshot_id)
            for entry in lake_reader.batches(snapshots)
        ),
    )


def raw_objects(s3: S3Client, bucket: str) -> Iterator[RawObject]:
    """Every version in the raw bucket; delete markers hold no data and are no objects."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in page.get("Versions", ()):
            key = entry["Key"]
            yield RawObject(key, entry.get("VersionId", "null"), _drive_of(key), bool(entry.get("IsLatest", True)))


def held(found: lake_reader.Matches) -> tuple[Held, ...]:
    """How many distinct frames of each sensor the scenes of each drive revision hold."""
    distinct = set(zip(found.drive, found.revision, found.sensor, found.stamp_ns.tolist(), strict=True))
    counts = Counter(entry[:3] for entry in distinct)
    return tuple(Held(drive, revision, sensor, frames) for (drive, revision, sensor), frames in sorted(counts.items()))


def _drive_of(key: str) -> str | None:
    try:
        return str(parse_raw_key(key).drive)
    except LandingError:
        return None


def _ledger_objects(ledger: Ledger, drives: tuple[DriveRecord, ...]) -> Iterator[LedgerObject]:
    for drive in drives:
        for entry in ledger.objects(drive.drive):
            yield LedgerObject(entry.key, entry.version_id, entry.state.value)
    for refused in ledger.refused():
        yield LedgerObject(refused.head.key, refused.head.version_id, "refused")


def _ledger_drive(drive: DriveRecord) -> LedgerDrive:
    return LedgerDrive(str(drive.drive), drive.state.value, drive.revision or "", _rules(drive.detail))


def _rules(detail: Any) -> frozenset[str]:
    """Rule ids anywhere in what the last run left; its shape is the run's own business."""
    if isinstance(detail, dict):
        own = {detail["rule_id"]} if isinstance(detail.get("rule_id"), str) else set()
        return frozenset(own).union(*(_rules(value) for value in detail.values()))
    if isinstance(detail, list):
        named = {entry for entry in detail if isinstance(entry, str)}
        return frozenset(named).union(*(_rules(entry) for entry in detail))
    return frozenset()


def _declared(store: ObjectStore, bucket: str, drives: tuple[DriveRecord, ...]) -> Iterator[ObjectFrames]:
    for drive in drives:
        if drive.state not in FINAL or drive.settling or drive.manifest_version is None:
            continue
        try:
            body = store.read(ObjectVersion(bucket, drive.drive.manifest_key, drive.manifest_version))
            manifest = Manifest.parse(body, drive.drive)
        except LandingError:
            continue  # a manifest that cannot be believed declares nothing; the drive is quarantined for it (CMP002)
        for entry in manifest.objects:
            yield ObjectFrames(str(drive.drive), entry.key, entry.frame_count)


def _record(row: dict[str, Any]) -> Record:
    return Record(
        record_id=row["record_id"],
        level=row["level"],
        drive=f"{row['vehicle_id']}/{row['drive_id']}",
        revision=row["revision"],
        frames=row["frames"],
        payload_uri=row["payload_uri"],
        source_key=row["source"]["key"],
    )
