"""Ledger items and the values they stand for. The attributes are listed in `ingest.ledger.ledger`."""

from __future__ import annotations

import hashlib
import json

from ingest.errors import LedgerError
from ingest.ledger.records import DecisionRecord, DriveRecord, ObjectHead, ObjectRecord, RefusedRecord
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.table import MAX_SORT_KEY_BYTES, Item
from ingest.ledger.work import Reason
from lake.landing import DriveId

DRIVE = "drive"
OBJECT = "object#"
DECISION = "decision#"
REFUSED = "_refused"  # no vehicle id begins with an underscore


def object_sort_key(key: str) -> str:
    """Sort key of an object item."""
    return OBJECT + key


def refused_prefix(key: str) -> str:
    """What the sort keys of all refused versions of `key` begin with.

    A key near S3's limit is longer than a sort key may be together with a version id; its SHA-256 takes its place.
    """
    plain = f"{OBJECT}{key}#"
    if len(plain.encode()) + 128 <= MAX_SORT_KEY_BYTES:
        return plain
    return f"{OBJECT}sha256:{hashlib.sha256(key.encode()).hexdigest()}#"


def object_item(drive: DriveId, head: ObjectHead, observed_ns: int) -> Item:
    """Item of a newly landed version."""
    return {
        "pk": str(drive),
        "sk": object_sort_key(head.key),
        **_head_attributes(head),
        "object_state": ObjectState.LANDED.value,
        "observed_ns": observed_ns,
    }


def refused_item(record: RefusedRecord) -> Item:
    """Item of a refused version."""
    return {
        "pk": REFUSED,
        "sk": refused_prefix(record.head.key) + record.head.version_id,
        **_head_attributes(record.head),
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
    """Value of a drive item."""
    overrides = item.get("overrides", frozenset())
    reason = optional_text(item, "reason")
    return DriveRecord(
        drive=drive_of(item),
        state=DriveState(text(item, "drive_state")),
        revision=optional_text(item, "revision"),
        generation=number(item, "generation"),
        reason=None if reason is None else Reason(reason),
        changes=number(item, "changes"),
        created_ns=number(item, "created_ns"),
        updated_ns=number(item, "updated_ns"),
        changed_ns=number(item, "changed_ns"),
        settling="settling" in item,
        unsent="outbox" in item,
        attempts=number(item, "attempts") if "attempts" in item else 0,
        overrides=overrides if isinstance(overrides, frozenset) else frozenset(),
        decisions=number(item, "decisions") if "decisions" in item else 0,
        manifest_version=optional_text(item, "manifest_version"),
        manifest_fault=optional_text(item, "manifest_fault"),
        detail=json.loads(text(item, "detail")) if "detail" in item else {},
    )


def decision_item(record: DecisionRecord) -> Item:
    """Item of a decision; its place in the order is its sort key."""
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
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} decides nothing")
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
    """A string attribute that must be there."""
    value = item.get(name)
    if not isinstance(value, str):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no text {name!r}")
    return value


def optional_text(item: Item, name: str) -> str | None:
    """A string attribute that may be absent."""
    return text(item, name) if name in item else None


def number(item: Item, name: str) -> int:
    """An integer attribute that must be there."""
    value = item.get(name)
    if not isinstance(value, int):
        raise LedgerError(f"ledger item {item.get('pk')!r} {item.get('sk')!r} has no number {name!r}")
    return value


def _head_attributes(head: ObjectHead) -> Item:
    return {
        "key": head.key,
        "version_id": head.version_id,
        "size_bytes": head.size_bytes,
        "etag": head.etag,
        "last_modified_ns": head.last_modified_ns,
    }


def _head(item: Item) -> ObjectHead:
    return ObjectHead(
        key=text(item, "key"),
        version_id=text(item, "version_id"),
        size_bytes=number(item, "size_bytes"),
        etag=text(item, "etag"),
        last_modified_ns=number(item, "last_modified_ns"),
    )
