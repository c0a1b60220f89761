"""Selected columns of one row group of a Parquet file, in at most two ranged reads; and the footer with their positions.

pyarrow's own pre-buffering sends one request per stretch between skipped columns. A request costs more than reading a small
column that lies in between, so here the smallest gaps are read as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import LakeError, OversizeError

RangeRead: TypeAlias = Callable[[str, int, int], bytes | memoryview]
"""(URI, first byte, number of bytes) to exactly those bytes."""

MAX_READS = 2
FIRST_TAIL_BYTES = 128 * 1024
MAX_FOOTER_BYTES = 64 * 1024 * 1024
MAX_ROW_GROUP_BYTES = 1024 * 1024 * 1024
_TRAILER_BYTES = 8  # length of the footer (uint32) and the magic "PAR1": Apache Parquet format, "File format"


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """The bytes [start, end) of a file."""

    start: int
    end: int


def read_footer(read: RangeRead, uri: str, size: int) -> pq.FileMetaData:
    """The footer of a file of `size` bytes: one read, or two where it is longer than 128 KiB.

    Raises:
        LakeError: The file is not Parquet, or its footer is longer than 64 MiB or than the file.
    """
    tail = read(uri, max(0, size - FIRST_TAIL_BYTES), min(size, FIRST_TAIL_BYTES))
    needed = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little") + _TRAILER_BYTES
    if size <= _TRAILER_BYTES or tail[-4:] != b"PAR1" or needed > min(size, MAX_FOOTER_BYTES):
        raise LakeError(f"{uri} ends in {tail[-_TRAILER_BYTES:].hex()}, which does not end a Parquet file of {size} bytes")
    if needed > len(tail):
        tail = bytes(read(uri, size - needed, needed - len(tail))) + bytes(tail)
    try:
        return pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{uri} has a footer that cannot be read: {error}") from error


def column_ranges(metadata: pq.FileMetaData, number: int, columns: Iterable[str]) -> tuple[ByteRange, ...]:
    """The byte ranges of the named top-level columns' chunks, in file order, one each."""
    selected, group = frozenset(columns), metadata.row_group(number)
    ranges = []
    for position in range(group.num_columns):
        chunk = group.column(position)
        if chunk.path_in_schema.split(".", 1)[0] in selected:
            first = chunk.data_page_offset if not chunk.has_dictionary_page else chunk.dictionary_page_offset
            start = min(first, chunk.data_page_offset)
            ranges.append(ByteRange(start, start + chunk.total_compressed_size))
    return tuple(sorted(ranges))


def joined(ranges: Sequence[ByteRange], at_most: int = MAX_READS) -> tuple[ByteRange, ...]:
    """The ranges (sorted, disjoint) as at most `at_most`, with as few bytes between them as that allows."""
    gaps = [(after.start - before.end, position) for position, (before, after) in enumerate(itertools.pairwise(ranges))]
    kept = sorted(position for gap, position in sorted(gaps, reverse=True)[: at_most - 1] if gap > 0)
    edges = [0, *(position + 1 for position in kept), len(ranges)]
    return tuple(ByteRange(ranges[low].start, ranges[high - 1].end) for low, high in itertools.pairwise(edges) if high > low)


def read_row_group(
    read: RangeRead,
    uri: str,
    metadata: pq.FileMetaData,
    number: int,
    columns: Sequence[str],
    repeated: Sequence[str] = (),
    *,
    threads: bool = True,
) -> pa.Table:
    """The named top-level columns of a row group; pages that state a CRC are checked.

    `repeated`: leaves to return as dictionaries of their distinct values. `threads`: decode columns at the same time.

    Raises:
        OversizeError: More than 1 GiB would be read.
        LakeError: The footer contradicts the file, or a page its CRC.
    """
    ranges = joined(column_ranges(metadata, number, columns))
    size = sum(entry.end - entry.start for entry in ranges)
    if size > MAX_ROW_GROUP_BYTES:
        raise OversizeError(f"{uri}: row group {number} takes {size} bytes, at most {MAX_ROW_GROUP_BYTES} are read")
    pieces = _Pieces(uri, [(entry, memoryview(read(uri, entry.start, entry.end - entry.start))) for entry in ranges])
    try:
        with pq.ParquetFile(
            pa.PythonFile(pieces, mode="r"),
            metadata=metadata,
            read_dictionary=list(repeated),
            pre_buffer=False,
            page_checksum_verification=True,
        ) as file:
            return file.read_row_group(number, columns=list(columns), use_threads=threads)
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{uri}: row group {number} cannot be read: {error}") from error


class _Pieces:
    """A file of which only some ranges are loaded."""

    def __init__(self, uri: str, pieces: Sequence[tuple[ByteRange, memoryview]]) -> None:
        self._uri, self._pieces = uri, pieces
        self._size = max((entry.end for entry, _ in pieces), default=0)
        self._position = 0
        self.closed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, count: int = -1) -> Any:
        start = self._position
        end = self._size if count < 0 else min(start + count, self._size)
        for entry, piece in self._pieces:
            if entry.start <= start and end <= entry.end:
                self._position = end
                return piece[start - entry.start : end - entry.start]
        raise LakeError(f"{self._uri}: the bytes {start} to {end} do not belong to a requested column")

    def close(self) -> None:
        self.closed = True
