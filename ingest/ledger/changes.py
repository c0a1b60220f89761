"""Changes of a drive's item, and the conditions under which they are made."""

from __future__ import annotations

from collections.abc import Iterable

from boto3.dynamodb.conditions import Attr, ConditionBase

from ingest.ledger.dynamodb_table import ItemChange, Value
from ingest.ledger.items import baseline_text
from ingest.ledger.records import DriveRecord, Requeue
from ingest.ledger.states import DriveState, sources_of

UNSENT = "unsent"
SETTLING = "settling"
OUTBOX = ("outbox", "outbox_ns")
MAX_FAULT_CHARACTERS = 1000


def mark(now_ns: int) -> dict[str, Value]:
    """The outbox mark: the work message of the drive's revision may not have been sent."""
    return {"outbox": UNSENT, "outbox_ns": now_ns}


def registration(now_ns: int, *, changed: bool) -> ItemChange:
    """One more sighting of an object of a drive; `changed`: of a version that is new to the ledger."""
    defaults: dict[str, Value] = {
        "drive_state": DriveState.LANDING.value,
        "generation": 0,
        "created_ns": now_ns,
        "updated_ns": now_ns,
    }
    assigned: dict[str, Value] = {"settling": SETTLING}
    (assigned if changed else defaults).update(changed_ns=now_ns, turn_ns=now_ns)
    return ItemChange(assigned, defaults, add={"changes": 1})


def queueing(seen: DriveRecord, requeue: Requeue, now_ns: int) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The attributes that queueing a revision assigns, and those that it removes."""
    assigned: dict[str, Value | None] = {
        "drive_state": DriveState.QUEUED.value,
        "revision": requeue.revision,
        "generation": seen.generation + 1,
        "reason": requeue.reason.value,
        "updated_ns": now_ns,
        **mark(now_ns),
        "attempts": 0,
        "manifest_version": requeue.manifest_version,
        "manifest_fault": requeue.manifest_fault and requeue.manifest_fault[:MAX_FAULT_CHARACTERS],
        "overrides": requeue.overrides or None,
        "baseline": None if requeue.baseline is None else baseline_text(requeue.baseline),
        "settling": None,
        "tries": None,
        "detail": None,
    }
    removed = tuple(name for name, value in assigned.items() if value is None)
    return {name: value for name, value in assigned.items() if value is not None}, removed


def unmoved(seen: DriveRecord) -> ConditionBase:
    """Nothing has been registered or queued since `seen` was read."""
    return Attr("generation").eq(seen.generation) & Attr("changes").eq(seen.changes)


def may_queue(seen: DriveRecord) -> ConditionBase:
    """`unmoved`, nothing decided, and in a state from which it can be queued."""
    return unmoved(seen) & undecided(seen) & in_one_of(sources_of(DriveState.QUEUED))


def undecided(seen: DriveRecord) -> ConditionBase:
    """Nothing has been decided about the drive since `seen` was read."""
    return Attr("decisions").eq(seen.decisions) if seen.decisions else Attr("decisions").not_exists()


def in_one_of(states: Iterable[DriveState]) -> ConditionBase:
    """The drive is in one of these states."""
    return Attr("drive_state").is_in([state.value for state in states])
