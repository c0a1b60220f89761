"""The items of the ledger's table as records, and records as items; their attributes are listed in `ingest.ledger.repository`."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from ingest.errors import LedgerError
from ingest.ledger.dynamodb_table import Item
from ingest.ledger.records import DecisionRecord, DriveRecord, ObjectHead, ObjectRecord, RefusedRecord
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.drive_input import InputObject, baseline_key
from lake.landing import DriveId

DRIVE = "drive"
OBJECT = "object#"
DECISION = "decision#"
REFUSED = "_refused"  # no vehicle id begins with an underscore
MAX_SORT_KEY_BYTES = 1024  # Amazon DynamoDB Developer Guide, "Service quotas"
MAX_VERSION_ID_BYTES = 128


def object_sort_key(key: str) -> str:
    """Sort key of an object item."""
    return OBJECT + key


def refused_prefix(key: str) -> str:
    """Common prefix of the sort keys of all refused versions of `key`.

    A key near S3's limit does not fit a sort key together with a version id; its SHA-256 takes its place.
    """
    plain = f"{OBJECT}{key}#"
    if len(plain.encode()) + MAX_VERSION_ID_BYTES <= MAX_SORT_KEY_BYTES:
        return plain
    return f"{OBJECT}sha256:{hashlib.sha256(key.encode()).hexdigest()}#"


def refused_sort_key(record: RefusedRecord) -> str:
    """Sort key of a refused version."""
    return refused_prefix(record.head.key) + record.head.version_id


def object_item(drive: DriveId, head: ObjectHead, observed_ns: int) -> Item:
    """Item of a newly landed version."""
    return {
        "pk": str(drive),
        "sk": object_sort_key(head.key),
        **asdict(head),
        "object_state": ObjectState.LANDED.value,
        "observed_ns": observed_ns,
    }


def refused_item(record: RefusedRecord) -> Item:
    """Item of a refused version."""
    return {
        "pk": REFUSED,
        "sk": refused_sort_key(record),
        **asdict(record.head),
        "object_state": ObjectState.REFUSED.value,
        "rule_id": record.rule_id,
        "message": record.message,
        "payload_uri": record.payload_uri,
        "observed_ns": record.observed_ns,
    }


def object_record(item: Item) -> ObjectRecord:
    """Value of an object item."""
    return ObjectRecord(
        head=_head(item),
        state=ObjectState(text(item, "object_state")),
        observed_ns=number(item, "observed_ns"),
        revision=optional_text(item, "revision"),
    )


def refused_record(item: Item) -> RefusedRecord:
    """Value of a refused item."""
    return RefusedRecord(
        head=_head(item),
        rule_id=text(item, "rule_id"),
        message=text(item, "message"),
        payload_uri=text(item, "payload_uri"),
        observed_ns=number(item, "observed_ns"),
    )


def drive_record(item: Item) -> DriveRecord:
    """Value of a drive item.

    Raises:
        LedgerError: An attribute is missing or of another type.
    """
    overrides = item.get("overrides", frozenset())
    reason = optional_text(item, "reason")
    drive = drive_of(item)
    return DriveRecord(
        drive=drive,
        state=DriveState(text(item, "drive_state")),
        revision=optional_text(item, "revision"),
        generation=number(item, "generation"),
        reason=None if reason is None else WorkReason(reason),
        changes=number(item, "changes"),
        created_ns=number(item, "created_ns"),
        updated_ns=number(item, "updated_ns"),
        changed_ns=number(item, "changed_ns"),
        turn_ns=number(item, "turn_ns") if "turn_ns" in item else 0,
        tried_ns=number(item, "tried_ns") if "tried_ns" in item else 0,
        tries=number(item, "tries") if "tries" in item else 0,
        settling="settling" in item,
        unsent="outbox" in item,
        attempts=number(item, "attempts") if "attempts" in item else 0,
        overrides=overrides if isinstance(overrides, frozenset) else frozenset(),
        decisions=number(item, "decisions") if "decisions" in item else 0,
        manifest_version=optional_text(item, "manifest_version"),
        manifest_fault=optional_text(item, "manifest_fault"),
        baseline=_baseline(item, drive),
        detail_json=optional_text(item, "detail"),
    )


def baseline_text(pinned: InputObject) -> str:
    """The attribute of a pinned baseline: its SHA-256 and its version id; the key follows from the vehicle."""
    return f"{pinned.sha256} {pinned.version_id}"


def _baseline(item: Item, drive: DriveId) -> InputObject | None:
    pinned = optional_text(item, "baseline")
    if pinned is None:
        return None
    sha256, _, version_id = pinned.partition(" ")
    return InputObject(baseline_key(drive.vehicle_id), version_id, sha256)


def decision_item(record: DecisionRecord) -> Item:
    """Item of a decision; its number is its sort key."""
    return {
        "pk": str(record.drive),
        "sk": f"{DECISION}{record.number:08d}",
        "overrides": record.overrides,
        "decided_ns": record.decided_ns,
        "revision": record.revision,
        "generation": record.generation,
    }


def decision_record(item: Item) -> DecisionRecord:
    """Value of a decision item."""
    overrides = item.get("overrides")
    if not isinstance(overrides, frozenset):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no set of overrides")
    return DecisionRecord(
        drive=drive_of(item),
        number=int(text(item, "sk").removeprefix(DECISION)),
        overrides=overrides,
        decided_ns=number(item, "decided_ns"),
        revision=text(item, "revision"),
        generation=number(item, "generation"),
    )


def drive_of(item: Item) -> DriveId:
    """The drive that an item's partition key names."""
    vehicle_id, _, drive_id = text(item, "pk").partition("/")
    return DriveId(vehicle_id, drive_id)


def text(item: Item, name: str) -> str:
    """A required string attribute."""
    value = item.get(name)
    if not isinstance(value, str):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no text {name!r}")
    return value


def optional_text(item: Item, name: str) -> str | None:
    """A string attribute that may be absent."""
    return text(item, name) if name in item else None


def number(item: Item, name: str) -> int:
    """A required integer attribute."""
    value = item.get(name)
    if not isinstance(value, int):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no number {name!r}")
    return value


def _head(item: Item) -> ObjectHead:
    return ObjectHead(
        key=text(item, "key"),
        version_id=text(item, "version_id"),
        size_bytes=number(item, "size_bytes"),
        etag=text(item, "etag"),
        last_modified_ns=number(item, "last_modified_ns"),
    )
