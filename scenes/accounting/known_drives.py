"""Every drive that any source knows, in the order of its name: the union of sources that are each in an order of their own.

The union is made in a file on disk, a row for each drive and day, so that memory does not grow with the lake. What is in the raw
bucket and belongs to no drive is found on the way.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import LandingError
from lake.landing import DriveId
from lake.tables.drives import DRIVES_TABLE, FORGOTTEN
from lake.tables.names import DATA_TABLES
from lake.tables.pinned import PinnedTables, pin
from lake.tables.planned_files import added_files, day_of, drive_spans, is_drive, may_lack_ids
from lake.tables.schemas import PARTITIONS
from scenes.accounting.drive_audit import Target
from scenes.accounting.drive_sources import AuditSources, raw_object, raw_versions
from scenes.accounting.inputs import RawObject

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from types_boto3_s3 import S3Client

NO_DAY = ""
Rows = Iterable[tuple[str, str]]
Outside = Callable[[RawObject], None]


class KnownDrives:
    """The drives found so far, on disk.

    `shared`: how many files of several drives were read for their names; `unreadable`: those that could not be, and why;
    `strangers`: files with rows whose ids are those of no drive.
    """

    def __init__(self) -> None:
        self.shared = 0
        self.unreadable: list[str] = []
        self.strangers: list[str] = []
        self._database = sqlite3.connect("")  # a temporary file of SQLite's own, which is gone with the connection
        self._database.execute("CREATE TABLE known (drive TEXT, day TEXT, PRIMARY KEY (drive, day)) WITHOUT ROWID")

    def add(self, rows: Rows) -> None:
        """Add drives by name, each with a day that it has rows under, or `NO_DAY`."""
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO known VALUES (?, ?)", rows)

    def add_tables(self, tables: PinnedTables, after: Mapping[str, int] | None = None, day: datetime.date | None = None) -> None:
        """Add the drives of the tables, each with a day of its rows, from the bounds of their files; a file of several drives is
        read for their names.

        `after`: by table, only files that were added after the commit with this sequence number; `day`: only files of this day,
        in tables that are partitioned by day.
        """
        for name in (*DATA_TABLES, DRIVES_TABLE) if tables else ():
            if day is not None and "day" not in PARTITIONS[name]:
                continue
            table = tables.load_table(name)
            for file in added_files(table, 0 if after is None else after.get(name, 0), day):
                of = day_of(table, file)
                names = self._drives_of(table, file)
                if not all(is_drive(one) or (name == DRIVES_TABLE and _is_tombstone(one)) for one in names):
                    self.strangers.append(str(file.file_path))
                self.add((drive, NO_DAY if of is None else of.isoformat()) for drive in names if is_drive(drive))

    def _drives_of(self, table: Table, file: DataFile) -> list[str]:
        (low_v, high_v), (low_d, high_d) = drive_spans(file, table.schema())
        one_drive = low_v is not None and low_d is not None and (low_v, low_d) == (high_v, high_d)
        if one_drive and not may_lack_ids(file, table.schema()):
            return [f"{low_v}/{low_d}"]
        self.shared += 1
        try:
            return _drives_in(table, file)
        except (OSError, pa.ArrowException, KeyError) as error:
            self.unreadable.append(f"{file.file_path} ({error})")
            return []

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT COUNT(DISTINCT drive) FROM known").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[Target]:
        rows = self._database.execute("SELECT drive, day FROM known ORDER BY drive, day")
        for name, entries in groupby(rows, key=lambda row: row[0]):
            days = (datetime.date.fromisoformat(day) for _, day in entries if day != NO_DAY)
            yield Target(DriveId(*name.split("/")), frozenset(days))

    def close(self) -> None:
        """Remove them from the disk."""
        self._database.close()


@contextmanager
def no_drives() -> Iterator[KnownDrives]:
    """An empty set of drives, removed from the disk at the end."""
    known = KnownDrives()
    try:
        yield known
    finally:
        known.close()


def add_all(known: KnownDrives, sources: AuditSources, outside: Outside) -> None:
    """Add every drive in the raw bucket, the ledger, or a table.

    `outside`: called with each version in the raw bucket whose key is not below a drive's prefix.
    """
    known.add((str(drive), NO_DAY) for drive in raw_drives(sources.s3, sources.names.raw_bucket, outside))
    known.add((str(record.drive), NO_DAY) for record in sources.ledger.drives())
    known.add_tables(pin(sources.catalog))


def raw_drives(s3: S3Client, bucket: str, outside: Outside) -> Iterator[DriveId]:
    """The drives with a version in the raw bucket: two levels of folders, without what is below them."""
    for vehicle in _folders(s3, bucket, "", outside):
        for prefix in _folders(s3, bucket, vehicle, outside):
            try:
                yield DriveId(*prefix.removesuffix("/").split("/"))
            except (LandingError, TypeError):
                for entry in raw_versions(s3, bucket, prefix):
                    outside(entry)


def _folders(s3: S3Client, bucket: str, prefix: str, outside: Outside) -> Iterator[str]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        for entry in page.get("Versions", ()):
            outside(raw_object(entry))
        yield from (entry["Prefix"] for entry in page.get("CommonPrefixes", ()))


def _is_tombstone(name: str) -> bool:
    """Whether a row is that of a drive that was forgotten, which has no name; there are none but in `gold.drives`."""
    return name.startswith(f"{FORGOTTEN}/")


def _drives_in(table: Table, file: DataFile) -> list[str]:
    names: set[str] = set()
    with table.io.new_input(file.file_path).open() as stream, pq.ParquetFile(stream) as parquet:
        for batch in parquet.iter_batches(columns=["vehicle_id", "drive_id"]):
            found = batch.to_pydict()
            names |= {f"{vehicle}/{drive}" for vehicle, drive in zip(found["vehicle_id"], found["drive_id"], strict=True)}
    return sorted(names)
