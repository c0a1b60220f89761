"""The contents of the MCAP records that a scan needs, read with bounds.

Later versions may append fields to a record (https://mcap.dev/spec): bytes after the known fields are ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from sensors.container.compression import Bytes
from sensors.errors import ContainerError, LimitError


class McapOpcode:
    """Opcodes as plain integers: an enumeration's member costs more to compare than the rest of a record's frame."""

    HEADER, FOOTER = int(Opcode.HEADER), int(Opcode.FOOTER)
    SCHEMA, CHANNEL = int(Opcode.SCHEMA), int(Opcode.CHANNEL)
    MESSAGE, CHUNK = int(Opcode.MESSAGE), int(Opcode.CHUNK)
    STATISTICS, DATA_END = int(Opcode.STATISTICS), int(Opcode.DATA_END)


MAGIC = b"\x89MCAP0\r\n"
RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of the content
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel id, sequence, log time, publish time
FRAMED_MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # both at once
DATA_END = struct.Struct("<I")  # CRC of the data section
CRC_BYTES = 4
FOOTER = struct.Struct("<QQI")  # summary start, summary offset start, CRC of the summary
STATISTICS = struct.Struct("<Q")  # message count; the rest is not needed
_CHUNK_HEAD = struct.Struct("<QQQII")  # first and last log time, raw size, raw CRC, length of the compression's name
_U64 = struct.Struct("<Q")

LONGEST_COMPRESSION_NAME = 64

Parsed = TypeVar("Parsed")


class ChunkHead(NamedTuple):
    """The head of a chunk; its records begin at `records_at` of the record's content.

    `records_bytes`: the bytes present; fewer than declared where the end of the file has cut the chunk.
    """

    raw_bytes: int
    raw_crc: int
    compression: str
    records_at: int
    records_bytes: int


class ChannelOrigin(NamedTuple):
    """Topic, type and encoding of a channel's messages; all '' if the file does not define them."""

    topic: str = ""
    message_type: str = ""
    message_encoding: str = ""


class Registry:
    """The schemas and channels that a file has defined so far."""

    def __init__(self, max_entries: int, max_name_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_name_bytes = max_name_bytes
        self._type_names: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str, int]] = {}

    def add_schema(self, content: bytes) -> None:
        """Register a Schema record.

        Raises:
            ContainerError: It does not parse, has id 0, or redefines a schema.
            LimitError: Its name is too long, or there are too many.
        """
        schema = _parse("schema", Schema.read, content)
        self._bound("schema", schema.name, len(self._type_names))
        if schema.id == 0:
            raise ContainerError("a schema has id 0, which means 'no schema'")
        if self._type_names.setdefault(schema.id, schema.name) != schema.name:
            raise ContainerError(f"schema {schema.id} is both {self._type_names[schema.id]!r} and {schema.name!r}")

    def add_channel(self, content: bytes) -> None:
        """Register a Channel record.

        Raises:
            ContainerError: It does not parse, or redefines a channel.
            LimitError: A name is too long, or there are too many.
        """
        channel = _parse("channel", Channel.read, content)
        self._bound("channel", channel.topic + channel.message_encoding, len(self._channels))
        entry = (channel.topic, channel.message_encoding, channel.schema_id)
        if self._channels.setdefault(channel.id, entry) != entry:
            raise ContainerError(f"channel {channel.id} is both {self._channels[channel.id]} and {entry}")

    def origin(self, channel_id: int) -> ChannelOrigin:
        """What the messages of a channel are.

        Raises:
            ContainerError: The channel, or its schema, was not defined before.
        """
        if channel_id not in self._channels:
            raise ContainerError(f"messages of channel {channel_id}, which the file has not defined before them")
        topic, message_encoding, schema_id = self._channels[channel_id]
        if schema_id and schema_id not in self._type_names:
            raise ContainerError(f"channel {channel_id} ({topic!r}) uses schema {schema_id}, which the file has not defined")
        return ChannelOrigin(topic, self._type_names.get(schema_id, ""), message_encoding)

    def _bound(self, what: str, name: str, entries: int) -> None:
        if len(name.encode()) > self._max_name_bytes:
            raise LimitError(f"a {what}'s name takes {len(name.encode())} bytes, the limit is {self._max_name_bytes}")
        if entries >= self._max_entries:
            raise LimitError(f"more than {self._max_entries} {what}s")


def read_chunk_head(content: Bytes, *, cut: bool = False) -> ChunkHead:
    """The head of a Chunk record; `cut`: the end of the file has taken some of the records, which is no error then.

    Raises:
        ContainerError: The content is shorter than its own lengths say, or the compression's name is no text.
    """
    *_, raw_bytes, raw_crc, name_bytes = unpack("chunk", _CHUNK_HEAD, content)
    name_end = _CHUNK_HEAD.size + name_bytes
    if name_bytes > LONGEST_COMPRESSION_NAME:
        raise ContainerError(f"a chunk's compression name takes {name_bytes} bytes, the limit is {LONGEST_COMPRESSION_NAME}")
    (records_bytes,) = unpack("chunk", _U64, content, name_end)
    records_at = name_end + _U64.size
    if records_bytes > len(content) - records_at and not cut:
        raise ContainerError(f"a chunk announces {records_bytes} bytes of records but has {len(content) - records_at}")
    try:
        compression = bytes(content[_CHUNK_HEAD.size : name_end]).decode() if name_bytes else ""
    except UnicodeDecodeError as error:
        raise ContainerError(f"a chunk's compression name is no UTF-8: {error}") from error
    return ChunkHead(raw_bytes, raw_crc, compression, records_at, min(records_bytes, len(content) - records_at))


def record_at(raw: memoryview, at: int, *, cut: bool = False) -> tuple[int, int, int] | None:
    """Opcode, start and end of the content of the record at byte `at` of a chunk; None: `cut`, and its end is not there.

    Raises:
        ContainerError: It has opcode 0, or leaves the chunk.
    """
    size, start = len(raw), at + RECORD_HEAD.size
    if start > size:
        if cut:
            return None
        raise ContainerError(f"a chunk's last record of {size - at} bytes is shorter than its fields")
    opcode, length = RECORD_HEAD.unpack_from(raw, at)
    end = start + length
    if cut and end > size:
        return None
    if opcode == 0 or end > size:
        raise ContainerError(f"a record (opcode {opcode:#04x}, {length} bytes) leaves its chunk of {size} bytes")
    return opcode, start, end


def unpack(what: str, layout: struct.Struct, content: Bytes, at: int = 0) -> tuple[int, ...]:
    """The integers of `layout` at byte `at` of a record's content.

    Raises:
        ContainerError: The content ends before.
    """
    if at + layout.size > len(content):
        raise ContainerError(f"a {what} record of {len(content)} bytes is shorter than its fields")
    return layout.unpack_from(content, at)


class _ExactStream(ReadDataStream):
    """The stream of the `mcap` package, made strict: the original takes a short read for a complete one."""

    def read(self, length: int) -> bytes:
        data = super().read(length)
        if len(data) != length:
            raise EndOfFile
        return data


def _parse(what: str, read: Callable[[ReadDataStream], Parsed], content: bytes) -> Parsed:
    try:
        return read(_ExactStream(BytesIO(content)))
    except (EndOfFile, UnicodeDecodeError) as error:
        raise ContainerError(f"a {what} record of {len(content)} bytes does not parse: {error or 'it is too short'}") from error
