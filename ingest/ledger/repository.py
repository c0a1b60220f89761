"""The ledger: the state of every object and drive, in one DynamoDB table.

| pk | sk | is | attributes |
| --- | --- | --- | --- |
| `vehicle/drive` | `drive` | a drive | `drive_state`, `revision`, `generation`, `reason`, `changes`, `created_ns`, `updated_ns`, `changed_ns`, `turn_ns`, `tried_ns`?, `tries`?, `settling`?, `outbox`?, `outbox_ns`?, `attempts`?, `overrides`?, `decisions`?, `manifest_version`?, `manifest_fault`?, `baseline`?, `detail`? |
| `vehicle/drive` | `object#<key>` | its newest version | `key`, `version_id`, `size_bytes`, `etag`, `last_modified_ns`, `object_state`, `observed_ns`, `revision`?, `generation`? |
| `vehicle/drive` | `decision#<number>` | a reviewer's decision, never changed | `overrides`, `decided_ns`, `revision`, `generation` |
| `_refused` | `object#<key>#<version>` | a refused version | as an object, and `rule_id`, `message`, `payload_uri` |
| `_sweep` | `reconcile` | the sweep's place in the raw bucket | `cursor` |
| `_forgotten` | `salt`, `drive#…`, `late#…` | see `ingest.ledger.tombstones` | |
| `_holds` | `drive#…`, `hold#…` | see `ingest.ledger.holds` | |

Indexes: `by-state` (`drive_state`, `updated_ns`), and two sparse ones that hold only drives with something left to do:
`by-outbox` (`outbox`, `outbox_ns`) and `by-settling` (`settling`, `turn_ns`).

`detail` is JSON (`ingest.ledger.detail`). Every write is one conditional call on one item; an object and a decision are each a
transaction with their drive's change. `ingest.ledger.states` draws the allowed transitions; `ingest.ledger.runs` has those of a run.
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from boto3.dynamodb.conditions import Attr, ConditionBase, Key

from ingest.errors import ContentionError
from ingest.ledger.changes import OUTBOX, SETTLING, UNSENT, in_one_of, mark, may_queue, queueing, registration, undecided, unmoved
from ingest.ledger.dynamodb_table import ItemChange, Put, Update, Write
from ingest.ledger.items import (
    DECISION,
    DRIVE,
    OBJECT,
    REFUSED,
    decision_item,
    decision_record,
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
from ingest.ledger.records import (
    DecisionRecord,
    DriveRecord,
    ObjectHead,
    ObjectRecord,
    RefusedRecord,
    Requeue,
)
from ingest.ledger.runs import RunLedger
from ingest.ledger.states import FINAL, WAITING, DriveState
from lake.landing import DriveId

MAX_FAULT_CHARACTERS = 1000
_SWEEP = ("_sweep", "reconcile")


class Ledger(RunLedger):
    """The state of every object and drive in DynamoDB."""

    # Reading drives

    def drives(self, state: DriveState | None = None, since_ns: int = 0, until_ns: int | None = None) -> Iterator[DriveRecord]:
        """Drives in `state`, or all, by state and least recently changed first; only those that entered their state at `since_ns`
        or later, and at `until_ns` or before. Eventually consistent, and read by page."""
        entered = Key("updated_ns").gte(since_ns) if until_ns is None else Key("updated_ns").between(since_ns, until_ns)
        for drive_state in DriveState if state is None else (state,):
            condition = Key("drive_state").eq(drive_state.value) & entered
            yield from (drive_record(item) for item in self._table.query(condition, index="by-state"))

    # Landing: objects, changes, the outbox, refusals

    def object_of(self, drive: DriveId, key: str) -> ObjectRecord | None:
        """The registered version of an object (strongly consistent)."""
        item = self._table.get(str(drive), object_sort_key(key))
        return None if item is None else object_record(item)

    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]:
        """Every object of a drive in key order, manifest and calibration among them (strongly consistent)."""
        yield from map(object_record, self._table.query(_under(str(drive), OBJECT)))

    def objects_between(self, drive: DriveId, first: str, last: str) -> Iterator[ObjectRecord]:
        """The drive's objects from key `first` to key `last`, both included, in key order (strongly consistent)."""
        between = Key("sk").between(object_sort_key(first), object_sort_key(last))
        yield from map(object_record, self._table.query(Key("pk").eq(str(drive)) & between))

    def put_object(self, drive: DriveId, head: ObjectHead, previous: ObjectRecord | None) -> bool:
        """Register `head` in place of `previous` and count it for the drive, both or neither; creates the drive's item.

        False if another version has been registered meanwhile, another registration of the drive was under way, or the drive was
        forgotten.

        The caller read `previous` before it asked S3 for `head`. A registered version was current when it was written,
        and S3 reads are strongly consistent, so `head` is then never older than `previous`: no clock is compared.
        """
        condition: ConditionBase = Attr("pk").not_exists()
        if previous is not None:
            condition = Attr("version_id").eq(previous.version_id) & Attr("etag").eq(previous.head.etag)
        now_ns = self._clock()
        writes: list[Write] = [
            Put(object_item(drive, head, now_ns), condition),
            Update(str(drive), DRIVE, registration(now_ns, changed=True)),
            self.tombstones.not_forgotten(drive),
        ]
        return self._table.write_transaction(writes)

    def touch(self, drive: DriveId) -> None:
        """Count another sighting of a version that is registered, which does not put off when the drive is overdue. Nothing is
        written of a drive that was forgotten.

        Raises:
            ContentionError: Another registration of the drive was under way.
        """
        counted = Update(str(drive), DRIVE, registration(self._clock(), changed=False))
        written = self._table.write_transaction([counted, self.tombstones.not_forgotten(drive)])
        if not written and self.forgotten(drive) is None:
            raise ContentionError(f"{drive} kept changing while an object of it was being registered")

    def queue(self, seen: DriveRecord, requeue: Requeue) -> DriveRecord | None:
        """Make a revision the drive's current one, with the outbox mark, in one write.

        Returns None and writes nothing if anything was registered, queued or decided since `seen` was read.
        """
        assigned, removed = queueing(seen, requeue, self._clock())
        item = self._table.update(str(seen.drive), DRIVE, ItemChange(assigned, remove=removed), may_queue(seen))
        return None if item is None else drive_record(item)

    def settle(self, seen: DriveRecord) -> bool:
        """Record that the current revision holds every object; False if anything was registered or queued since `seen`."""
        return self._table.update(str(seen.drive), DRIVE, ItemChange(remove=("settling", "tries")), unmoved(seen)) is not None

    def begin_evaluation(self, drive: DriveId) -> None:
        """Mark that an evaluation of the drive has begun, and move the drive to the back of `settling`.

        Whoever is killed by what it reads leaves the mark behind. `queue` and `settle` clear it, as `end_evaluation` does.
        """
        now_ns = self._clock()
        change = ItemChange({"turn_ns": now_ns, "tried_ns": now_ns}, add={"tries": 1})
        self._table.update(str(drive), DRIVE, change, Attr("pk").exists())

    def pass_over(self, drive: DriveId) -> None:
        """Move the drive to the back of `settling` without an evaluation."""
        self._table.update(str(drive), DRIVE, ItemChange({"turn_ns": self._clock()}), Attr("pk").exists())

    def end_evaluation(self, drive: DriveId) -> None:
        """Clear the mark of an evaluation that has ended, with whatever result."""
        self._table.update(str(drive), DRIVE, ItemChange(remove=("tries",)), Attr("pk").exists())

    def sent(self, queued: DriveRecord) -> None:
        """Clear the outbox mark of `queued`'s generation; that of a newer generation stays."""
        change = ItemChange(remove=OUTBOX)
        self._table.update(str(queued.drive), DRIVE, change, Attr("generation").eq(queued.generation))

    def waiting(self, before_ns: int, limit: int) -> list[DriveRecord]:
        """Drives whose work message was sent and must still exist: queued, processing or failed without any change since
        `before_ns`; up to `limit` of each state, oldest change first. Eventually consistent."""
        found: list[DriveRecord] = []
        for state in WAITING:
            condition = Key("drive_state").eq(state.value) & Key("updated_ns").lt(before_ns)
            items = self._table.query(condition, index="by-state", page=limit)
            found += [drive_record(item) for item in islice(items, limit)]
        return sorted((one for one in found if not one.unsent), key=lambda one: (one.updated_ns, one.drive))

    def resend(self, seen: DriveRecord) -> DriveRecord | None:
        """Mark the drive's work message as unsent, in its state and generation; None if the drive changed since `seen`."""
        now_ns = self._clock()
        change = ItemChange({**mark(now_ns), "updated_ns": now_ns})
        unchanged = Attr("generation").eq(seen.generation) & Attr("updated_ns").eq(seen.updated_ns)
        item = self._table.update(str(seen.drive), DRIVE, change, unchanged & in_one_of(WAITING))
        return None if item is None else drive_record(item)

    def unsent(self, before_ns: int, limit: int) -> list[DriveId]:
        """Up to `limit` drives whose outbox mark was set before `before_ns`, oldest first. Eventually consistent."""
        return self._marked("by-outbox", Key("outbox").eq(UNSENT) & Key("outbox_ns").lt(before_ns), limit)

    def settling(self, before_ns: int, limit: int) -> list[DriveId]:
        """Up to `limit` drives with objects that no queued revision holds and without a new object or an evaluation since
        `before_ns`, those that have waited longest first."""
        return self._marked("by-settling", Key("settling").eq(SETTLING) & Key("turn_ns").lt(before_ns), limit)

    def _marked(self, index: str, condition: ConditionBase, limit: int) -> list[DriveId]:
        items = self._table.query(condition, index=index, page=limit)
        return [drive_of(item) for item in islice(items, limit)]

    def forgotten(self, drive: DriveId) -> str | None:
        """The request by which a drive was forgotten; None if it was not (strongly consistent)."""
        return self.tombstones.request_of(drive)

    def refuse_late(self, drive: DriveId, head: ObjectHead) -> None:
        """Count a version that landed although its drive was forgotten, without keeping its name. Idempotent."""
        self.tombstones.add_late(drive, head)

    def is_late(self, drive: DriveId, key: str, version_id: str) -> bool:
        """Whether a version was counted by `refuse_late`."""
        return self.tombstones.is_late(drive, key, version_id)

    def refuse(self, record: RefusedRecord) -> bool:
        """Register a refused version; False if it was registered before."""
        return self._table.put(refused_item(record), Attr("pk").not_exists())

    def refused(self, after: str = "") -> Iterator[RefusedRecord]:
        """The refused versions behind the sort key `after`, in the order of their sort keys (strongly consistent)."""
        behind = Key("pk").eq(REFUSED) & Key("sk").gt(after) if after else Key("pk").eq(REFUSED)
        yield from map(refused_record, self._table.query(behind))

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        """The refused versions of one key (strongly consistent)."""
        found = map(refused_record, self._table.query(_under(REFUSED, refused_prefix(key))))
        return [record for record in found if record.head.key == key]  # a key may begin as another one and its `#` do

    def cursor(self) -> str:
        """Key after which the next reconciliation begins; empty for the bucket's first."""
        item = self._table.get(*_SWEEP)
        return "" if item is None else text(item, "cursor")

    def move_cursor(self, key: str) -> None:
        """Store the key after which the next reconciliation begins."""
        self._table.put({"pk": _SWEEP[0], "sk": _SWEEP[1], "cursor": key})

    # Decisions: append-only, each in one transaction with its effect on the drive

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        """Every decision about a drive, oldest first (strongly consistent)."""
        return [decision_record(item) for item in self._table.query(_under(str(drive), DECISION))]

    def decide(self, seen: DriveRecord, overrides: frozenset[str], requeue: Requeue | None) -> DriveRecord | None:
        """Append a decision and, with `requeue`, queue the revision that follows from it, all or nothing.

        Returns None and writes nothing if anything was registered, queued or decided since `seen` was read, or if the drive
        is not in a final state.
        """
        number = seen.decisions + 1
        decision = DecisionRecord(seen.drive, number, overrides, self._clock(), seen.revision or "", seen.generation)
        assigned, removed = ({}, ()) if requeue is None else queueing(seen, requeue, self._clock())
        condition = unmoved(seen) & undecided(seen) if requeue is None else may_queue(seen)
        condition &= in_one_of(sorted(FINAL))
        change = ItemChange({"decisions": number, **assigned}, remove=removed)
        written = self._table.write_transaction(
            [
                Put(decision_item(decision), Attr("pk").not_exists()),
                Update(str(seen.drive), DRIVE, change, condition),
            ]
        )
        return self.drive(seen.drive) if written else None


def _under(pk: str, prefix: str) -> ConditionBase:
    return Key("pk").eq(pk) & Key("sk").begins_with(prefix)
