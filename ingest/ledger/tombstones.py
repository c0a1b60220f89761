"""Forgotten drives in the ledger: what is left of each is an item without its name, and nothing registers the drive again.

| pk | sk | is | attributes |
| --- | --- | --- | --- |
| `_forgotten` | `salt` | the salt of all pseudonyms (`lake.pseudonyms`) | `salt` |
| `_forgotten` | `drive#<pseudonym>` | a tombstone | `request`, `forgotten_ns` |
| `_forgotten` | `late#<pseudonym>#<pseudonym of the version>` | a version that landed afterwards | `size_bytes`, `observed_ns` |

The salt is made by whoever needs it first and never changes, so a process reads it once. A registration checks its drive's
tombstone in its own transaction: there is no moment between the check and the write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr, Key

from ingest.errors import ContentionError, ForgottenWorkError, HeldError
from ingest.ledger import holds
from ingest.ledger.dynamodb_table import Item, ItemChange, ItemCheck, LedgerTable, Put
from ingest.ledger.items import DRIVE, REFUSED, drive_record, number, text
from ingest.ledger.records import ObjectHead
from ingest.ledger.states import DriveState
from lake import pseudonyms
from lake.landing import DriveId

FORGOTTEN = "_forgotten"  # no vehicle id begins with an underscore
SALT = "salt"
_SWEEP = ("_sweep", "reconcile")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What the ledger keeps of a forgotten drive."""

    pseudonym: str
    request: str
    forgotten_ns: int


@dataclass(frozen=True, slots=True)
class Fence:
    """A drive that nothing can be begun of.

    `in_work`: the generation of a run that had begun and has not said that it ended; `changed_ns`: the last change of its state
    before; `attempts`: how many runs its revision had.
    """

    in_work: int | None
    changed_ns: int
    attempts: int


class Tombstones:
    """The tombstones of one ledger."""

    def __init__(self, table: LedgerTable, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock
        self._salt = ""

    def salt(self) -> str:
        """The salt of the pseudonyms; made now, if there is none yet."""
        if not self._has_salt():
            self._table.put({"pk": FORGOTTEN, "sk": SALT, "salt": pseudonyms.new_salt()}, Attr("pk").not_exists())
            self._has_salt()
        return self._salt

    def _has_salt(self) -> bool:
        """Whether there is a salt. Without one there is no tombstone, and none is made to look for one."""
        if not self._salt and (item := self._table.get(FORGOTTEN, SALT)) is not None:
            self._salt = text(item, "salt")
        return bool(self._salt)

    def of(self, drive: DriveId) -> Tombstone | None:
        """The tombstone of a drive (strongly consistent)."""
        item = self._table.get(FORGOTTEN, self._key(drive)) if self._has_salt() else None
        return None if item is None else _tombstone(item)

    def request_of(self, drive: DriveId) -> str | None:
        """The request by which a drive was forgotten; None if it was not."""
        found = self.of(drive)
        return None if found is None else found.request

    def all(self) -> Iterator[Tombstone]:
        """Every tombstone."""
        yield from map(_tombstone, self._table.query(Key("pk").eq(FORGOTTEN) & Key("sk").begins_with("drive#")))

    def not_forgotten(self, drive: DriveId) -> ItemCheck:
        """The condition of a transaction that a drive has no tombstone."""
        return ItemCheck(FORGOTTEN, self._key(drive), Attr("pk").not_exists())

    def put(self, drive: DriveId, request: str) -> Tombstone:
        """Set the tombstone of a drive: from now on nothing of it is registered. One that is there stays.

        Raises:
            HeldError: The drive is held.
            ContentionError: Others kept changing the drive's holds.
        """
        item: Item = {"pk": FORGOTTEN, "sk": self._key(drive), "request": request, "forgotten_ns": self._clock()}
        written = self._table.write_transaction([Put(item, Attr("pk").not_exists()), holds.not_held(drive)])
        found = self.of(drive)
        if found is not None:
            return found
        if not written and (held := holds.Holds(self._table, self._clock).of(drive)):
            raise HeldError(f"{drive} is held: {'; '.join(map(str, held))}", "`scenelake hold release` ends a hold")
        raise ContentionError("the holds of the drive kept changing; run it again")

    def fence(self, drive: DriveId) -> Fence | None:
        """Let nothing be begun, queued or ended of a drive any more; None where the ledger has no item of it. Idempotent.

        The generation is raised, so that a run under way cannot end the drive either. Its own attempt to do so tells that it
        has ended (`refuse_run`).

        Raises:
            ContentionError: Others kept changing the drive.
        """
        for _ in range(20):
            item = self._table.get(str(drive), DRIVE)
            if item is None:
                return None
            seen = drive_record(item)
            if seen.state is DriveState.FORGOTTEN:
                return Fence(number(item, "in_work") if "in_work" in item else None, number(item, "left_ns"), seen.attempts)
            assigned: Item = {
                "drive_state": DriveState.FORGOTTEN.value,
                "updated_ns": self._clock(),
                "left_ns": seen.updated_ns,
            }
            if seen.state is DriveState.PROCESSING:
                assigned["in_work"] = seen.generation
            change = ItemChange(assigned, add={"generation": 1}, remove=("outbox", "outbox_ns", "settling", "tries"))
            unmoved = Attr("generation").eq(seen.generation) & Attr("drive_state").eq(seen.state.value)
            if self._table.update(str(drive), DRIVE, change, unmoved) is not None:
                in_work = seen.generation if seen.state is DriveState.PROCESSING else None
                return Fence(in_work, seen.updated_ns, seen.attempts)
        raise ContentionError("the drive kept changing; run it again")

    def run_ended(self, drive: DriveId, generation: int | None = None) -> None:
        """Record that the run of a fenced drive has ended; `generation`: only if it is that of the run."""
        condition = Attr("in_work").exists() if generation is None else Attr("in_work").eq(generation)
        self._table.update(str(drive), DRIVE, ItemChange(remove=("in_work",)), condition)

    def refuse_run(self, drive: DriveId, generation: int | None) -> None:
        """Refuse a step of a run if its drive was forgotten; `generation`: of the run that reports its end.

        Raises:
            ForgottenWorkError: It was.
        """
        request = self.request_of(drive)
        if request is None:
            return
        if generation is not None:
            self.run_ended(drive, generation)
        raise ForgottenWorkError(f"the drive was forgotten by request {request}")

    def add_late(self, drive: DriveId, head: ObjectHead) -> None:
        """Count a version that landed after its drive was forgotten."""
        sort_key = self._late_prefix(drive) + pseudonyms.of_object(self.salt(), head.key, head.version_id)
        item: Item = {"pk": FORGOTTEN, "sk": sort_key, "size_bytes": head.size_bytes, "observed_ns": self._clock()}
        self._table.put(item, Attr("pk").not_exists())

    def is_late(self, drive: DriveId, key: str, version_id: str) -> bool:
        """Whether a version was counted by `add_late`."""
        if not self._has_salt():
            return False
        sort_key = self._late_prefix(drive) + pseudonyms.of_object(self.salt(), key, version_id)
        return self._table.get(FORGOTTEN, sort_key) is not None

    def late(self, drive: DriveId) -> int:
        """How many versions of a drive were counted by `add_late`."""
        return sum(1 for _ in self._late(drive))

    def _late(self, drive: DriveId) -> Iterator[Item]:
        if self._has_salt():
            yield from self._table.query(Key("pk").eq(FORGOTTEN) & Key("sk").begins_with(self._late_prefix(drive)))

    def items_of(self, drive: DriveId) -> Iterator[Item]:
        """Every item that names a drive, or is of an object of it: of the drive itself, of refused objects, of holds that were
        released, the sweep's cursor if it is at the drive, and the versions that landed late."""
        yield from self._table.query(Key("pk").eq(str(drive)))
        refused = self._table.query(Key("pk").eq(REFUSED))
        yield from (item for item in refused if text(item, "key").startswith(drive.prefix))
        yield from holds.items_of(self._table, drive)
        cursor = self._table.get(*_SWEEP)
        if cursor is not None and text(cursor, "cursor").startswith(drive.prefix):
            yield cursor
        yield from self._late(drive)

    def delete(self, item: Item) -> None:
        """Delete one of `items_of`. Without its cursor, the sweep begins at the bucket's first key again."""
        self._table.delete(text(item, "pk"), text(item, "sk"))

    def _key(self, drive: DriveId) -> str:
        return f"drive#{pseudonyms.of_drive(self.salt(), drive)}"

    def _late_prefix(self, drive: DriveId) -> str:
        return f"late#{pseudonyms.of_drive(self.salt(), drive)}#"


def _tombstone(item: Item) -> Tombstone:
    return Tombstone(text(item, "sk").removeprefix("drive#"), text(item, "request"), number(item, "forgotten_ns"))
