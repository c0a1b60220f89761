"""Whether an object's content names a drive, whatever it is stored as: JSON, Avro, Parquet, Arrow, text, compressed or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ops.erasure.avro import MAGIC as AVRO
from ops.erasure.avro import AvroFile
from ops.erasure.mentions import Names, texts_of
from ops.errors import InputError

_GZIP, _PARQUET, _ARROW = b"\x1f\x8b", b"PAR1", b"ARROW1"
MAX_UNPACKED = 1 << 30
LEAST_PAYLOAD = 32  # bytes; what is shorter says nothing of where it comes from


def names_drive(names: Names, key: str, body: bytes) -> bool:
    """Whether the content of the object at `key` names the drive.

    Raises:
        InputError: It is damaged, so that nothing can be said of it.
    """
    if body.startswith(_GZIP):
        body = _unpacked(body)
    if body.startswith(AVRO):
        return _avro(names, key, body)
    if body.startswith(_PARQUET):
        return _parquet(names, body)
    if body.startswith(_ARROW):
        return _arrow(names, body)
    if not names.may_name(body):
        return False
    try:
        return names.document(json.loads(body), (key,))
    except (ValueError, RecursionError):
        return any(names.record((line,)) for line in body.decode("utf-8", "replace").splitlines())


def _unpacked(body: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            unpacked = stream.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be unpacked: {error}") from error
    if len(unpacked) > MAX_UNPACKED:
        raise InputError(f"has more than {MAX_UNPACKED} bytes when it is unpacked")
    return unpacked


def _avro(names: Names, key: str, body: bytes) -> bool:
    file = AvroFile(body)
    if names.record((key, *texts_of(dict(file.header)))):
        return True
    return any(names.record(texts_of(datum)) for datum in file)


def _parquet(names: Names, body: bytes) -> bool:
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        told = file.metadata.metadata or {}
        texts = [text for name, value in told.items() if name != b"ARROW:schema" for text in (*texts_of(name), *texts_of(value))]
        return names.record(texts) or _tables(names, (file.read_row_group(at) for at in range(file.num_row_groups)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is not a Parquet file that can be read: {error}") from error


def _arrow(names: Names, body: bytes) -> bool:
    try:
        reader = pa.ipc.open_file(pa.BufferReader(body))
        return _tables(names, (pa.Table.from_batches([reader.get_batch(at)]) for at in range(reader.num_record_batches)))
    except pa.ArrowException as error:
        raise InputError(f"is not an Arrow file that can be read: {error}") from error


def _tables(names: Names, tables: Iterable[pa.Table]) -> bool:
    return any(_table(names, table) for table in tables)


def _table(names: Names, table: pa.Table) -> bool:
    """Rows are looked at one by one only where a column holds the drive id at all."""
    if not any(_holds(column, names.drive.drive_id) for column in _text_columns(table.columns)):
        return False
    shown = [at for at, field in enumerate(table.schema) if not pa.types.is_binary(field.type)]
    return any(names.record(texts_of(_without_bytes(row))) for row in table.select(shown).to_pylist())


def _without_bytes(value: object) -> object:
    """A row without payloads: bytes of an image are no text, and would be decoded in vain."""
    if isinstance(value, dict):
        return {name: _without_bytes(one) for name, one in value.items() if not isinstance(one, bytes)}
    if isinstance(value, list):
        return [_without_bytes(one) for one in value if not isinstance(one, bytes)]
    return value


def _text_columns(columns: Iterable[pa.ChunkedArray]) -> Iterator[pa.Array]:
    """The arrays of text in columns, at any depth."""
    for column in columns:
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else (column,):
            kind = chunk.type
            if pa.types.is_dictionary(kind):
                yield from _text_columns([chunk.dictionary])
            elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
                yield chunk
            elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
                yield from _text_columns([chunk.values if not pa.types.is_map(kind) else chunk.items])
            elif pa.types.is_struct(kind):
                yield from _text_columns([chunk.field(at) for at in range(kind.num_fields)])


def _holds(texts: pa.Array, name: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, name)).as_py())


def payload_digests(body: bytes) -> Iterator[str]:
    """SHA-256, hex, of every payload in a Parquet file that is not shorter than `LEAST_PAYLOAD`; of anything else, none.

    Raises:
        InputError: The file is damaged.
    """
    if not body.startswith(_PARQUET):
        return
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        for at in range(file.num_row_groups):
            for column in file.read_row_group(at).columns:
                for value in _binaries(column):
                    payload = value.as_buffer()
                    if len(payload) >= LEAST_PAYLOAD:
                        yield hashlib.sha256(payload).hexdigest()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is not a Parquet file that can be read: {error}") from error


def _binaries(column: pa.ChunkedArray) -> Iterator[pa.Scalar]:
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else (column,):
        kind = chunk.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            yield from (value for value in chunk if value.is_valid)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            yield from _binaries(chunk.values)
        elif pa.types.is_struct(kind):
            for position in range(kind.num_fields):
                yield from _binaries(chunk.field(position))
