"""Zero-copy payload in Parquet files: dictionary pages that are views of the bytes as they were fetched.

A Parquet library copies each value into a page and each page into the file, and finds equal values by hashing all of them.
Here the library writes a file in which every payload is a placeholder of a few bytes, with a dictionary of placeholders;
levels, indices and all other columns stay as it wrote them. The chunks of payload columns are then rewritten at the end: a
dictionary page of the real payloads, and the library's data pages unchanged. The placeholders remain as a few hundred
unreferenced bytes in the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq
import zstandard

from lake.errors import LakeError
from lake.parquet.footer import (
    LENGTH_BYTES,
    MAGIC,
    Chunk,
    Move,
    column_positions,
    dictionary_page_header,
    move_chunks,
    page_header_end,
)

PLACEHOLDER = struct.Struct("<q")
MAX_PAGE_BYTES = 2**31 - 1  # page sizes are int32
ZSTD_LEVEL = 1
_VALUE_HEAD = struct.Struct("<I")  # PLAIN BYTE_ARRAY: length, then the bytes


class PayloadSizeError(LakeError):
    """The payloads of one row group exceed the size of a page."""


class Payloads:
    """The payloads of one column in one row group: `distinct` ones in the order in which they first come.

    `placed`, `value_bytes`: how many there are with repeated ones, and their bytes.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[int, Any]] = {}  # holds the object too: while it is alive, no other has its id
        self.distinct: list[memoryview] = []
        self.distinct_bytes = 0
        self.placed = 0
        self.value_bytes = 0

    def place(self, payload: bytes | memoryview) -> bytes:
        """The placeholder of a payload; the same object has the same one."""
        known = self._numbers.get(id(payload))
        if known is None:
            known = self._numbers[id(payload)] = (len(self.distinct), payload)
            view = memoryview(payload).cast("B")
            self.distinct.append(view)
            self.distinct_bytes += len(view)
        self.placed += 1
        self.value_bytes += len(self.distinct[known[0]])
        return PLACEHOLDER.pack(known[0])


def with_payloads(
    file: memoryview, metadata: pq.FileMetaData, payloads: Sequence[Mapping[str, Payloads]], compression: Mapping[str, str]
) -> list[bytes | memoryview]:
    """A Parquet file with payloads in place of their placeholders, as pieces to be written one after the other.

    Args:
        file: The file as the library wrote it, with a dictionary for each payload column.
        metadata: Of that file.
        payloads: For each row group, the payloads of its placeholders, by column path.
        compression: Of the payload columns, by path: `none` or `zstd`.

    Raises:
        PayloadSizeError: The payloads of a column and row group exceed 2 GiB.
        FooterError: The file is not as expected.
    """
    file = file.cast("B")
    footer_end = len(file) - LENGTH_BYTES - len(MAGIC)
    footer_at = footer_end - int.from_bytes(file[footer_end : footer_end + LENGTH_BYTES], "little")
    positions = column_positions(metadata)
    pieces: list[bytes | memoryview] = [file[:footer_at]]
    moves: list[list[Move]] = []
    at = footer_at
    for number, of_group in enumerate(payloads):
        group = metadata.row_group(number)
        moves.append([])
        for path in sorted(of_group, key=positions.__getitem__):
            if of_group[path].distinct:
                before = Chunk.of(group.column(positions[path]))
                move, chunk = _chunk(file, path, before, of_group[path], compression[path] == "zstd", at)
                moves[-1].append(move)
                pieces += chunk
                at += move.after.compressed_bytes
    footer = move_chunks(bytes(file[footer_at:footer_end]), metadata, moves)
    return [*pieces, footer, len(footer).to_bytes(LENGTH_BYTES, "little"), MAGIC]


def _chunk(
    file: memoryview, path: str, before: Chunk, payloads: Payloads, compress: bool, at: int
) -> tuple[Move, list[bytes | memoryview]]:
    """The chunk of a column with its payloads, to be written at byte `at`."""
    values = len(payloads.distinct)
    raw_bytes = payloads.distinct_bytes + values * _VALUE_HEAD.size
    if raw_bytes > MAX_PAGE_BYTES:
        raise PayloadSizeError(f"{path}: the payloads of one row group take {raw_bytes} bytes, a page at most {MAX_PAGE_BYTES}")
    page = _values(payloads.distinct)
    if compress:
        page = _compressed(page, raw_bytes)
    stored_bytes = sum(map(len, page))
    header = dictionary_page_header(values, raw_bytes, stored_bytes, _crc32(page))
    data_pages = file[before.data_at : before.dictionary_at + before.compressed_bytes]
    old_header_bytes = page_header_end(file, before.dictionary_at) - before.dictionary_at
    old_raw_bytes = values * (_VALUE_HEAD.size + PLACEHOLDER.size)
    after = Chunk(
        dictionary_at=at,
        data_at=at + len(header) + stored_bytes,
        uncompressed_bytes=before.uncompressed_bytes - old_header_bytes - old_raw_bytes + len(header) + raw_bytes,
        compressed_bytes=len(header) + stored_bytes + len(data_pages),
    )
    grown = payloads.value_bytes - payloads.placed * PLACEHOLDER.size
    return Move(path, before, after, grown), [header, *page, data_pages]


def _crc32(pieces: Sequence[bytes | memoryview]) -> int:
    found = 0
    for piece in pieces:
        found = zlib.crc32(piece, found)
    return found


def _values(payloads: Sequence[memoryview]) -> list[bytes | memoryview]:
    pieces: list[bytes | memoryview] = []
    for payload in payloads:
        pieces += (_VALUE_HEAD.pack(len(payload)), payload)
    return pieces


def _compressed(pieces: Sequence[bytes | memoryview], size: int) -> list[bytes | memoryview]:
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj(size=size)
    found = [compressor.compress(piece) for piece in pieces]
    return [piece for piece in (*found, compressor.flush()) if piece]
