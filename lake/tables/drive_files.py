"""The data files of a table that hold rows of one drive, and what is left of them without it.

A file of `gold.scenes` holds one drive, and its bounds say so: removing the drive is a matter of metadata. Frames and records of
several drives may share a file after compaction; then its other rows are written to a new one.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.expressions import And

from lake.errors import TableError
from lake.tables.drive_rows import of_drive, on_days

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from lake.landing import DriveId

_KEYS = ("vehicle_id", "drive_id")
_DAY = "day"


@dataclass(frozen=True, slots=True)
class DriveFiles:
    """Files to be replaced so that a drive has no row in the table: `held` by `rest`, new files of the rows of other drives."""

    held: tuple[DataFile, ...] = ()
    rest: tuple[str, ...] = ()


def without_drive(table: Table, drive: DriveId, days: Collection[date] | None) -> DriveFiles:
    """Find a drive's files in the current snapshot, and write the rows of other drives that share one with it.

    Rows are copied a row group at a time. No reader sees a new file until a commit adds it to the table.

    Args:
        table: One of `lake.tables.schemas.DATA_TABLES`, as of the snapshot that is to be changed.
        drive: The drive.
        days: The days that its rows may be filed under; None if that is not known. Manifests of other days are not opened.

    Raises:
        TableError: A file has rows that were deleted without rewriting it; rows of other drives would come back.
    """
    where = of_drive(drive)
    if days is not None and any(field.name == _DAY for field in table.spec().fields):
        # A row without a day is older than the column.
        undated = not table.schema().find_field(_DAY).required
        if not days and not undated:
            return DriveFiles()
        where = And(where, on_days(days, or_none=undated))
    held: list[DataFile] = []
    rest: list[str] = []
    for task in table.scan(row_filter=where, selected_fields=_KEYS).plan_files():
        if not _holds_only(table, task.file, drive):
            rows = _count(table, task.file, drive)
            if rows == 0:
                continue
            if rows < task.file.record_count:
                if task.delete_files:
                    raise TableError(f"{task.file.file_path} has delete files, which would be lost when it is rewritten")
                rest.append(_write_rest(table, task.file, drive))
        held.append(task.file)
    return DriveFiles(tuple(held), tuple(rest))


def _holds_only(table: Table, file: DataFile, drive: DriveId) -> bool:
    """Whether the bounds of a file prove that all its rows are of the drive."""
    lower, upper = file.lower_bounds or {}, file.upper_bounds or {}
    for name in _KEYS:
        key, wanted = table.schema().find_field(name).field_id, getattr(drive, name).encode()
        if not lower.get(key) == upper.get(key) == wanted:
            return False
    return True


def _count(table: Table, file: DataFile, drive: DriveId) -> int:
    with _opened(table, file) as found:
        return sum(
            pc.sum(_is_of(found.read_row_group(number, columns=list(_KEYS)), drive)).as_py() or 0
            for number in range(found.num_row_groups)
        )


def _write_rest(table: Table, file: DataFile, drive: DriveId) -> str:
    """Copy the rows of other drives, in their order, to a file beside the old one; row groups stay as they are."""
    uri = f"{file.file_path.rpartition('/')[0]}/{uuid.uuid4().hex}.parquet"
    with (
        _opened(table, file) as found,
        table.io.new_output(uri).create() as stream,
        pq.ParquetWriter(stream, found.schema_arrow, compression="zstd", compression_level=1) as writer,
    ):
        for number in range(found.num_row_groups):
            rows = found.read_row_group(number)
            others = rows.filter(pc.invert(_is_of(rows, drive)))
            if others.num_rows:
                writer.write_table(others, row_group_size=others.num_rows)
    return uri


def _is_of(rows: pa.Table, drive: DriveId) -> pa.ChunkedArray:
    return pc.and_(*(pc.equal(rows[name], getattr(drive, name)) for name in _KEYS))


@contextmanager
def _opened(table: Table, file: DataFile) -> Iterator[pq.ParquetFile]:
    with table.io.new_input(file.file_path).open() as stream, pq.ParquetFile(stream) as found:
        yield found
