"""Recalls: what is published and must not be used, by drive, sensor and time, for as long as the recall is not lifted.

A recall is rows of `gold.recalls`, one for each drive; nothing else changes. Whoever plans to read scenes asks `recalled`. A
recall is lifted by more rows: who excluded what, and who admitted it again, stays on record.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.exceptions import NoSuchTableError

from lake.errors import VersionError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.landing import DriveId
from lake.overrides import check_person
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.drives import DRIVES_TABLE, tombstone
from lake.tables.rows import row_of
from lake.tables.schemas import RECALLS

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

    from lake.iceberg.publisher import Publisher

RECALLS_TABLE = "gold.recalls"
EXCLUDE, LIFT = "exclude", "lift"


class RecallRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `gold.recalls`."""

    recall_id: str
    kind: str
    vehicle_id: str
    drive_id: str
    sensors: tuple[str, ...] = ()
    from_ns: int | None = None
    to_ns: int | None = None
    criteria: str
    reason: str
    person: str
    recorded_ns: int

    @property
    def drive(self) -> DriveId:
        """The drive."""
        return DriveId(self.vehicle_id, self.drive_id)

    def covers(self, anchor_ns: int) -> bool:
        """Whether an anchor lies in the interval."""
        return (self.from_ns is None or self.from_ns <= anchor_ns) and (self.to_ns is None or anchor_ns <= self.to_ns)


@dataclass(frozen=True, slots=True)
class Excluded:
    """What of a scene must not be used, and by which recalls. `whole`: all of it; else the `sensors`."""

    whole: bool
    sensors: frozenset[str]
    recalls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recalled:
    """The recalls that are in force, by drive."""

    by_drive: Mapping[DriveId, tuple[RecallRow, ...]]

    def of_scene(self, drive: DriveId, anchor_ns: int) -> Excluded | None:
        """What of the scene with this anchor must not be used; None: nothing."""
        rows = [row for row in self.by_drive.get(drive, ()) if row.covers(anchor_ns)]
        if not rows:
            return None
        whole = any(not row.sensors for row in rows)
        sensors = frozenset(name for row in rows for name in row.sensors)
        return Excluded(whole, sensors, tuple(sorted({row.recall_id for row in rows})))


def recalled(catalog: Publisher) -> Recalled:
    """What must not be used now. Recalls hold for every version, so they are read as of now, whichever version is read."""
    return in_force(recall_rows(catalog))


def in_force(rows: Iterable[RecallRow]) -> Recalled:
    """The recalls among `rows` that no row lifts."""
    listed = list(rows)
    lifted = {(row.recall_id, row.drive) for row in listed if row.kind == LIFT}
    by_drive: dict[DriveId, list[RecallRow]] = defaultdict(list)
    for row in listed:
        if row.kind == EXCLUDE and (row.recall_id, row.drive) not in lifted:
            by_drive[row.drive].append(row)
    return Recalled({drive: tuple(found) for drive, found in by_drive.items()})


def recall_rows(catalog: Publisher) -> tuple[RecallRow, ...]:
    """Every recall and every lift, oldest first."""
    try:
        table = catalog.load_table(RECALLS_TABLE)
    except NoSuchTableError:
        return ()  # a lake that no release with recalls has written to
    rows = (row_of(RecallRow, row) for row in table.scan().to_arrow().to_pylist())
    return tuple(sorted(rows, key=lambda row: (row.recorded_ns, row.recall_id, row.drive)))


def exclude(catalog: Publisher, rows: Sequence[RecallRow]) -> None:
    """Record a recall.

    Raises:
        OverrideError: The person or the reason is not one that can be kept.
        VersionError: There is nothing to exclude.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """
    if not rows:
        raise VersionError("nothing is excluded: no drive was found")
    check_person(rows[0].person, rows[0].reason)
    _add(catalog, rows)


def lift(catalog: Publisher, recall_id: str, reason: str, person: str, now_ns: int) -> tuple[RecallRow, ...]:
    """End a recall; returns the rows that say so.

    Raises:
        OverrideError: The person or the reason is not one that can be kept.
        VersionError: There is no such recall, or it was lifted.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """
    check_person(person, reason)

    def attempt() -> tuple[list[Transaction], tuple[RecallRow, ...]]:
        known = recall_rows(catalog)
        open_rows = [row for rows in in_force(known).by_drive.values() for row in rows if row.recall_id == recall_id]
        if not open_rows:
            ended = any(row.recall_id == recall_id for row in known)
            why = "was lifted before" if ended else "does not exist"
            raise VersionError(f"recall {recall_id!r} {why}", "`scenelake recall ls` lists the recalls")
        rows = tuple(
            msgspec.structs.replace(row, kind=LIFT, reason=reason, person=person, recorded_ns=now_ns) for row in open_rows
        )
        return [_staged(catalog.load_table(RECALLS_TABLE), rows)], rows

    return committed(catalog, attempt, f"recall {recall_id}")


def _add(catalog: Publisher, rows: Sequence[RecallRow]) -> None:
    def attempt() -> tuple[list[Transaction], None]:
        published = catalog.load_table(DRIVES_TABLE)
        # A drive that was forgotten is not named again.
        kept = [row for row in rows if tombstone(published, row.drive) is None]
        # Nor one that is forgotten before the commit: that the table of drives stays as it was read is part of it.
        return ([_staged(catalog.load_table(RECALLS_TABLE), kept), begin(published)] if kept else []), None

    committed(catalog, attempt, f"recall {rows[0].recall_id}")


def _staged(table: Table, rows: Sequence[RecallRow]) -> Transaction:
    by_vehicle: dict[str, list[RecallRow]] = defaultdict(list)
    for row in rows:
        by_vehicle[row.vehicle_id].append(row)
    change = begin(table)
    replace_files(change, table.io, (), [_write(table, some) for some in by_vehicle.values()], {})
    return change


def _write(table: Table, rows: Sequence[RecallRow]) -> str:
    """Write rows of one vehicle to a new file, and return its URI."""
    uri = f"{table.location()}/data/{rows[0].vehicle_id}/{uuid.uuid4().hex}.parquet"
    sink = pa.BufferOutputStream()
    built = [msgspec.to_builtins(row) for row in sorted(rows, key=lambda row: (row.drive_id, row.recall_id))]
    pq.write_table(pa.Table.from_pylist(built, schema=RECALLS), sink, **WRITE_OPTIONS)
    with table.io.new_output(uri).create() as stream:
        stream.write(sink.getvalue().to_pybytes())
    return uri
