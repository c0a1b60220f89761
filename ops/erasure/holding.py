"""Holds a drive: against forgetting, and, by a tag of all tables, against the expiry of the version that holds it now."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.ledger.dynamodb_table import LedgerTable
from ingest.ledger.holds import Hold, Holds
from ingest.ledger.tombstones import Tombstones
from lake.errors import VersionError
from lake.landing import DriveId
from lake.overrides import check_person
from lake.versions.names import TagKind
from lake.versions.tags import create_tag, remove_tag, tags
from ops.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_dynamodb import DynamoDBClient

    from lake.iceberg.publisher import Publisher


@dataclass(frozen=True, slots=True)
class HeldDrive:
    """A hold, and whether a tag pins the version that held the drive then."""

    hold: Hold
    pinned: bool


class HoldDesk:
    """Places and releases holds. Each of its calls may be repeated after it was killed."""

    def __init__(self, dynamodb: DynamoDBClient, ledger_table: str, catalog: Publisher, clock: Callable[[], int]) -> None:
        self._table = LedgerTable(dynamodb, ledger_table)
        self._holds, self._tombstones = Holds(self._table, clock), Tombstones(self._table, clock)
        self._catalog = catalog

    def place(self, drive: DriveId, reason: str, person: str) -> HeldDrive:
        """Hold a drive. An equal hold that is in force is completed, not repeated.

        Raises:
            OverrideError: The person or the reason is not one that can be kept.
            NotFoundError: The ledger has no such drive.
            HeldError: The drive was forgotten.
        """
        check_person(person, reason)
        known = [hold for hold in self._holds.of(drive) if (hold.reason, hold.person) == (reason, person)]
        if not known and self._table.get(str(drive), "drive") is None and self._tombstones.of(drive) is None:
            raise NotFoundError(f"the ledger has no drive {drive}; nothing of it has landed", "check the names")
        unless = self._tombstones.not_forgotten(drive)
        hold = known[0] if known else self._holds.place(secrets.token_hex(4), drive, reason, person, unless)
        return HeldDrive(hold, self._pin(tag_of(hold)))

    def release(self, hold_id: str, reason: str, person: str) -> Hold:
        """End a hold, and drop its tag.

        Raises:
            OverrideError: The person or the reason is not one that can be kept.
            NotFoundError: There is no such hold.
        """
        check_person(person, reason)
        hold = next((one for one in self._holds.all() if one.hold_id == hold_id), None)
        if hold is None:
            raise NotFoundError(f"there is no hold {hold_id!r}", "`scenelake hold ls` lists the holds")
        self._holds.release(hold, person, reason)
        if tag_of(hold) in self._tagged():
            remove_tag(self._catalog, tag_of(hold), even_protected=True)
        return next(one for one in self._holds.all() if one.hold_id == hold_id)

    def all(self) -> list[HeldDrive]:
        """Every hold, released ones too."""
        tagged = self._tagged()
        return [HeldDrive(hold, tag_of(hold) in tagged) for hold in self._holds.all()]

    def _tagged(self) -> frozenset[str]:
        return frozenset(tag.name for tag in tags(self._catalog))

    def _pin(self, name: str) -> bool:
        if name in self._tagged():
            return True
        try:
            create_tag(self._catalog, name)
        except VersionError:
            return False  # gold is empty: there is nothing to pin
        return True


def tag_of(hold: Hold) -> str:
    """The tag of a hold; it does not name the drive."""
    return f"{TagKind.HOLD}-{hold.hold_id}"
