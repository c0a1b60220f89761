"""The ledger's half that registering and sweeping write: objects, changes, the queued mark, the outbox, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from ingest.ledger.items import (
    DRIVE,
    OBJECT,
    REFUSED,
    drive_of,
    drive_record,
    object_item,
    object_record,
    object_sort_key,
    refused_item,
    refused_prefix,
    refused_record,
    text,
)
from ingest.ledger.records import DriveRecord, ObjectHead, ObjectRecord, RefusedRecord
from ingest.ledger.states import DriveState, sources_of
from ingest.ledger.table import LedgerTable, Value
from ingest.ledger.work import Reason
from lake.landing import DriveId

UNSENT = "unsent"
SETTLING = "settling"
_SWEEP = ("_sweep", "reconcile")
MAX_FAULT_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Requeue:
    """The revision that is to be the drive's current one, and why; `overrides` are the decisions that its input holds."""

    revision: str
    reason: Reason
    manifest_version: str | None
    manifest_fault: str | None
    overrides: frozenset[str] = frozenset()


def queue_change(seen: DriveRecord, requeue: Requeue, now_ns: int) -> tuple[str, dict[str, Value], str]:
    """The change that queues a revision, its values, and the condition that nothing has moved since `seen` was read."""
    allowed = {f"from{place}": state.value for place, state in enumerate(sources_of(DriveState.QUEUED))}
    values: dict[str, Value] = {
        "queued": DriveState.QUEUED.value,
        "revision": requeue.revision,
        "next": seen.generation + 1,
        "reason": requeue.reason.value,
        "now": now_ns,
        "unsent": UNSENT,
        "zero": 0,
        "generation": seen.generation,
        "changes": seen.changes,
        **allowed,
    }
    change = (
        "SET #drive_state = :queued, #revision = :revision, #generation = :next, #reason = :reason, #updated_ns = :now, "
        "#outbox = :unsent, #outbox_ns = :now, #attempts = :zero"
    )
    removed = ["#settling", "#detail"]
    facts: dict[str, Value | None] = {
        "manifest_version": requeue.manifest_version,
        "manifest_fault": requeue.manifest_fault and requeue.manifest_fault[:MAX_FAULT_CHARACTERS],
        "overrides": requeue.overrides or None,
    }
    for name, value in facts.items():
        if value is None:
            removed.append(f"#{name}")
        else:
            change += f", #{name} = :{name}"
            values[name] = value
    states = ", ".join(f":{name}" for name in allowed)
    condition = f"#generation = :generation AND #changes = :changes AND #drive_state IN ({states})"
    return f"{change} REMOVE {', '.join(removed)}", values, condition


class LandingLedger:
    """What has landed, and which revision of it has been queued."""

    def __init__(self, table: LedgerTable, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock

    def object_of(self, drive: DriveId, key: str) -> ObjectRecord | None:
        """The registered version of an object (strongly consistent)."""
        item = self._table.get(str(drive), object_sort_key(key))
        return None if item is None else object_record(item)

    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]:
        """Every object of a drive in key order, manifest and calibration among them (strongly consistent)."""
        values: dict[str, Value] = {"pk": str(drive), "prefix": OBJECT}
        for item in self._table.query("#pk = :pk AND begins_with(#sk, :prefix)", values):
            yield object_record(item)

    def objects_between(self, drive: DriveId, first: str, last: str) -> Iterator[ObjectRecord]:
        """The drive's objects from key `first` to key `last`, both included, in key order (strongly consistent)."""
        values: dict[str, Value] = {"pk": str(drive), "first": object_sort_key(first), "last": object_sort_key(last)}
        for item in self._table.query("#pk = :pk AND #sk BETWEEN :first AND :last", values):
            yield object_record(item)

    def put_object(self, drive: DriveId, head: ObjectHead, previous: ObjectRecord | None) -> bool:
        """Register `head` in place of `previous`; False if another version has been registered meanwhile.

        The caller read `previous` before it asked S3 for `head`. A registered version was current when it was written,
        and S3 reads are strongly consistent, so `head` is then never older than `previous`: no clock is compared.
        """
        item = object_item(drive, head, self._clock())
        if previous is None:
            return self._table.put(item, "attribute_not_exists(#pk)")
        seen: dict[str, Value] = {"version": previous.version_id, "etag": previous.head.etag}
        return self._table.put(item, "#version_id = :version AND #etag = :etag", seen)

    def touch(self, drive: DriveId, changed: bool) -> None:
        """Note that an object of `drive` was registered; makes the drive's item if there is none.

        `changed` is False for a version that was known already, which does not put off when the drive is overdue.
        """
        changed_ns = ":now" if changed else "if_not_exists(#changed_ns, :now)"
        self._table.update(
            str(drive),
            DRIVE,
            "SET #drive_state = if_not_exists(#drive_state, :landing), #generation = if_not_exists(#generation, :zero), "
            "#created_ns = if_not_exists(#created_ns, :now), #updated_ns = if_not_exists(#updated_ns, :now), "
            f"#changed_ns = {changed_ns}, #settling = :settling ADD #changes :one",
            {"landing": DriveState.LANDING.value, "zero": 0, "one": 1, "now": self._clock(), "settling": SETTLING},
        )

    def queue(self, seen: DriveRecord, requeue: Requeue) -> DriveRecord | None:
        """Make a revision the drive's current one, with the outbox mark, in one write.

        None, and nothing is written, if anything was registered or queued since `seen` was read.
        """
        change, values, condition = queue_change(seen, requeue, self._clock())
        item = self._table.update(str(seen.drive), DRIVE, change, values, condition)
        return None if item is None else drive_record(item)

    def settle(self, seen: DriveRecord) -> bool:
        """Note that the current revision holds every object; False if anything was registered or queued since `seen`."""
        condition = "#generation = :generation AND #changes = :changes"
        values: dict[str, Value] = {"generation": seen.generation, "changes": seen.changes}
        return self._table.update(str(seen.drive), DRIVE, "REMOVE #settling", values, condition) is not None

    def sent(self, queued: DriveRecord) -> None:
        """Clear the outbox mark of `queued`'s generation; that of a newer generation stays."""
        values: dict[str, Value] = {"generation": queued.generation}
        self._table.update(str(queued.drive), DRIVE, "REMOVE #outbox, #outbox_ns", values, "#generation = :generation")

    def unsent(self, before_ns: int, limit: int) -> list[DriveId]:
        """Up to `limit` drives whose outbox mark was set before `before_ns`, oldest first. Eventually consistent."""
        return self._left("by-outbox", "outbox", UNSENT, "outbox_ns", before_ns, limit)

    def settling(self, before_ns: int, limit: int) -> list[DriveId]:
        """Up to `limit` drives with objects that no queued revision holds, the last from before `before_ns`, oldest first."""
        return self._left("by-settling", "settling", SETTLING, "changed_ns", before_ns, limit)

    def _left(self, index: str, mark: str, marked: str, since: str, before_ns: int, limit: int) -> list[DriveId]:
        condition = f"#{mark} = :mark AND #{since} < :before"
        items = self._table.query(condition, {"mark": marked, "before": before_ns}, index=index, page=limit)
        return [drive_of(item) for item in islice(items, limit)]

    def refuse(self, record: RefusedRecord) -> bool:
        """Register a refused version; False if it was registered before."""
        return self._table.put(refused_item(record), "attribute_not_exists(#pk)")

    def refused(self) -> Iterator[RefusedRecord]:
        """Every refused version, in key order (strongly consistent)."""
        for item in self._table.query("#pk = :pk", {"pk": REFUSED}):
            yield refused_record(item)

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        """The refused versions of one key (strongly consistent)."""
        values: dict[str, Value] = {"pk": REFUSED, "prefix": refused_prefix(key)}
        return [refused_record(item) for item in self._table.query("#pk = :pk AND begins_with(#sk, :prefix)", values)]

    def cursor(self) -> str:
        """Key after which the next reconciliation begins; empty for the bucket's first."""
        item = self._table.get(*_SWEEP)
        return "" if item is None else text(item, "cursor")

    def move_cursor(self, key: str) -> None:
        """Keep the reconciliation's place."""
        self._table.put({"pk": _SWEEP[0], "sk": _SWEEP[1], "cursor": key})
