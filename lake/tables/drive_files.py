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
from pyiceberg.expressions.visitors import inclusive_projection, manifest_evaluator
from pyiceberg.manifest import ManifestContent

from lake.errors import TableError
from lake.iceberg.internals import entries_of, manifests_of, table_of
from lake.iceberg.manifest_clusters import files_of
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.drive_rows import DAY, of_drive

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from lake.landing import DriveId

_KEYS = ("vehicle_id", "drive_id")


@dataclass(frozen=True, slots=True)
class DriveFiles:
    """Files to be replaced so that a drive has no row in the table: `held` by `rest`, new files of the rows of other drives."""

    held: tuple[DataFile, ...] = ()
    rest: tuple[str, ...] = ()


def without_drive(change: Transaction, drive: DriveId, days: Collection[date] | None) -> DriveFiles:
    """Find a drive's files in the current snapshot, and write the rows of other drives that share one with it.

    Rows are copied a row group at a time. No reader sees a new file until a commit adds it to the table.

    Args:
        change: A transaction on one of `lake.tables.names.DATA_TABLES` that has no snapshot staged.
        drive: The drive.
        days: The days that its rows may be filed under; None if that is not known. Manifests of other days are not opened.

    Raises:
        TableError: The table has delete files that may be of the drive's files; rows of other drives would come back.
    """
    table = table_of(change)
    dated = any(field.name == DAY for field in table.spec().fields)
    where = of_drive(drive, days if dated else None)
    keys = {table.schema().find_field(name).field_id: getattr(drive, name).encode() for name in _KEYS}
    held: list[DataFile] = []
    rest: list[str] = []
    for file in _in_partitions(change, where):
        lower, upper = file.lower_bounds or {}, file.upper_bounds or {}
        if not all(lower.get(key, wanted) <= wanted <= upper.get(key, wanted) for key, wanted in keys.items()):
            continue
        if not all(lower.get(key) == upper.get(key) == wanted for key, wanted in keys.items()):
            rows = _count(table, file, drive)
            if rows == 0:
                continue
            if rows < file.record_count:
                rest.append(_write_rest(table, file, drive))
        held.append(file)
    return DriveFiles(tuple(held), tuple(rest))


def _in_partitions(change: Transaction, where: BooleanExpression) -> Iterator[DataFile]:
    """The data files of the manifests whose partitions may hold such rows."""
    table = table_of(change)
    schema = table.schema()
    may_hold = {
        number: manifest_evaluator(spec, schema, inclusive_projection(schema, spec)(where))
        for number, spec in table.specs().items()
    }
    for manifest in filter(files_of, manifests_of(change)):
        if not may_hold[manifest.partition_spec_id](manifest):
            continue
        if manifest.content is not ManifestContent.DATA:
            raise TableError(f"{'.'.join(table.name())} has delete files, which are lost when data files are rewritten")
        for entry in entries_of(change, manifest):
            yield entry.data_file


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
        pq.ParquetWriter(stream, found.schema_arrow, **WRITE_OPTIONS) as writer,
    ):
        for number in range(found.num_row_groups):
            rows = found.read_row_group(number)
            others = rows.filter(pc.invert(_is_of(rows, drive)))
            if others.num_rows:
                writer.write_table(others, row_group_size=others.num_rows)
    return uri


def _is_of(rows: pa.Table, drive: DriveId) -> pa.ChunkedArray:
    # A row without an id is of no drive, and must not be lost with this one.
    return pc.fill_null(pc.and_(*(pc.equal(rows[name], getattr(drive, name)) for name in _KEYS)), False)


@contextmanager
def _opened(table: Table, file: DataFile) -> Iterator[pq.ParquetFile]:
    with table.io.new_input(file.file_path).open() as stream, pq.ParquetFile(stream, page_checksum_verification=True) as found:
        yield found
