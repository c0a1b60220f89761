"""Reads the inputs of the audit: the raw bucket's versions, the ledger, the tables, the quarantine bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.ledger.detail import RunResult
from ingest.ledger.records import DriveRecord, ObjectRecord
from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL
from lake.documents import Manifest
from lake.errors import LandingError
from lake.landing import DriveId, parse_raw_key
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import DriveRow, RecordRow
from ops.audit import lake_reader
from ops.audit.accounting import Frames
from ops.audit.identity import (
    AuditInputs,
    BatchRef,
    GoldScene,
    Held,
    LedgerDrive,
    LedgerObject,
    ObjectFrames,
    RawObject,
    Record,
)
from ops.audit.late_objects import late_objects

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from types_boto3_s3 import S3Client


def read(settings: Settings, s3: S3Client, ledger: Ledger, catalog: Catalog) -> AuditInputs:
    """All inputs of the audit. Reads no payload; memory grows with the number of objects, scenes and records."""
    drives = tuple(ledger.drives())
    published = published_rows(catalog)
    store = ObjectStore(s3)
    raw = tuple(raw_objects(s3, settings.raw_bucket))
    return AuditInputs(
        raw=raw,
        ledger_objects=(*_ledger_objects(ledger, drives), *late_objects(ledger.tombstones, raw)),
        ledger_drives=tuple(ledger_drive(drive) for drive in drives),
        declared=tuple(declared(store, settings.raw_bucket, drives)),
        indexed=published.indexed,
        frames=published.frames,
        scenes=published.scenes,
        held=held(published.matches),
        records=tuple(record(row) for row in published.records),
        payloads=frozenset(f"s3://{settings.quarantine_bucket}/{key}" for key in store.list(settings.quarantine_bucket, "")),
        batches=tuple(batch_ref(row) for row in lake_reader.publications(catalog)),
    )


@dataclass(frozen=True, slots=True)
class Published:
    """Rows of the tables, of the whole lake or of one drive, without payload."""

    indexed: tuple[ObjectFrames, ...]
    frames: tuple[Frames, ...]
    scenes: tuple[GoldScene, ...]
    matches: lake_reader.SceneMatches
    records: tuple[RecordRow, ...]


def published_rows(catalog: lake_reader.Tables, drive: DriveId | None = None) -> Published:
    """Rows of the tables, of one drive or of all."""
    return Published(
        indexed=lake_reader.object_counts(catalog, drive),
        frames=lake_reader.frame_counts(catalog, drive),
        scenes=tuple(GoldScene(row.scene_id, str(row.drive), row.revision) for row in lake_reader.scene_facts(catalog, drive)),
        matches=lake_reader.matches(catalog, drive),
        records=lake_reader.records(catalog, drive),
    )


def raw_objects(s3: S3Client, bucket: str, prefix: str = "") -> Iterator[RawObject]:
    """Every version in the raw bucket under `prefix`; delete markers hold no data and do not count."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Versions", ()):
            key = entry["Key"]
            yield RawObject(key, entry.get("VersionId", "null"), _drive_of(key), bool(entry.get("IsLatest", True)))


def held(found: lake_reader.SceneMatches) -> tuple[Held, ...]:
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
            yield ledger_object(entry)
    for refused in ledger.refused():
        yield LedgerObject(refused.head.key, refused.head.version_id, "refused")


def ledger_object(entry: ObjectRecord) -> LedgerObject:
    """An object of the ledger as input of the audit."""
    return LedgerObject(entry.key, entry.version_id, entry.state.value)


def ledger_drive(drive: DriveRecord) -> LedgerDrive:
    """A drive of the ledger as input of the audit."""
    return LedgerDrive(str(drive.drive), drive.state.value, drive.revision or "", _warnings(drive))


def _warnings(drive: DriveRecord) -> frozenset[str]:
    """The warnings of a drive's last run; a failed run has none."""
    return frozenset(drive.detail.warnings if isinstance(drive.detail, RunResult) else ())


def declared(store: ObjectStore, bucket: str, drives: tuple[DriveRecord, ...]) -> Iterator[ObjectFrames]:
    """The frames that the manifests of these drives declare, for drives in a final state."""
    for drive in drives:
        if drive.state not in FINAL or drive.settling or drive.manifest_version is None:
            continue
        try:
            body = store.read(ObjectVersion(bucket, drive.drive.manifest_key, drive.manifest_version))
            manifest = Manifest.parse(body, drive.drive)
        except LandingError:
            continue  # an invalid manifest declares nothing; the drive is quarantined for it (CMP002)
        for entry in manifest.objects:
            yield ObjectFrames(str(drive.drive), entry.key, entry.frame_count)


def batch_ref(row: DriveRow) -> BatchRef:
    """A publication as input of the audit."""
    return BatchRef(str(row.drive), row.revision, row.generation, row.scenes_snapshot_id)


def record(row: RecordRow) -> Record:
    """A row of `quarantine.records` as input of the audit."""
    return Record(
        record_id=row.record_id,
        level=row.level,
        drive=str(row.drive),
        revision=row.revision,
        frames=row.frames,
        payload_uri=row.payload_uri,
        source_key=row.source.key,
    )
