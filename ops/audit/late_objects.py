"""Objects that landed although their drive was forgotten: the ledger counts them without their names, so the audit finds them by
their pseudonyms. They count as refused, until the drive is forgotten again and they are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lake import pseudonyms
from lake.landing import drive_of_prefix
from ops.audit.identity import LedgerObject, RawObject

if TYPE_CHECKING:
    from ingest.ledger.tombstones import Tombstones


def late_objects(tombstones: Tombstones, raw: Iterable[RawObject]) -> Iterator[LedgerObject]:
    """The raw objects among `raw` that the ledger has refused because their drive was forgotten."""
    forgotten = {one.pseudonym for one in tombstones.all()}
    for one in raw if forgotten else ():
        drive = drive_of_prefix(one.key)
        if drive is None or pseudonyms.of_drive(tombstones.salt(), drive) not in forgotten:
            continue
        if tombstones.is_late(drive, one.key, one.version_id):
            yield LedgerObject(one.key, one.version_id, "refused")
