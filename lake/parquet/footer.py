"""Rewrite the footer of a Parquet file some of whose column chunks have moved and grown.

A footer is Thrift in the compact protocol (Apache Thrift, doc/specs/thrift-compact-protocol.md); field numbers are those of
parquet-format 2.11, src/main/thrift/parquet.thrift. Only the parts that change are parsed, and the library reads the result
back before it is returned: a search that hit the wrong place is an error, never a corrupt file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import LakeError

MAGIC = b"PAR1"
LENGTH_BYTES = 4  # of the footer, before the magic that ends the file

Amounts: TypeAlias = Mapping[int, Any]
"""Field number of a struct to the amount to add to an integer, or to the amounts of a nested struct or of each in a list."""

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 5, 6, 7, 8, 9, 10, 12
_STOP = b"\0"
# FileMetaData, ColumnChunk, ColumnMetaData, SizeStatistics, RowGroup.
_ROWS, _ROW_GROUPS = 3, 4
_COLUMN, _OFFSET_INDEX_AT, _COLUMN_INDEX_AT = 3, 4, 6
_INDEX_AT, _BLOOM_FILTER_AT = 10, 14
_PATH, _UNCOMPRESSED, _COMPRESSED, _DATA_AT, _DICTIONARY_AT, _SIZES = 3, 6, 7, 9, 11, 16
_VALUE_BYTES = 1
_COLUMNS, _GROUP_BYTES, _GROUP_ROWS, _GROUP_AT, _GROUP_COMPRESSED, _ORDINAL = 1, 2, 3, 5, 6, 7
# PageHeader, DictionaryPageHeader; PageType, Encoding.
_DICTIONARY_HEADER, _DICTIONARY_PAGE, _PLAIN = 7, 2, 0


class FooterError(LakeError):
    """A rewritten footer does not read back as intended."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Position and length of a column chunk."""

    dictionary_at: int
    data_at: int
    uncompressed_bytes: int
    compressed_bytes: int

    @classmethod
    def of(cls, column: pq.ColumnChunkMetaData) -> Chunk:
        """From the metadata in a footer."""
        return cls(
            column.dictionary_page_offset,
            column.data_page_offset,
            column.total_uncompressed_size,
            column.total_compressed_size,
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A column chunk before and after; `value_bytes`: by how much all its values, repeated ones included, have grown."""

    path: str
    before: Chunk
    after: Chunk
    value_bytes: int

    def amounts(self) -> Amounts:
        """The amounts to add to the column's metadata."""
        return {
            _UNCOMPRESSED: self.after.uncompressed_bytes - self.before.uncompressed_bytes,
            _COMPRESSED: self.after.compressed_bytes - self.before.compressed_bytes,
            _DATA_AT: self.after.data_at - self.before.data_at,
            _DICTIONARY_AT: self.after.dictionary_at - self.before.dictionary_at,
            _SIZES: {_VALUE_BYTES: self.value_bytes},
        }


def column_positions(metadata: pq.FileMetaData) -> dict[str, int]:
    """The number of each column, by its path."""
    return {metadata.schema.column(position).path: position for position in range(metadata.num_columns)}


def dictionary_page_header(values: int, uncompressed_bytes: int, compressed_bytes: int, crc: int) -> bytes:
    """The header of a dictionary page of PLAIN values; sizes are those of the page without it, `crc` the CRC-32 of the page as
    stored (as gzip computes it; parquet-format, README.md, "Checksumming")."""
    own = _integer(1, 0, values) + _integer(2, 1, _PLAIN) + bytes([1 << 4 | _FALSE]) + _STOP  # the last: not sorted
    sizes = _integer(2, 1, uncompressed_bytes) + _integer(3, 2, compressed_bytes)
    signed = crc - (1 << 32) if crc >> 31 else crc  # an int32 of the same bits
    head = _integer(1, 0, _DICTIONARY_PAGE) + sizes + _integer(4, 3, signed)
    return head + bytes([(_DICTIONARY_HEADER - 4) << 4 | _STRUCT]) + own + _STOP


def page_header_end(file: memoryview, at: int) -> int:
    """The end of the page header that begins at a byte of a file."""
    return _skip(file, at, _STRUCT)


def move_chunks(footer: bytes, metadata: pq.FileMetaData, moves: Sequence[Sequence[Move]]) -> bytes:
    """The footer (without its length and the magic) after `moves`, of each row group in the order of its columns.

    `metadata` is what the library reads from `footer`.

    Raises:
        FooterError: The result does not read back as intended.
    """
    try:
        moved = _moved(footer, metadata, moves)
    except IndexError as error:
        raise FooterError("the footer ends in the middle of a value") from error
    _check(moved, metadata, moves)
    return moved


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A file whose row groups become part of another: its footer, what the library reads from that, and how many bytes later
    its content lies there."""

    footer: bytes
    metadata: pq.FileMetaData
    shift: int


def join_footers(parts: Sequence[JoinedPart]) -> bytes:
    """The footer (without its length and the magic) of a file that holds the content of others, one after the other.

    Key-value metadata is that of the first.

    Raises:
        FooterError: Their columns differ, or the result does not read back as intended.
    """
    first = parts[0]
    if any(not part.metadata.schema.equals(first.metadata.schema) for part in parts):
        raise FooterError("files with different columns cannot be joined")
    try:
        joined = _joined(first.footer, parts)
    except IndexError as error:
        raise FooterError("a footer ends in the middle of a value") from error
    found, number = _read_back(joined), 0
    for part in parts:
        for position in range(part.metadata.num_row_groups):
            _check_shifted(found.row_group(number), part.metadata.row_group(position), part.shift)
            number += 1
    if (found.num_row_groups, found.num_rows) != (number, sum(part.metadata.num_rows for part in parts)):
        raise FooterError("the joined footer has other rows or row groups than its parts")
    return joined


def _joined(footer: bytes, parts: Sequence[JoinedPart]) -> bytes:
    groups, total = list[bytes](), 0
    for part in parts:
        size, at = _list(part.footer, _value_of(part.footer, _ROW_GROUPS))
        for _ in range(size):
            pieces = list[bytes]()
            at = _add(part.footer, at, 0, _shifted(part.shift, total), pieces)
            groups.append(b"".join(pieces))
        total += size
    result, at, last = list[bytes](), 0, 0
    while footer[at]:
        start = at
        last, kind, at = _field(footer, at, last)
        begins, at = at, _skip(footer, at, kind)
        if last == _ROWS:
            result += (footer[start:begins], _zigzag(sum(part.metadata.num_rows for part in parts)))
        elif last == _ROW_GROUPS:
            result += (footer[start:begins], _list_head(total, _STRUCT), *groups)
        else:
            result.append(footer[start:at])
    return b"".join([*result, _STOP])


def _shifted(shift: int, ordinals: int) -> Amounts:
    """For a row group `shift` bytes later, with `ordinals` more before it. (ColumnChunk.file_offset is deprecated, and 0.)"""
    column = dict.fromkeys((_DATA_AT, _INDEX_AT, _DICTIONARY_AT, _BLOOM_FILTER_AT), shift)
    chunk = {_COLUMN: column, _OFFSET_INDEX_AT: shift, _COLUMN_INDEX_AT: shift}
    return {_COLUMNS: chunk, _GROUP_AT: shift, _ORDINAL: ordinals}


def _check_shifted(found: pq.RowGroupMetaData, was: pq.RowGroupMetaData, shift: int) -> None:
    if (found.num_rows, found.num_columns, found.total_byte_size) != (was.num_rows, was.num_columns, was.total_byte_size):
        raise FooterError("a joined row group has other rows or another size than before")
    for position in range(was.num_columns):
        before, after = was.column(position), found.column(position)
        moved = [None if at is None else at + shift for at in (before.dictionary_page_offset, before.data_page_offset)]
        if [after.dictionary_page_offset, after.data_page_offset] != moved or _sizes(after) != _sizes(before):
            raise FooterError(f"column {before.path_in_schema} of a joined row group lies elsewhere than intended")


def _sizes(column: pq.ColumnChunkMetaData) -> tuple[int, int, int]:
    return column.num_values, column.total_uncompressed_size, column.total_compressed_size


def _moved(footer: bytes, metadata: pq.FileMetaData, moves: Sequence[Sequence[Move]]) -> bytes:
    at = _value_of(footer, _ROW_GROUPS)  # the schema, which comes first, also contains the column names
    parts = [footer[:at]]
    for number, of_group in enumerate(moves):
        for move in of_group:
            path = _path(move.path)
            found = _find(footer, path, at, f"column {move.path} of row group {number}") + len(path)
            parts.append(footer[at:found])
            at = _add(footer, found, _PATH, move.amounts(), parts)
        group = metadata.row_group(number)
        sizes = _integer(_GROUP_BYTES, _COLUMNS, group.total_byte_size, _I64)
        sizes += _integer(_GROUP_ROWS, _GROUP_BYTES, group.num_rows, _I64)
        found = _find(footer, sizes, at, f"the sizes of row group {number}")
        parts.append(footer[at:found])
        grown = {_GROUP_BYTES: _grown(of_group, "uncompressed_bytes"), _GROUP_COMPRESSED: _grown(of_group, "compressed_bytes")}
        at = _add(footer, found, _COLUMNS, grown, parts)
    return b"".join([*parts, footer[at:]])


def _grown(moves: Sequence[Move], what: str) -> int:
    return sum(getattr(move.after, what) - getattr(move.before, what) for move in moves)


def _find(footer: bytes, pattern: bytes, at: int, what: str) -> int:
    found = footer.find(pattern, at)
    if found < 0:
        raise FooterError(f"the footer does not hold {what} where it should be")
    return found


def _check(footer: bytes, before: pq.FileMetaData, moves: Sequence[Sequence[Move]]) -> None:
    found = _read_back(footer)
    columns = column_positions(found)
    if (found.num_rows, found.num_row_groups, found.num_columns) != (before.num_rows, len(moves), before.num_columns):
        raise FooterError("the footer has other rows, row groups or columns after its chunks were moved")
    for number, of_group in enumerate(moves):
        group, was = found.row_group(number), before.row_group(number)
        if group.total_byte_size != was.total_byte_size + _grown(of_group, "uncompressed_bytes"):
            raise FooterError(f"row group {number} has another size than intended")
        for move in of_group:
            if Chunk.of(group.column(columns[move.path])) != move.after:
                raise FooterError(f"column {move.path} of row group {number} lies elsewhere than intended")


def _read_back(footer: bytes) -> pq.FileMetaData:
    try:
        return pq.read_metadata(pa.BufferReader(footer + len(footer).to_bytes(LENGTH_BYTES, "little") + MAGIC))
    except (pa.ArrowException, OSError) as error:
        raise FooterError(f"the footer cannot be read after its chunks were moved: {error}") from error


def _path(path: str) -> bytes:
    """The value of `path_in_schema`."""
    names = [name.encode() for name in path.split(".")]
    return bytes([len(names) << 4 | _BINARY]) + b"".join(_varint(len(name)) + name for name in names)


def _value_of(data: bytes, field_id: int) -> int:
    """Where the value of a field of the outermost struct begins."""
    at, last = 0, 0
    while data[at]:
        last, kind, at = _field(data, at, last)
        if last == field_id:
            return at
        at = _skip(data, at, kind)
    raise FooterError(f"the footer has no field {field_id}")


def _add(data: bytes, at: int, last: int, amounts: Amounts, parts: list[bytes]) -> int:
    """Copy the fields behind `last` of a struct, `at` being behind that one, with `amounts` added; where the struct ends."""
    while data[at]:
        start = at
        last, kind, at = _field(data, at, last)
        amount = amounts.get(last)
        if amount is None:
            at = _skip(data, at, kind)
            parts.append(data[start:at])
            continue
        parts.append(data[start:at])
        if kind == _STRUCT:
            at = _add(data, at, 0, amount, parts)
        elif kind == _LIST:
            size, begins = _list(data, at)
            parts.append(data[at:begins])
            at = begins
            for _ in range(size):
                at = _add(data, at, 0, amount, parts)
        else:
            number, at = _read(data, at)
            parts.append(_zigzag(_signed(number) + amount))
    parts.append(_STOP)
    return at + 1


def _field(data: bytes | memoryview, at: int, last: int) -> tuple[int, int, int]:
    """Number and type of the field that begins at a byte, and where its value begins; `last`: the number of the one before."""
    head = data[at]
    if head >> 4:
        return last + (head >> 4), head & 0x0F, at + 1
    number, at = _read(data, at + 1)
    return _signed(number), head & 0x0F, at


def _skip(data: bytes | memoryview, at: int, kind: int) -> int:
    """Where a value ends."""
    if kind in (_TRUE, _FALSE):
        return at
    if kind == _BYTE:
        return at + 1
    if kind <= _I64:
        return _read(data, at)[1]
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        size, at = _read(data, at)
        return at + size
    if kind in (_LIST, _SET):
        element = data[at] & 0x0F
        size, at = _list(data, at)
        for _ in range(size):
            at = at + 1 if element in (_TRUE, _FALSE) else _skip(data, at, element)
        return at
    if kind == _STRUCT:
        while data[at]:
            _, kind, at = _field(data, at, 0)
            at = _skip(data, at, kind)
        return at + 1
    raise FooterError(f"the footer holds a value of type {kind} at byte {at}, which no footer has")


def _list(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """How many elements a list has, and where the first begins."""
    size = data[at] >> 4
    return _read(data, at + 1) if size == 15 else (size, at + 1)


def _list_head(size: int, element: int) -> bytes:
    return bytes([size << 4 | element]) if size < 15 else bytes([0xF0 | element]) + _varint(size)


def _integer(number: int, last: int, value: int, kind: int = _I32) -> bytes:
    return bytes([(number - last) << 4 | kind]) + _zigzag(value)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _signed(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """An unsigned varint, and where it ends."""
    number, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
