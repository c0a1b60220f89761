"""Rows of `gold.drives`: one for each publication, appended in its commit and removed only when the drive is forgotten.

They are the fence of publications (promise P2) and the index of what was ever published. A file of the table holds rows of one
vehicle, its partition, so a drive is found by partition and by the bounds of `drive_id`.

A forgotten drive has one row, its tombstone, in a partition of its own (ADR 0044). No function here returns it as a publication.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.expressions import And, BooleanExpression, NotEqualTo, Reference
from pyiceberg.expressions.literals import literal

from lake import pseudonyms
from lake.iceberg.replace_files import replace_files
from lake.landing import DriveId
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.drive_rows import equal, of_drive
from lake.tables.rows import DriveRow, row_of
from lake.tables.schemas import DRIVES

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

DRIVES_TABLE = "gold.drives"
FILLED = "scenelake.filled-from-summaries"  # property of the table: NEW_LAKE, or OLDER_LAKE once `lake.tables.backfill` is done
NEW_LAKE, OLDER_LAKE = "new-lake", "true"
FORGOTTEN = "~forgotten"  # vehicle of the tombstones; no vehicle id begins with a tilde
SALT = "scenelake.pseudonym-salt"  # property of the table, from the first drive that was forgotten on
WITHOUT_FILES = tuple(name for name in DRIVES.names if name != "files")


def publications(table: Table, drive: DriveId | None = None) -> tuple[DriveRow, ...]:
    """The publications of a drive, or of all drives, in the order of their commits; `files` is not read."""
    published: BooleanExpression = NotEqualTo(term=Reference("vehicle_id"), value=literal(FORGOTTEN))
    row_filter = published if drive is None else of_drive(drive)
    found = table.scan(row_filter=row_filter, selected_fields=columns_without_files(table)).to_arrow()
    return tuple(sorted((row_of(DriveRow, row) for row in found.to_pylist()), key=_age))


def columns_without_files(table: Table) -> tuple[str, ...]:
    """The columns of `WITHOUT_FILES` that the table has: one of an older version lacks some until something is published."""
    known = {field.name for field in table.schema().fields}
    return tuple(name for name in WITHOUT_FILES if name in known)


def newest(table: Table, drive: DriveId) -> DriveRow | None:
    """The publication of a drive with the highest generation; None if it was never published."""
    return max(publications(table, drive), key=lambda row: row.generation, default=None)


def may_lack_rows(table: Table) -> bool:
    """Whether drives may have been published that no row is of: the lake is older than the table."""
    return table.properties.get(FILLED) != NEW_LAKE


def tombstone(table: Table, drive: DriveId) -> str | None:
    """The request by which a drive was forgotten; None if it was not. Reads one partition, and nothing where none ever was."""
    salt = table.properties.get(SALT)
    if salt is None:
        return None
    row_filter = And(equal("vehicle_id", FORGOTTEN), equal("drive_id", pseudonyms.of_drive(salt, drive)))
    requests: list[str] = table.scan(row_filter=row_filter, selected_fields=("revision",)).to_arrow()["revision"].to_pylist()
    return requests[0] if requests else None


def tombstone_row(salt: str, drive: DriveId, request: str, now_ns: int) -> DriveRow:
    """The row that takes the place of a drive's publications, without its name: `revision` is the request."""
    pseudonym = pseudonyms.of_drive(salt, drive)
    return DriveRow(
        vehicle_id=FORGOTTEN,
        drive_id=pseudonym,
        revision=request,
        generation=0,
        committed_ns=now_ns,
        scenes=0,
        scenes_snapshot_id=0,
    )


def add_rows(transaction: Transaction, table: Table, rows: Sequence[DriveRow], summary: Mapping[str, str]) -> None:
    """Let a transaction on the table add rows of any vehicles; rows that are there stay."""
    by_vehicle: dict[str, list[DriveRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.vehicle_id, row.drive_id, row.generation)):
        by_vehicle[row.vehicle_id].append(row)
    replace_files(transaction, table.io, (), [_write(table, some) for some in by_vehicle.values()], summary)


def _write(table: Table, rows: Sequence[DriveRow]) -> str:
    """Write rows of one vehicle to a new file and return its URI; no reader sees it until a commit adds it to the table.

    The name is the attempt's own and begins with vehicle and drive, so that all files of a drive can be listed; a file of
    several drives begins with the vehicle alone.
    """
    (vehicle,) = {row.vehicle_id for row in rows}
    drives = {row.drive_id for row in rows}
    stem = f"{drives.pop()}/{rows[0].revision[:16]}-" if len(drives) == 1 else ""
    uri = f"{table.location()}/data/{vehicle}/{stem}{uuid.uuid4().hex}.parquet"
    sink = pa.BufferOutputStream()
    built = [msgspec.to_builtins(row, builtin_types=(date,)) for row in rows]
    pq.write_table(pa.Table.from_pylist(built, schema=DRIVES), sink, **WRITE_OPTIONS)
    with table.io.new_output(uri).create(overwrite=True) as stream:
        stream.write(sink.getvalue().to_pybytes())
    return uri


def _age(row: DriveRow) -> tuple[int, str, int]:
    return row.committed_ns, f"{row.vehicle_id}/{row.drive_id}", row.generation
