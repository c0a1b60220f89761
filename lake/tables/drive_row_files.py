"""How a drive is in the data files of a table: alone, beside rows of others, or not at all; and rewritten files without it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.types import StringType

from lake.landing import DriveId
from lake.parquet.table_file import WRITE_OPTIONS

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

VEHICLE, DRIVE = "vehicle_id", "drive_id"


class DriveRowFiles:
    """The data files of one table, as a drive is in them. A file is read where its bounds cannot tell, a row group at a time.

    A table without a column `drive_id` names a drive in the paths that it lists: its rows are read.
    """

    def __init__(self, table: Table, drive: DriveId) -> None:
        self.table, self.drive = table, drive
        self._ids = {field.name: field.field_id for field in table.schema().fields}
        self._vehicle_at = {
            number: [field.name for field in spec.fields].index(VEHICLE)
            for number, spec in table.specs().items()
            if any(field.name == VEHICLE for field in spec.fields)
        }
        self._rows: dict[str, int] = {}

    def rows_of_drive(self, file: DataFile) -> int:
        """How many rows of a file are the drive's."""
        if not self._may_hold(file):
            return 0
        if self._bounds(file, VEHICLE, self.drive.vehicle_id) == self._bounds(file, DRIVE, self.drive.drive_id) == "only":
            return int(file.record_count)
        path = str(file.file_path)
        if path not in self._rows:
            self._rows[path] = self._count(path)
        return self._rows[path]

    def write_rest(self, file: DataFile) -> str:
        """Copy the rows of other drives, in their order, to a new file; row groups stay as they are.

        Returns its URI, which does not name the drive. No reader sees it until a commit adds it to the table.
        """
        folder = file.file_path.rpartition("/")[0]
        if str(self.drive) in folder:
            folder = f"{self.table.location()}/data/{self.drive.vehicle_id}"
        uri = f"{folder}/{uuid.uuid4().hex}.parquet"
        with (
            self._opened(file.file_path) as found,
            self.table.io.new_output(uri).create(overwrite=True) as stream,
            pq.ParquetWriter(stream, found.schema_arrow, **WRITE_OPTIONS) as writer,
        ):
            for number in range(found.num_row_groups):
                rows = found.read_row_group(number)
                others = rows.filter(pc.invert(self._mask(rows)))
                if others.num_rows:
                    writer.write_table(others, row_group_size=others.num_rows)
        return uri

    def named_by_bounds(self, file: DataFile) -> bool:
        """Whether a bound of a file's drives is the drive: then the manifest that lists the file names it."""
        if self._of_another_vehicle(file):
            return False
        field_id = self._ids.get(DRIVE, -1)
        bounds = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
        return any(bound == self.drive.drive_id.encode() for bound in bounds)

    def _may_hold(self, file: DataFile) -> bool:
        if self._of_another_vehicle(file):
            return False
        if DRIVE not in self._ids:
            return VEHICLE in self._ids
        return (
            self._bounds(file, VEHICLE, self.drive.vehicle_id) != "none"
            and self._bounds(file, DRIVE, self.drive.drive_id) != "none"
        )

    def _of_another_vehicle(self, file: DataFile) -> bool:
        at = self._vehicle_at.get(file.spec_id)
        return at is not None and file.partition[at] != self.drive.vehicle_id

    def _bounds(self, file: DataFile, column: str, value: str) -> str:
        """Whether a file holds `value` alone in a column (`only`), cannot hold it (`none`), or may hold it (`may`)."""
        field_id = self._ids.get(column, -1)
        lower, upper = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
        if lower is None or upper is None:
            return "may"
        least, most = from_bytes(StringType(), lower), from_bytes(StringType(), upper)
        # A bound that was cut is shorter than the value that it stands for, and the upper one greater: neither equals it. Rows
        # without a value are in no bound.
        if least == most == value and (file.null_value_counts or {}).get(field_id) == 0:
            return "only"
        return "may" if least <= value <= most else "none"

    def _count(self, path: str) -> int:
        with self._opened(path) as found:
            keys = [VEHICLE, DRIVE] if DRIVE in found.schema_arrow.names else None
            groups = (found.read_row_group(number, columns=keys) for number in range(found.num_row_groups))
            return sum(pc.sum(self._mask(rows)).as_py() or 0 for rows in groups)

    @contextmanager
    def _opened(self, path: str) -> Iterator[pq.ParquetFile]:
        with self.table.io.new_input(path).open() as stream, pq.ParquetFile(stream, page_checksum_verification=True) as found:
            yield found

    def _mask(self, rows: pa.Table) -> pa.ChunkedArray:
        of_vehicle = pc.equal(rows[VEHICLE], self.drive.vehicle_id)
        named = pc.equal(rows[DRIVE], self.drive.drive_id) if DRIVE in rows.column_names else _names(rows, self.drive)
        # A row without an id is of no drive, and must not be lost with this one.
        return pc.fill_null(pc.and_(of_vehicle, named), False)


def _names(rows: pa.Table, drive: DriveId) -> pa.Array:
    """Rows of which any text, at any depth, holds the drive as a path does."""
    path = f"/{drive}/"
    return pa.array([any(path in text for text in _texts(row)) for row in rows.to_pylist()], pa.bool_())


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return []
