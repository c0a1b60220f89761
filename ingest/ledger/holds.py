"""Holds in the ledger: drives that are evidence, of an incident or in a litigation, and must not be forgotten while they are held.

| pk | sk | is | attributes |
| --- | --- | --- | --- |
| `_holds` | `drive#<vehicle/drive>` | how many holds of a drive are in force | `in_force` |
| `_holds` | `hold#<vehicle/drive>#<id>` | a hold | `hold_id`, `drive`, `reason`, `person`, `held_ns`, `released_ns`?, `released_by`?, `why_released`? |

A hold, its release and a tombstone are each one transaction with the count: of a hold and an erasure at once, one is refused.
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr, Key

from ingest.errors import ContentionError, HeldError
from ingest.ledger.dynamodb_table import Item, ItemChange, ItemCheck, LedgerTable, Put, Update
from ingest.ledger.items import number, optional_text, text
from lake.landing import DriveId

HOLDS = "_holds"  # no vehicle id begins with an underscore


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on a drive. One that was released says when, by whom and why."""

    hold_id: str
    drive: DriveId
    reason: str
    person: str
    held_ns: int
    released_ns: int | None = None
    released_by: str | None = None
    why_released: str | None = None

    @property
    def in_force(self) -> bool:
        """Whether it was not released."""
        return self.released_ns is None

    def __str__(self) -> str:
        return f"hold {self.hold_id} by {self.person} ({self.reason})"


class Holds:
    """The holds of one ledger."""

    def __init__(self, table: LedgerTable, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock

    def place(self, hold_id: str, drive: DriveId, reason: str, person: str, unless: ItemCheck) -> Hold:
        """Hold a drive.

        Args:
            hold_id: Unique.
            drive: The drive.
            reason: Why it must be kept.
            person: Who holds it.
            unless: The condition that the drive was not forgotten (`Tombstones.not_forgotten`).

        Raises:
            HeldError: The drive was forgotten.
            ContentionError: The id is taken, or others kept changing the drive's holds.
        """
        hold = Hold(hold_id, drive, reason, person, self._clock())
        item: Item = {
            "pk": HOLDS,
            "sk": _sort_key(drive, hold_id),
            "hold_id": hold_id,
            "drive": str(drive),
            "reason": reason,
            "person": person,
            "held_ns": hold.held_ns,
        }
        counted = Update(HOLDS, _count_key(drive), ItemChange(add={"in_force": 1}))
        if self._table.write_transaction([Put(item, Attr("pk").not_exists()), counted, unless]):
            return hold
        if self._table.get(unless.pk, unless.sk) is not None:
            raise HeldError(f"{drive} was forgotten: there is nothing left to hold")
        raise ContentionError(f"the holds of {drive} kept changing; run it again")

    def release(self, hold: Hold, person: str, why: str) -> bool:
        """End a hold; False if it was released before."""
        released = ItemChange({"released_ns": self._clock(), "released_by": person, "why_released": why})
        in_force = Attr("pk").exists() & Attr("released_ns").not_exists()
        writes = [
            Update(HOLDS, _sort_key(hold.drive, hold.hold_id), released, in_force),
            Update(HOLDS, _count_key(hold.drive), ItemChange(add={"in_force": -1}), Attr("in_force").gte(1)),
        ]
        return self._table.write_transaction(writes)

    def of(self, drive: DriveId) -> list[Hold]:
        """The holds of a drive that are in force (strongly consistent)."""
        found = self._table.query(Key("pk").eq(HOLDS) & Key("sk").begins_with(_sort_key(drive, "")))
        return [hold for hold in map(_hold, found) if hold.in_force]

    def all(self) -> Iterator[Hold]:
        """Every hold, released ones too, by drive."""
        yield from map(_hold, self._table.query(Key("pk").eq(HOLDS) & Key("sk").begins_with("hold#")))


def not_held(drive: DriveId) -> ItemCheck:
    """The condition of a transaction that no hold of a drive is in force."""
    return ItemCheck(HOLDS, _count_key(drive), Attr("in_force").not_exists() | Attr("in_force").eq(0))


def items_of(table: LedgerTable, drive: DriveId) -> Iterator[Item]:
    """The items of a drive's holds."""
    yield from table.query(Key("pk").eq(HOLDS) & Key("sk").begins_with(_sort_key(drive, "")))
    count = table.get(HOLDS, _count_key(drive))
    if count is not None:
        yield count


def _hold(item: Item) -> Hold:
    vehicle_id, _, drive_id = text(item, "drive").partition("/")
    return Hold(
        hold_id=text(item, "hold_id"),
        drive=DriveId(vehicle_id, drive_id),
        reason=text(item, "reason"),
        person=text(item, "person"),
        held_ns=number(item, "held_ns"),
        released_ns=number(item, "released_ns") if "released_ns" in item else None,
        released_by=optional_text(item, "released_by"),
        why_released=optional_text(item, "why_released"),
    )


def _sort_key(drive: DriveId, hold_id: str) -> str:
    return f"hold#{drive}#{hold_id}"


def _count_key(drive: DriveId) -> str:
    return f"drive#{drive}"
