"""Which drives an audit looks at: of a day, changed since a time, or changed since the watermark."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from pyiceberg.expressions import GreaterThanOrEqual, Reference
from pyiceberg.expressions.literals import literal

from ingest.ledger.records import DriveRecord
from ingest.ledger.states import FINAL, DriveState
from lake.landing import DriveId
from lake.tables.drives import DRIVES_TABLE
from lake.tables.pinned import PinnedTables
from lake.tables.planned_files import is_drive
from ops.errors import InputError
from scenes.accounting.known_drives import NO_DAY, KnownDrives, Rows
from scenes.accounting.watermark import Watermark
from sensors.time_units import NS_PER_DAY, NS_PER_S

OVERLAP_NS = 300 * NS_PER_S  # the index is eventually consistent, and the clocks of its writers differ
MOST_SETTLING = 100_000
_EPOCH = datetime.date(1970, 1, 1)


class ChangedLedger(Protocol):
    """What a selection reads of the ledger (`ingest.ledger.repository.Ledger`)."""

    def drives(
        self, state: DriveState | None = None, since_ns: int = 0, until_ns: int | None = None
    ) -> Iterator[DriveRecord]: ...
    def settling(self, before_ns: int, limit: int) -> list[DriveId]: ...


def add_day(known: KnownDrives, ledger: ChangedLedger, tables: PinnedTables, day: datetime.date) -> None:
    """Add the drives of a UTC day: those with rows filed under it, those that entered their final state on it, and those in work
    that landed or changed on it. So a drive that came to nothing is of a day, too."""
    known.add_tables(tables, day=day)
    begin_ns = (day - _EPOCH).days * NS_PER_DAY
    end_ns = begin_ns + NS_PER_DAY - 1
    for state in sorted(FINAL):
        known.add(_names(ledger.drives(state, begin_ns, end_ns)))
    in_work = (record for state in DriveState if state not in FINAL for record in ledger.drives(state))
    times = ((record, (record.created_ns, record.changed_ns, record.updated_ns)) for record in in_work)
    known.add(_names(record for record, moments in times if any(begin_ns <= at_ns <= end_ns for at_ns in moments)))


def add_since_time(known: KnownDrives, ledger: ChangedLedger, tables: PinnedTables, since_ns: int) -> None:
    """Add the drives whose ledger record changed, or that were published, at a time or later, and all that are in work."""
    _add_changed_in_ledger(known, ledger, since_ns)
    if tables:
        later = GreaterThanOrEqual(term=Reference("committed_ns"), value=literal(since_ns))
        scan = tables.load_table(DRIVES_TABLE).scan(row_filter=later, selected_fields=("vehicle_id", "drive_id"))
        for batch in scan.to_arrow_batch_reader():
            known.add(_of_rows(batch.to_pylist()))


def add_since_watermark(known: KnownDrives, ledger: ChangedLedger, tables: PinnedTables, watermark: Watermark) -> None:
    """Add the drives of which the watermark says nothing: their ledger record changed after it, or a table has a file of theirs
    that was added after it; those in work; and those that it leaves open."""
    _add_changed_in_ledger(known, ledger, watermark.as_of_ns)
    known.add_tables(tables, after={name: position.sequence for name, position in watermark.tables.items()})
    known.add((drive, NO_DAY) for drive in watermark.open_drives)


def _add_changed_in_ledger(known: KnownDrives, ledger: ChangedLedger, since_ns: int) -> None:
    for state in DriveState:
        known.add(_names(ledger.drives(state, max(0, since_ns - OVERLAP_NS) if state in FINAL else 0)))
    # A new object of a finished drive does not change its state, so no query by state finds it.
    settling = ledger.settling(time.time_ns(), MOST_SETTLING)
    if len(settling) >= MOST_SETTLING:
        raise InputError(f"{MOST_SETTLING} finished drives have new objects, or more", "run `scenelake audit --all`")
    known.add((str(drive), NO_DAY) for drive in settling)


def _names(records: Iterable[DriveRecord]) -> Rows:
    return ((str(record.drive), NO_DAY) for record in records)


def _of_rows(rows: list[dict[str, str]]) -> Rows:
    names = (f"{row['vehicle_id']}/{row['drive_id']}" for row in rows)
    return ((name, NO_DAY) for name in names if is_drive(name))
