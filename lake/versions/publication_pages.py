"""Publications by page, the newest first, without reading those of other pages.

`gold.drives` is ordered by the sequence number of the commit that added a row, which manifests keep when they are merged. A
manifest states the highest and the lowest that it holds, so the newest rows are found by opening manifests from the newest down,
until none can hold a newer row. Memory: a few hundred bytes for each publication in the manifests that are opened, and the rows
of a page.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.types import LongType, StringType

from lake.errors import VersionError
from lake.tables.drives import FORGOTTEN, WITHOUT_FILES
from lake.tables.rows import DriveRow, row_of
from sensors.time_units import NS_PER_DAY

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place of a publication in the order of commits; its string is what `--before` and `--after` take."""

    sequence: int
    committed_ns: int
    tie: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor.

        Raises:
            VersionError: It is not one.
        """
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            raise VersionError(f"{text!r} is no cursor", "`scenelake gold ls` prints the one of the next page")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.sequence}.{self.committed_ns}.{self.tie}"


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
    if after is not None:
        rising = list(islice(_stream(table, wanted, after, falling=False), limit))
        return Page(tuple(reversed(rising)), rising[0].cursor if rising else None)
    found = list(islice(_stream(table, wanted, before, falling=True), limit + 1))
    more = found[limit - 1].cursor if len(found) > limit else None
    return Page(tuple(found[:limit]), more)


@dataclass(frozen=True, slots=True, order=True)
class _File:
    """A data file; `turn` orders files: falling or rising sequence numbers."""

    turn: int
    uri: str
    sequence: int


def _stream(table: Table, wanted: PageFilter, cursor: Cursor | None, *, falling: bool) -> Iterator[Listed]:
    snapshot = table.current_snapshot()
    if snapshot is None:
        return
    sign = -1 if falling else 1
    manifests = [one for one in snapshot.manifests(table.io) if _may_hold(one, wanted, cursor, falling=falling)]
    manifests.sort(key=lambda one: sign * _end(one, falling=falling), reverse=True)
    reader, waiting = _Reader(table, wanted), list[_File]()
    while manifests or waiting:
        while manifests and (not waiting or sign * _end(manifests[-1], falling=falling) <= waiting[0].turn):
            for sequence, uri in reader.files(manifests.pop()):
                if cursor is None or sign * (sequence - cursor.sequence) >= 0:
                    heapq.heappush(waiting, _File(sign * sequence, uri, sequence))
        if not waiting:
            continue
        together = [heapq.heappop(waiting)]  # the files of one commit: their rows are ordered among themselves
        while waiting and waiting[0].turn == together[0].turn:
            together.append(heapq.heappop(waiting))
        rows = sorted((one for file in together for one in reader.rows(file)), key=lambda one: one.cursor, reverse=falling)
        yield from (one for one in rows if cursor is None or (one.cursor < cursor if falling else one.cursor > cursor))
        if falling and wanted.since_ns is not None and reader.newest_ns < wanted.since_ns - NS_PER_DAY:
            return  # clocks of publishers differ by less than that


def _end(manifest: ManifestFile, *, falling: bool) -> int:
    return manifest.sequence_number if falling else manifest.min_sequence_number


def _may_hold(manifest: ManifestFile, wanted: PageFilter, cursor: Cursor | None, *, falling: bool) -> bool:
    if cursor is not None:
        if falling and manifest.min_sequence_number > cursor.sequence:
            return False
        if not falling and manifest.sequence_number < cursor.sequence:
            return False
    if wanted.vehicle is None or not manifest.partitions:
        return True
    vehicle, bounds = to_bytes(StringType(), wanted.vehicle), manifest.partitions[0]
    return bounds.lower_bound is None or bounds.upper_bound is None or bounds.lower_bound <= vehicle <= bounds.upper_bound


class _Reader:
    """Reads manifests and files of `gold.drives`; `newest_ns` is the newest commit among the rows that were read last."""

    def __init__(self, table: Table, wanted: PageFilter) -> None:
        self._io, self._wanted, self.newest_ns = table.io, wanted, 0
        fields = {field.name: field.field_id for field in table.schema().fields}
        self._committed, self._first, self._last = (
            fields[name] for name in ("committed_ns", "first_anchor_ns", "last_anchor_ns")
        )

    def files(self, manifest: ManifestFile) -> Iterator[tuple[int, str]]:
        for entry in manifest.fetch_manifest_entry(self._io):
            if self._may_match(entry.data_file):
                yield entry.sequence_number or 0, entry.data_file.file_path

    def rows(self, file: _File) -> list[Listed]:
        found = read_rows(self._io, file.uri)
        self.newest_ns = max((row.committed_ns for row in found), default=0)
        return [Listed(_place(file.sequence, row), row) for row in found if self._wanted.admits(row)]

    def _may_match(self, file: DataFile) -> bool:
        wanted = self._wanted
        if wanted.vehicle is not None and file.partition[0] != wanted.vehicle:
            return False
        if wanted.since_ns is not None and _bound(file.upper_bounds, self._committed, 2**63) < wanted.since_ns - NS_PER_DAY:
            return False
        if wanted.day is None or not file.lower_bounds or self._first not in file.lower_bounds:
            return True
        begin_ns = (wanted.day - _EPOCH).days * NS_PER_DAY  # a drive's days reach beyond its anchors by its frames, not by a day
        first, last = _bound(file.lower_bounds, self._first, 0), _bound(file.upper_bounds, self._last, 2**63)
        return first < begin_ns + 2 * NS_PER_DAY and last >= begin_ns - NS_PER_DAY


def read_rows(io: FileIO, uri: str) -> list[DriveRow]:
    """The publications in a data file of `gold.drives`, without their files; tombstones are none."""
    with io.new_input(uri).open() as stream, pq.ParquetFile(stream) as file:
        columns: Sequence[str] = [name for name in WITHOUT_FILES if name in file.schema_arrow.names]
        rows = file.read(columns=columns).to_pylist()
        return [row_of(DriveRow, row) for row in rows if row["vehicle_id"] != FORGOTTEN]


def _place(sequence: int, row: DriveRow) -> Cursor:
    name = f"{row.vehicle_id}/{row.drive_id}@{row.generation}".encode()
    return Cursor(sequence, row.committed_ns, int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "big"))


def _days(row: DriveRow) -> set[date]:
    ends = (row.first_anchor_ns, row.last_anchor_ns)
    return {datetime.fromtimestamp(end // 10**9, UTC).date() for end in ends if end is not None}


def _bound(bounds: dict[int, bytes] | None, field_id: int, without: int) -> int:
    body = (bounds or {}).get(field_id)
    return without if body is None else int(from_bytes(LongType(), body))
