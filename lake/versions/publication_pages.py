"""Publications by page, the newest first, without reading those of other pages.

Files of `gold.drives` state the first and the last commit of their rows. What a manifest holds was committed before the snapshot
that added it, also where maintenance has merged manifests or files since. So manifests and files are opened from the newest down,
until none can hold a row that belongs on the page. Memory: the rows of a page and of one file, and a few hundred bytes for each
file that an opened manifest lists.
"""

from __future__ import annotations

import bisect
import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.types import LongType, StringType

from lake.errors import VersionError
from lake.tables.drives import FORGOTTEN, WITHOUT_FILES
from lake.tables.rows import DriveRow, row_of
from sensors.time_units import NS_PER_DAY, NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table

SKEW_NS = 1_800 * NS_PER_S  # between the clocks of two publishers: S3 refuses requests of one that is off by more than 15 minutes
_EPOCH = date(1970, 1, 1)
_EVER = 2**63


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place of a publication in the order of commits; its string is what `--before` and `--after` take."""

    committed_ns: int
    tie: int

    @classmethod
    def of(cls, row: DriveRow) -> Cursor:
        """The place of a row; publications of one millisecond are told apart by a hash."""
        name = f"{row.vehicle_id}/{row.drive_id}@{row.generation}".encode()
        return cls(row.committed_ns, int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big"))

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor.

        Raises:
            VersionError: It is not one.
        """
        parts = text.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            raise VersionError(f"{text!r} is not a cursor", "`scenelake gold ls` prints the one of the next page")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.committed_ns}.{self.tie}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A publication and its place."""

    cursor: Cursor
    row: DriveRow


@dataclass(frozen=True, slots=True)
class Page:
    """Publications, the newest first. `before` is the cursor of the next page of older ones; None: there are none."""

    publications: tuple[Listed, ...]
    before: Cursor | None


@dataclass(frozen=True, slots=True)
class PageFilter:
    """Only publications of a vehicle, with rows of a UTC day, or committed at `since_ns` (Unix epoch) or later."""

    vehicle: str | None = None
    day: date | None = None
    since_ns: int | None = None

    def admits(self, row: DriveRow) -> bool:
        """Whether a publication is listed. One of an older lake, whose days are not known, has those of its anchors."""
        if self.vehicle is not None and row.vehicle_id != self.vehicle:
            return False
        if self.since_ns is not None and row.committed_ns < self.since_ns:
            return False
        return self.day is None or self.day in (_days(row) if row.days is None else row.days)


def publication_page(
    table: Table,
    limit: int,
    wanted: PageFilter = PageFilter(),
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
) -> Page:
    """Up to `limit` publications: the newest, or the newest before a cursor, or the oldest after one.

    Raises:
        VersionError: Both cursors are given, or the limit is less than 1.
    """
    if limit < 1 or (before is not None and after is not None):
        raise VersionError("a page has at least 1 publication, and is before a cursor or after one")
    search = _Search(table, wanted, limit + (after is None), falling=after is None, cursor=before or after)
    found = search.run()
    if after is not None:
        return Page(tuple(reversed(found)), found[0].cursor if found else None)
    return Page(tuple(found[:limit]), found[limit - 1].cursor if len(found) > limit else None)


class _Search:
    """The first `most` rows in falling or rising order, beyond a cursor."""

    def __init__(self, table: Table, wanted: PageFilter, most: int, *, falling: bool, cursor: Cursor | None) -> None:
        self._table, self._wanted, self._most, self._falling, self._cursor = table, wanted, most, falling, cursor
        self._partitioned = bool(table.spec().fields)  # by vehicle
        fields = {field.name: field.field_id for field in table.schema().fields}
        self._ids = {name: fields[name] for name in ("committed_ns", "first_anchor_ns", "last_anchor_ns")}
        self._best: list[tuple[tuple[int, int], int, Listed]] = []  # by their place in the order that is asked for
        self._waiting: list[tuple[int, int, ManifestFile | str]] = []  # by the first place that one can hold
        self._pushed = 0

    def run(self) -> list[Listed]:
        """Open what may hold a row of the page, the most promising first."""
        snapshot = self._table.current_snapshot()
        if snapshot is None:
            return []
        times = _Times(self._table)
        for manifest in snapshot.manifests(self._table.io):
            newest_ns = times(manifest) + SKEW_NS
            if self._may_hold(manifest, newest_ns):
                self._push(newest_ns if self._falling else -_EVER, manifest)
        while self._waiting:
            place, _, one = heapq.heappop(self._waiting)
            if len(self._best) == self._most and place > self._best[-1][0][0]:
                break
            if isinstance(one, str):
                self._read(one)
            else:
                for entry in one.fetch_manifest_entry(self._table.io):
                    self._consider(entry.data_file)
        return [listed for _, _, listed in self._best]

    def _push(self, edge_ns: int, one: ManifestFile | str) -> None:
        self._pushed += 1
        heapq.heappush(self._waiting, (-edge_ns if self._falling else edge_ns, self._pushed, one))

    def _may_hold(self, manifest: ManifestFile, newest_ns: int) -> bool:
        if newest_ns < (self._wanted.since_ns or -_EVER):
            return False
        if self._cursor is not None and not self._falling and newest_ns < self._cursor.committed_ns:
            return False
        if self._wanted.vehicle is None or not manifest.partitions:
            return True
        vehicle, bounds = to_bytes(StringType(), self._wanted.vehicle), manifest.partitions[0]
        return bounds.lower_bound is None or bounds.upper_bound is None or bounds.lower_bound <= vehicle <= bounds.upper_bound

    def _consider(self, file: DataFile) -> None:
        oldest = _bound(file.lower_bounds, self._ids["committed_ns"], -_EVER)
        newest = _bound(file.upper_bounds, self._ids["committed_ns"], _EVER)
        cursor, wanted = self._cursor, self._wanted
        if wanted.vehicle is not None and self._partitioned and file.partition[0] != wanted.vehicle:
            return
        if wanted.since_ns is not None and newest < wanted.since_ns:
            return
        if cursor is not None and (oldest > cursor.committed_ns if self._falling else newest < cursor.committed_ns):
            return
        if wanted.day is None or self._may_be_of(file, wanted.day):
            self._push(newest if self._falling else oldest, file.file_path)

    def _may_be_of(self, file: DataFile, day: date) -> bool:
        """By the anchors of its rows; frames are filed under the day of the drive's first, so less than a day from an anchor."""
        if file.record_count != 1 or not file.lower_bounds or self._ids["first_anchor_ns"] not in file.lower_bounds:
            return True  # a row without scenes has no anchors, and does not count in the bounds of those that have
        begin_ns = (day - _EPOCH).days * NS_PER_DAY
        first = _bound(file.lower_bounds, self._ids["first_anchor_ns"], -_EVER)
        last = _bound(file.upper_bounds, self._ids["last_anchor_ns"], _EVER)
        return first < begin_ns + 2 * NS_PER_DAY and last >= begin_ns - NS_PER_DAY

    def _read(self, uri: str) -> None:
        for row in read_rows(self._table.io, uri):
            cursor = Cursor.of(row)
            if self._cursor is not None and (cursor >= self._cursor if self._falling else cursor <= self._cursor):
                continue
            if self._wanted.admits(row):
                sign = -1 if self._falling else 1
                self._pushed += 1
                bisect.insort(self._best, ((sign * cursor.committed_ns, sign * cursor.tie), self._pushed, Listed(cursor, row)))
                del self._best[self._most :]


class _Times:
    """Until when what a manifest holds was committed, ns since the Unix epoch."""

    def __init__(self, table: Table) -> None:
        snapshots = sorted((one.sequence_number or 0, one.timestamp_ms) for one in table.snapshots())
        self._sequences = [sequence for sequence, _ in snapshots]
        newest_ms = _EVER // NS_PER_MS
        self._newest_ms = []  # of the snapshots from here on, the oldest time
        for _, timestamp_ms in reversed(snapshots):
            newest_ms = min(newest_ms, timestamp_ms)
            self._newest_ms.append(newest_ms)
        self._newest_ms.reverse()

    def __call__(self, manifest: ManifestFile) -> int:
        """By its own snapshot, or where that has expired by those after it."""
        at = bisect.bisect_left(self._sequences, manifest.sequence_number)
        return self._newest_ms[at] * NS_PER_MS if at < len(self._sequences) else _EVER - 2 * SKEW_NS


def read_rows(io: FileIO, uri: str) -> Iterator[DriveRow]:
    """The rows of a data file of `gold.drives`, without their files; tombstones are none."""
    with io.new_input(uri).open() as stream, pq.ParquetFile(stream) as file:
        columns = [name for name in WITHOUT_FILES if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=columns):
            for row in batch.to_pylist():
                if row["vehicle_id"] != FORGOTTEN:
                    yield row_of(DriveRow, row)


def _days(row: DriveRow) -> set[date]:
    ends = (row.first_anchor_ns, row.last_anchor_ns)
    return {datetime.fromtimestamp(end // NS_PER_S, UTC).date() for end in ends if end is not None}


def _bound(bounds: dict[int, bytes] | None, field_id: int, without: int) -> int:
    body = (bounds or {}).get(field_id)
    return without if body is None else int(from_bytes(LongType(), body))
