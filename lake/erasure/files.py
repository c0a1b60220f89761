"""The data files of a table that hold rows of one drive, alone or beside rows of others, and rewritten files without them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.types import StringType

from lake.landing import DriveId
from lake.parquet.table_file import WRITE_OPTIONS

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

VEHICLE, DRIVE = "vehicle_id", "drive_id"


class DriveRowFiles:
    """The data files of one table, as a drive is in them. Each file is read at most once, and only where its bounds cannot tell.

    A table without a column `drive_id` names a drive in the paths that it lists: its rows are read.
    """

    def __init__(self, table: Table, drive: DriveId) -> None:
        self.table = table
        self.drive = drive
        self._io: FileIO = table.io
        self._ids = {field.name: field.field_id for field in table.schema().fields}
        self._partition = [field.name for field in table.spec().fields]
        self._rows: dict[str, int] = {}
        self._rewritten: dict[str, DataFile | None] = {}

    def rows_of_drive(self, file: DataFile) -> int:
        """How many rows of a file are the drive's."""
        if not self._may_hold(file):
            return 0
        if self._bounds(file, VEHICLE, self.drive.vehicle_id) == self._bounds(file, DRIVE, self.drive.drive_id) == "only":
            return int(file.record_count)
        path = str(file.file_path)
        if path not in self._rows:
            self._rows[path] = pc.sum(self._mask(self._read(path))).as_py() or 0
        return self._rows[path]

    def without_drive(self, file: DataFile) -> DataFile | None:
        """A file with the rows of the others, written anew where there are any; None where there are none.

        Every snapshot that lists the file gets the same new one.
        """
        path = str(file.file_path)
        if self.rows_of_drive(file) == file.record_count:
            return None
        if path not in self._rewritten:
            rows = self._read(path)
            kept = rows.filter(pc.invert(self._mask(rows)))
            self._rewritten[path] = self._write(kept, path)
        return self._rewritten[path]

    def _may_hold(self, file: DataFile) -> bool:
        if self._of_another_vehicle(file):
            return False
        if DRIVE not in self._ids:
            return VEHICLE in self._ids
        return (
            self._bounds(file, VEHICLE, self.drive.vehicle_id) != "none"
            and self._bounds(file, DRIVE, self.drive.drive_id) != "none"
        )

    def named_by_bounds(self, file: DataFile) -> bool:
        """Whether a bound of a file's drives is the drive: then the manifest that lists the file names it."""
        if self._of_another_vehicle(file):
            return False
        field_id = self._ids.get(DRIVE, -1)
        bounds = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
        return any(bound == self.drive.drive_id.encode() for bound in bounds)

    def _of_another_vehicle(self, file: DataFile) -> bool:
        return VEHICLE in self._partition and file.partition[self._partition.index(VEHICLE)] != self.drive.vehicle_id

    def _bounds(self, file: DataFile, column: str, value: str) -> str:
        """Whether a file holds `value` alone in a column (`only`), cannot hold it (`none`), or may hold it (`may`)."""
        field_id = self._ids.get(column, -1)
        lower, upper = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
        if lower is None or upper is None:
            return "may"
        least, most = from_bytes(StringType(), lower), from_bytes(StringType(), upper)
        # A bound that was cut is shorter than the value that it stands for, and the upper one greater: neither equals it.
        if least == most == value:
            return "only"
        return "may" if least <= value <= most else "none"

    def _read(self, path: str) -> pa.Table:
        with self._io.new_input(path).open() as stream:
            return pq.ParquetFile(stream, page_checksum_verification=True).read()

    def _mask(self, rows: pa.Table) -> pa.ChunkedArray:
        of_vehicle = pc.equal(rows[VEHICLE], self.drive.vehicle_id)
        named = pc.equal(rows[DRIVE], self.drive.drive_id) if DRIVE in rows.column_names else _names(rows, self.drive)
        return pc.fill_null(pc.and_(of_vehicle, named), False)

    def _write(self, rows: pa.Table, old_path: str) -> DataFile:
        folder = old_path.rpartition("/")[0]
        if str(self.drive) in folder:
            folder = f"{self.table.location()}/data/{self.drive.vehicle_id}"
        path = f"{folder}/{uuid.uuid4().hex}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, **WRITE_OPTIONS)
        with self._io.new_output(path).create() as stream:
            stream.write(sink.getvalue().to_pybytes())
        return parquet_file_to_data_file(self._io, self.table.metadata, path)


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
