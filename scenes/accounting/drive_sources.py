"""One drive in the raw bucket, the ledger and the quarantine bucket, as inputs of the accounting."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ingest.ledger.detail import RunResult
from ingest.ledger.records import DriveRecord, ObjectRecord, RefusedRecord
from ingest.ledger.states import FINAL
from lake.documents import Manifest
from lake.errors import AbsentError, LakeError, LandingError
from lake.landing import DriveId, parse_raw_key
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.pinned import PointedCatalog
from scenes.accounting.inputs import LedgerDrive, LedgerObject, ObjectFrames, RawObject
from sensors.time_units import NS_PER_S

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectVersionTypeDef

    from lake.settings import DeploymentNames


class AuditLedger(Protocol):
    """What an audit reads of the ledger (`ingest.ledger.repository.Ledger`)."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...
    def drives(self) -> Iterator[DriveRecord]: ...
    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]: ...
    def refused(self) -> Iterator[RefusedRecord]: ...
    def refused_versions(self, key: str) -> list[RefusedRecord]: ...
    def is_late(self, drive: DriveId, key: str, version_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class AuditSources:
    """The four sources that an audit compares; `catalog` names the tables."""

    names: DeploymentNames
    s3: S3Client
    ledger: AuditLedger
    catalog: PointedCatalog

    @property
    def store(self) -> ObjectStore:
        """Objects as bytes."""
        return ObjectStore(self.s3)


def raw_versions(s3: S3Client, bucket: str, prefix: str) -> Iterator[RawObject]:
    """Every version in the raw bucket under `prefix`, in key order; delete markers hold no data and do not count."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from map(raw_object, page.get("Versions", ()))


def raw_object(entry: ObjectVersionTypeDef) -> RawObject:
    """A version as S3 lists it."""
    landed = entry.get("LastModified")
    landed_ns = 0 if landed is None else calendar.timegm(landed.utctimetuple()) * NS_PER_S
    return RawObject(entry["Key"], entry.get("VersionId", "null"), bool(entry.get("IsLatest", True)), landed_ns)


def is_outside(key: str) -> bool:
    """Whether a key of the raw bucket belongs to no drive."""
    try:
        parse_raw_key(key)
    except LandingError:
        return True
    return False


def exists(s3: S3Client, bucket: str, key: str, version_id: str) -> bool:
    """Whether a version is in a bucket. Listed, not asked for: that needs no right to read raw data."""
    return any((entry.key, entry.version_id) == (key, version_id) for entry in raw_versions(s3, bucket, key))


def ledger_objects(ledger: AuditLedger, drive: DriveId) -> Iterator[LedgerObject]:
    """The objects of a drive in the ledger."""
    for entry in ledger.objects(drive):
        yield LedgerObject(entry.key, entry.version_id, entry.state.value, entry.head.size_bytes)


def refused_objects(ledger: AuditLedger, keys: Iterable[str]) -> Iterator[LedgerObject]:
    """The versions of these keys that the ledger knows as refused."""
    for key in sorted(set(keys)):
        for entry in ledger.refused_versions(key):
            yield LedgerObject(entry.head.key, entry.head.version_id, "refused")


def late_objects(ledger: AuditLedger, drive: DriveId, raw: Iterable[RawObject]) -> Iterator[LedgerObject]:
    """Those of a drive's objects that landed after it was forgotten: the ledger counts them by pseudonym, without their names.
    They count as refused, until the drive is forgotten again and they are deleted."""
    for entry in raw:
        if ledger.is_late(drive, entry.key, entry.version_id):
            yield LedgerObject(entry.key, entry.version_id, "refused")


def ledger_drive(record: DriveRecord) -> LedgerDrive:
    """A drive of the ledger; the rules are the warnings of its last run, and a failed run has none."""
    rules = frozenset(record.detail.warnings if isinstance(record.detail, RunResult) else ())
    return LedgerDrive(record.state.value, record.revision or "", rules)


def declared(store: ObjectStore, bucket: str, record: DriveRecord) -> Iterator[ObjectFrames]:
    """The frames that the manifest of a drive in a final state declares."""
    if record.state not in FINAL or record.settling or record.manifest_version is None:
        return
    try:
        body = store.read(ObjectVersion(bucket, record.drive.manifest_key, record.manifest_version))
        manifest = Manifest.parse(body, record.drive)
    except (LandingError, AbsentError):
        # An invalid manifest declares nothing; the drive is quarantined for it (CMP002). One that is gone is a missing object.
        return
    for entry in manifest.objects:
        yield ObjectFrames(entry.key, entry.frame_count)


def copies_that_exist(store: ObjectStore, bucket: str, uris: Iterable[str]) -> frozenset[str]:
    """Those of the URIs that name objects of the quarantine bucket. Their folders are listed; nothing else is kept in memory."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for uri in uris:
        try:
            target = ObjectVersion.from_uri(uri)
        except LakeError:
            continue
        if target.bucket == bucket:
            wanted[target.key.rpartition("/")[0]].add(target.key)
    found = set()
    for folder, keys in sorted(wanted.items()):
        found |= {f"s3://{bucket}/{key}" for key in store.list(bucket, f"{folder}/" if folder else "") if key in keys}
    return frozenset(found)
