"""The data files of a table that hold rows of one drive, and what is left of them without it.

A file of `gold.scenes` holds one drive, and its bounds say so: removing the drive is a matter of metadata. Frames and records of
several drives may share a file after compaction; then its other rows are written to a new one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyiceberg.expressions.visitors import inclusive_projection, manifest_evaluator
from pyiceberg.manifest import ManifestContent

from lake.errors import TableError
from lake.iceberg.internals import entries_of, manifests_of, table_of
from lake.iceberg.manifest_clusters import files_of
from lake.tables.drive_row_files import DriveRowFiles
from lake.tables.drive_rows import DAY, of_drive

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Transaction

    from lake.landing import DriveId


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
    files = DriveRowFiles(table, drive)
    held: list[DataFile] = []
    rest: list[str] = []
    for file in _in_partitions(change, where):
        rows = files.rows_of_drive(file)
        if rows:
            held.append(file)
        if 0 < rows < file.record_count:
            rest.append(files.write_rest(file))
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
