"""The data files that hold rows of some drives: planned once for all of them, then read drive by drive.

To plan a drive opens the manifests of its partitions. An audit of 336 drives that planned each of them in each table would open
the same manifests 336 times.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import And, BooleanExpression, In, IsNull, Or, Reference
from pyiceberg.expressions.literals import literal
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table.snapshots import Operation
from pyiceberg.types import DateType, StringType
from pyiceberg.utils.datetime import date_to_days, days_to_date

from lake.errors import LakeError, LandingError
from lake.landing import DriveId
from lake.tables.drive_rows import on_days
from lake.tables.drives import WITHOUT_FILES
from lake.tables.rows import DriveRow, row_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot

Days = frozenset[datetime.date]
Span = tuple[str | None, str | None]
BATCH_ROWS = 16_384


def days_of(publications: Sequence[DriveRow]) -> Days | None:
    """The days that rows of any of these publications were filed under; None where one of them does not say.

    Those of former publications are among them: their rows are not expected, and have to be found if they are there.
    """
    if any(row.days is None for row in publications):
        return None
    return frozenset(day for row in publications for day in row.days or ())


class PlannedFiles:
    """The files of one table that may hold rows of `drives`.

    `days`: only these partitions of a table that is partitioned by day; None for all of them.
    """

    def __init__(self, table: Table, drives: Collection[DriveId], days: Days | None = None) -> None:
        self._table = table
        schema = table.schema()
        tasks = table.scan(row_filter=_among(table, drives, days)).plan_files() if drives else ()
        self._tasks = [(task, *drive_spans(task.file, schema)) for task in tasks]

    def of(self, drive: DriveId) -> list[FileScanTask]:
        """The files that may hold rows of one of the drives, in the order of their names."""
        found = [task for task, vehicles, drives in self._tasks if within(drive, vehicles, drives)]
        return sorted(found, key=lambda task: task.file.file_path)

    def batches(
        self,
        drive: DriveId,
        columns: Sequence[str],
        nested: Mapping[str, Sequence[str]] | None = None,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        """The drive's rows, file by file.

        pyiceberg reads a column that is a list of structs whole, payload included, and drops the rest afterwards.

        Args:
            drive: One of the drives.
            columns: Columns to read; a file that was written before one of them existed goes without.
            nested: Of columns that are lists of structs, the fields to read.
            encoded: Columns of text with few distinct values, which come as dictionaries.

        Raises:
            LakeError: A file has rows that were deleted without rewriting it.
            OSError: A file cannot be read.
        """
        flat = {*columns, "vehicle_id", "drive_id"}
        leaves = {f"{column}.list.element.{field}" for column, fields in (nested or {}).items() for field in fields}
        is_it = (pc.field("vehicle_id") == drive.vehicle_id) & (pc.field("drive_id") == drive.drive_id)
        for task in self.of(drive):
            if task.delete_files:
                raise LakeError(f"{task.file.file_path} has delete files, which this reader does not apply")
            with (
                self._table.io.new_input(task.file.file_path).open() as stream,
                pq.ParquetFile(stream, read_dictionary=list(encoded)) as file,
            ):
                paths = [file.schema.column(number).path for number in range(len(file.schema))]
                chosen = [path for path in paths if path in leaves or path.partition(".")[0] in flat]
                groups = [number for number in range(file.num_row_groups) if _may_have(file.metadata.row_group(number), drive)]
                for batch in file.iter_batches(BATCH_ROWS, row_groups=groups, columns=chosen) if groups else ():
                    rows = pa.Table.from_batches([batch]).filter(is_it)
                    yield from rows.combine_chunks().to_batches()


def _may_have(group: pq.RowGroupMetaData, drive: DriveId) -> bool:
    wanted = {"vehicle_id": drive.vehicle_id, "drive_id": drive.drive_id}
    for number in range(group.num_columns):
        column = group.column(number)
        value, found = wanted.get(column.path_in_schema), column.statistics
        if value is not None and found is not None and found.has_min_max and not found.min <= value <= found.max:
            return False
    return True


def _among(table: Table, drives: Collection[DriveId], days: Days | None) -> BooleanExpression:
    vehicle_ids = {literal(drive.vehicle_id) for drive in drives}
    drive_ids = {literal(drive.drive_id) for drive in drives}
    found: BooleanExpression = And(_in("vehicle_id", vehicle_ids), _in("drive_id", drive_ids))
    if days and "day" in table.schema().column_names:
        return And(found, Or(on_days(days), IsNull(term=Reference("day"))))  # rows of no day are of an older lake
    return found


def _in(column: str, values: set[Any]) -> BooleanExpression:
    return In(term=Reference(column), values=values)


def drive_spans(file: DataFile, schema: Schema) -> tuple[Span, Span]:
    """The first and last `vehicle_id` and `drive_id` in a file; None where it does not say. They may be shortened."""
    return _span(file, schema.find_field("vehicle_id").field_id), _span(file, schema.find_field("drive_id").field_id)


def _span(file: DataFile, field_id: int) -> Span:
    low, high = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
    kind = StringType()
    return (None if low is None else str(from_bytes(kind, low)), None if high is None else str(from_bytes(kind, high)))


def may_lack_ids(file: DataFile, schema: Schema) -> bool:
    """Whether a file may hold rows without a vehicle or a drive, which its bounds do not show; nothing here writes such."""
    ids = [schema.find_field(name).field_id for name in ("vehicle_id", "drive_id")]
    return any((file.null_value_counts or {}).get(field_id) != 0 for field_id in ids)


def within(drive: DriveId, vehicles: Span, drives: Span) -> bool:
    """Whether a file with these bounds may hold rows of a drive."""
    return _between(drive.vehicle_id, vehicles) and _between(drive.drive_id, drives)


def _between(value: str, span: Span) -> bool:
    return (span[0] is None or span[0] <= value) and (span[1] is None or value <= span[1])


def added_files(table: Table, after: int = 0, day: datetime.date | None = None) -> Iterator[DataFile]:
    """The data files that were added after the commit with sequence number `after`, only those of `day` if it is given.

    Manifests are opened one by one, and only those that may name such a file. What the commits in between removed is not among
    them, nor are files into which maintenance has merged older ones.
    """
    snapshot = table.current_snapshot()
    merged = _merges_of_older(table, after) if after else frozenset()
    for manifest in () if snapshot is None else snapshot.manifests(table.io):
        if manifest.sequence_number > after and _may_hold(table, manifest, day):
            for entry in manifest.fetch_manifest_entry(table.io):
                is_new = (entry.sequence_number or 0) > after and entry.snapshot_id not in merged
                if is_new and day in (None, day_of(table, entry.data_file)):
                    yield entry.data_file


def _merges_of_older(table: Table, after: int) -> frozenset[int]:
    """The snapshots after a commit that say that they changed no row, added as many rows as they removed, and removed only files
    that were there at that commit. One that has expired is not among them."""
    return frozenset(
        snapshot.snapshot_id
        for snapshot in table.metadata.snapshots
        if (snapshot.sequence_number or 0) > after
        and _keeps_rows(snapshot)
        and all(sequence <= after for sequence in _removed_files(table, snapshot))
    )


def _keeps_rows(snapshot: Snapshot) -> bool:
    told = snapshot.summary
    return told is not None and told.operation is Operation.REPLACE and told.get("added-records") == told.get("deleted-records")


def _removed_files(table: Table, snapshot: Snapshot) -> Iterator[int]:
    """Of each file that a snapshot removed, the sequence number of the commit that had added it."""
    for manifest in snapshot.manifests(table.io):
        if manifest.added_snapshot_id == snapshot.snapshot_id and manifest.deleted_files_count:
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                if entry.status is ManifestEntryStatus.DELETED:
                    yield entry.sequence_number or 0


def added_publications(drives: Table, after: int = 0) -> Iterator[DriveRow]:
    """The rows of `gold.drives` that were added after the commit with sequence number `after`; `files` is not read.

    Rows that remember a drive that was forgotten are left out. A row that maintenance has written anew may come again.
    """
    for file in added_files(drives, after):
        with drives.io.new_input(file.file_path).open() as stream, pq.ParquetFile(stream) as parquet:
            columns = [name for name in parquet.schema_arrow.names if name in WITHOUT_FILES]
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                rows = (row_of(DriveRow, row) for row in batch.to_pylist())
                yield from (row for row in rows if is_drive(f"{row.vehicle_id}/{row.drive_id}"))


def is_drive(name: str) -> bool:
    """Whether a name is that of a drive; the row that remembers a drive that was forgotten has none."""
    try:
        DriveId(*name.split("/"))
    except (LandingError, TypeError):
        return False
    return True


def _may_hold(table: Table, manifest: ManifestFile, day: datetime.date | None) -> bool:
    fields = [field.name for field in table.metadata.specs()[manifest.partition_spec_id].fields]
    if day is None or "day" not in fields or not manifest.partitions:
        return True
    summary = manifest.partitions[fields.index("day")]
    if summary.lower_bound is None or summary.upper_bound is None:
        return True
    low, high = (int(from_bytes(DateType(), bound)) for bound in (summary.lower_bound, summary.upper_bound))
    return low <= date_to_days(day) <= high


def day_of(table: Table, file: DataFile) -> datetime.date | None:
    """The day that the rows of a file are filed under; None in a table that is not partitioned by day."""
    fields = [field.name for field in table.metadata.specs()[file.spec_id].fields]
    value = file.partition[fields.index("day")] if "day" in fields else None
    return value if value is None or isinstance(value, datetime.date) else days_to_date(int(value))
