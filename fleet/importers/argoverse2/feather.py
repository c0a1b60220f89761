"""Feather files (Arrow IPC) as numpy arrays: bounded before anything is decompressed, and no value changed on the way.

A compressed buffer begins with its decompressed size, which the library allocates unchecked; a file of a few hundred bytes
can declare any size. The sizes that a file declares are therefore read from its own headers and added up first.

Format: Arrow columnar format, "IPC File Format" and "Compression"; field numbers of the tables as in `File.fbs` and
`Message.fbs` of Apache Arrow; how a table lies in memory: FlatBuffers, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fleet.errors import SourceError
from fleet.importers.source import read_bounded

MAGIC = b"ARROW1"
MAX_BATCHES = 1_000
MAX_BUFFERS = 1_000  # of one batch
NOT_COMPRESSED = -1  # in place of a buffer's size: this one is stored uncompressed

FOOTER_DICTIONARIES, FOOTER_BATCHES = 2, 3
MESSAGE_HEADER_TYPE, MESSAGE_HEADER, MESSAGE_METADATA = 1, 2, 4
BATCH_ROWS, BATCH_BUFFERS, BATCH_COMPRESSION = 0, 2, 3
RECORD_BATCH = 3
CONTINUATION = 0xFFFFFFFF

_U8, _U16, _U32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I")
_I32, _I64 = struct.Struct("<i"), struct.Struct("<q")
_BLOCK = struct.Struct("<qi4xq")  # offset of the message, size of its header, size of its body
_BUFFER = struct.Struct("<qq")  # offset in the body, size


@dataclass(frozen=True, slots=True)
class DeclaredSize:
    """Rows of all batches, and bytes of all their buffers once decompressed."""

    rows: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class _Table:
    """A FlatBuffers table: field numbers to positions."""

    data: bytes
    at: int

    def place(self, field: int) -> int | None:
        """The position of a field; None if it is omitted and has its default."""
        vtable = self.at - _read(_I32, self.data, self.at)[0]
        slot = 4 + 2 * field
        if slot + 2 > _read(_U16, self.data, vtable)[0]:
            return None
        offset = _read(_U16, self.data, vtable + slot)[0]
        return self.at + offset if offset else None

    def integer(self, field: int, form: struct.Struct) -> int:
        place = self.place(field)
        return 0 if place is None else int(_read(form, self.data, place)[0])

    def table(self, field: int) -> _Table | None:
        place = self.place(field)
        return None if place is None else _Table(self.data, place + _read(_U32, self.data, place)[0])

    def structs(self, field: int, form: struct.Struct, limit: int) -> Iterator[tuple[Any, ...]]:
        place = self.place(field)
        if place is None:
            return
        start = place + _read(_U32, self.data, place)[0]
        count = _read(_U32, self.data, start)[0]
        if count > limit:
            raise ValueError(f"it says that it holds {count} parts, the limit is {limit}")
        for number in range(count):
            yield _read(form, self.data, start + 4 + number * form.size)


def declared_size(file: bytes) -> DeclaredSize:
    """The decompressed size of a Feather V2 file, as declared by its headers.

    Raises:
        ValueError: It is not such a file, it is truncated, its headers point outside of it, or it uses unsupported features:
            dictionaries, or the compression of Arrow versions before 1.0.

    """
    if not (file.startswith(MAGIC) and file.endswith(MAGIC)):
        version_1 = ", but of version 1, which has no such header" if file.startswith(b"FEA1") else ""
        raise ValueError(f"it does not begin and end with {MAGIC.decode()}{version_1}")
    footer_end = len(file) - len(MAGIC) - _I32.size
    footer_at = footer_end - _read(_I32, file, footer_end)[0]
    if not len(MAGIC) <= footer_at < footer_end:
        raise ValueError("its footer does not lie inside of it")
    footer = _root(file, footer_at)
    if next(footer.structs(FOOTER_DICTIONARIES, _BLOCK, MAX_BATCHES), None) is not None:
        raise ValueError("it holds dictionary-encoded columns, which are not read")
    rows, data_bytes = 0, 0
    for offset, header_bytes, body_bytes in footer.structs(FOOTER_BATCHES, _BLOCK, MAX_BATCHES):
        if min(offset, header_bytes, body_bytes) < 0 or offset + header_bytes + body_bytes > len(file):
            raise ValueError("a batch does not lie inside of it")
        batch = _record_batch(file, offset)
        rows += batch.integer(BATCH_ROWS, _I64)
        data_bytes += sum(_buffer_sizes(batch, offset + header_bytes))
        if rows < 0:
            raise ValueError("a batch has a negative number of rows")
    return DeclaredSize(rows, data_bytes)


def _record_batch(file: bytes, at: int) -> _Table:
    marked = _read(_U32, file, at)[0] == CONTINUATION  # absent before Arrow 0.15
    message = _root(file, at + (8 if marked else 4))
    batch = message.table(MESSAGE_HEADER)
    if batch is None or message.integer(MESSAGE_HEADER_TYPE, _U8) != RECORD_BATCH:
        raise ValueError("its footer names something that is not a batch")
    if message.place(MESSAGE_METADATA) is not None:
        raise ValueError("a batch has metadata of its own, as files compressed by Arrow before 1.0 have; write it again")
    return batch


def _buffer_sizes(batch: _Table, body_at: int) -> Iterator[int]:
    compressed = batch.table(BATCH_COMPRESSION) is not None
    for offset, size in batch.structs(BATCH_BUFFERS, _BUFFER, MAX_BUFFERS):
        if offset < 0 or size < 0 or body_at + offset + size > len(batch.data):
            raise ValueError("a buffer does not lie inside of it")
        declared = _read(_I64, batch.data, body_at + offset)[0] if compressed and size else NOT_COMPRESSED
        if declared < NOT_COMPRESSED:
            raise ValueError(f"a buffer says that it has {declared} bytes")
        yield size if declared == NOT_COMPRESSED else declared


def _root(data: bytes, at: int) -> _Table:
    return _Table(data, at + _read(_U32, data, at)[0])


def _read(form: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if at < 0 or at + form.size > len(data):  # struct would count a negative position from the end
        raise ValueError("its headers point outside of it")
    return form.unpack_from(data, at)


MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_DATA_BYTES = 512 * 1024 * 1024  # once decompressed

Rows = npt.NDArray[np.void]


def read_rows(path: Path, dtype: np.dtype[Any], max_rows: int) -> Rows:
    """The columns that `dtype` names, (N,) of `dtype`: members of type object are text, the others numbers.

    A number may become a wider type that holds every value of the narrower one (float16 to float32), never the reverse.

    Raises:
        SourceError: The file is missing, damaged or too large, by its size, its rows or what its headers say it holds once
            decompressed; it lacks a column, or one is of a type that does not fit or has empty cells.

    """
    file = read_bounded(path, MAX_FILE_BYTES)
    try:
        size = declared_size(file)
    except ValueError as error:
        raise SourceError(f"{path} is not a whole Feather file: {error}") from error
    if size.rows > max_rows:
        raise SourceError(f"{path} has {size.rows} rows, the limit is {max_rows}")
    if size.data_bytes > MAX_DATA_BYTES:
        raise SourceError(f"{path} would need {size.data_bytes} bytes once decompressed, the limit is {MAX_DATA_BYTES}")
    names = dtype.names or ()
    table = _table(path, file, names)
    rows = np.empty(table.num_rows, dtype=dtype)
    for name in names:
        rows[name] = _column(path, table, name, dtype[name])
    return rows


def _table(path: Path, file: bytes, names: tuple[str, ...]) -> pa.Table:
    try:
        with pa.ipc.open_file(pa.BufferReader(file)) as reader:
            there = list(reader.schema.names)
            absent = [name for name in names if there.count(name) != 1]
            if absent:
                raise SourceError(f"{path} lacks the columns {', '.join(absent)}, or has them twice, not once")
            included = pa.ipc.IpcReadOptions(included_fields=[there.index(name) for name in names])
        with pa.ipc.open_file(pa.BufferReader(file), options=included) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} is not a whole Feather file: {error}") from error
    return table


def _column(path: Path, table: pa.Table, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any] | list[str]:
    column = table[name]
    if column.null_count:
        raise SourceError(f"{path}: {column.null_count} of {table.num_rows} cells of the column {name} are empty")
    if dtype.kind == "O":
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise SourceError(f"{path}: the column {name} is {column.type} instead of text")
        texts: list[str] = column.to_pylist()
        return texts
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not is_number or not np.can_cast(column.type.to_pandas_dtype(), dtype, "safe"):
        raise SourceError(f"{path}: the column {name} is {column.type}, which {dtype} does not hold without loss")
    return np.asarray(column.to_numpy())
