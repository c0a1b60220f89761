"""The parts of a ROS 1 bag record, read with bounds.

Format 2.0 (http://wiki.ros.org/Bags/Format/2.0): a record is a header and data, each behind its length (uint32, little-endian);
a header is a list of fields `name=value`, each behind its length.
"""

from __future__ import annotations

import bz2
import struct
from dataclasses import dataclass
from enum import IntEnum

from sensors.container.compression import Bytes, decompressed_prefix, uncompressed
from sensors.errors import ContainerError, LimitError
from sensors.rig import NS_PER_S

U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
TIME = struct.Struct("<II")  # seconds, nanoseconds


class Op(IntEnum):
    """What a record is: its header's field `op`."""

    MESSAGE = 2
    BAG_HEADER = 3
    INDEX = 4
    CHUNK = 5
    CHUNK_INFO = 6
    CONNECTION = 7


@dataclass(frozen=True, slots=True)
class Connection:
    """What the messages of a connection are; several connections may share a topic."""

    topic: str
    message_type: str


class Header:
    """The fields of a record's header."""

    def __init__(self, content: Bytes) -> None:
        """Split the header.

        Raises:
            ContainerError: A field leaves the header, has no name, or stands there twice.
        """
        self._fields: dict[bytes, bytes] = {}
        at, size = 0, len(content)
        while at < size:
            start = at + U32.size
            at = start + integer(U32, content[at:start], "length of a header's field")
            name, equals, value = bytes(content[start:at]).partition(b"=")
            if at > size or not equals or name in self._fields:
                raise ContainerError(f"a record's header of {size} bytes does not parse at its field {name[:20]!r}")
            self._fields[name] = value

    @property
    def op(self) -> int:
        """The record's `op`."""
        value = self.value("op")
        if len(value) != 1:
            raise ContainerError(f"a record's op takes {len(value)} bytes instead of 1")
        return value[0]

    def value(self, name: str) -> bytes:
        """The bytes of a field."""
        try:
            return self._fields[name.encode()]
        except KeyError:
            raise ContainerError(f"a record's header lacks the field {name!r}") from None

    def u32(self, name: str) -> int:
        """A 32-bit field."""
        return integer(U32, self.value(name), name)

    def u64(self, name: str) -> int:
        """A 64-bit field."""
        return integer(U64, self.value(name), name)

    def time_ns(self, name: str) -> int:
        """A time: seconds and nanoseconds since 1970."""
        value = self.value(name)
        if len(value) != TIME.size:
            raise ContainerError(f"{name} takes {len(value)} bytes instead of {TIME.size}")
        sec, nanosec = TIME.unpack(value)
        if nanosec >= NS_PER_S:
            raise ContainerError(f"{name} has {nanosec} nanoseconds, a second has {NS_PER_S}")
        return int(sec * NS_PER_S + nanosec)

    def text(self, name: str, max_bytes: int) -> str:
        """A name in UTF-8."""
        value = self.value(name)
        if len(value) > max_bytes:
            raise LimitError(f"{name} takes {len(value)} bytes, the limit is {max_bytes}")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ContainerError(f"{name} is no UTF-8: {error}") from error


class Connections:
    """The connections that a bag has defined so far; it defines each in the chunk that needs it first, and in its index."""

    def __init__(self, max_entries: int, max_name_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_name_bytes = max_name_bytes
        self._known: dict[int, Connection] = {}

    def add(self, header: Header, data: Bytes) -> None:
        """Take note of a connection record.

        Raises:
            ContainerError: It does not parse, or redefines a connection.
            LimitError: A name is too long, or there are too many.
        """
        number, topic = header.u32("conn"), header.text("topic", self._max_name_bytes)
        connection = Connection(topic, Header(data).text("type", self._max_name_bytes))
        if number not in self._known and len(self._known) >= self._max_entries:
            raise LimitError(f"more than {self._max_entries} connections")
        if self._known.setdefault(number, connection) != connection:
            raise ContainerError(f"connection {number} is both {self._known[number]} and {connection}")

    def get(self, number: int) -> Connection | None:
        """The connection, None if it was not defined so far."""
        return self._known.get(number)


def integer(layout: struct.Struct, value: Bytes, what: str) -> int:
    """The integer that `value` holds.

    Raises:
        ContainerError: It has another size.
    """
    if len(value) != layout.size:
        raise ContainerError(f"{what} takes {len(value)} bytes instead of {layout.size}")
    return int(layout.unpack(value)[0])


def chunk_records(stored: Bytes, compression: str, raw_bytes: int, max_raw_bytes: int, *, cut: bool) -> Bytes:
    """The records of a chunk; `cut`: those that can be had of one whose end is missing.

    Raises:
        LimitError: It declares more than `max_raw_bytes`.
        ContainerError: It does not decompress to `raw_bytes`, or the compression is none of `none`, `bz2` and `lz4`.
    """
    if raw_bytes > max_raw_bytes:
        raise LimitError(f"a chunk declares {raw_bytes} bytes uncompressed, the limit is {max_raw_bytes}")
    if compression == "bz2":
        return _bz2(stored, raw_bytes, cut)
    if compression not in ("none", "lz4"):
        raise ContainerError(f"a chunk is compressed with {compression!r}; only 'none', 'bz2' and 'lz4' are bag compressions")
    name = "" if compression == "none" else compression
    return (decompressed_prefix if cut else uncompressed)(stored, name, raw_bytes, max_raw_bytes)


def _bz2(stored: Bytes, raw_bytes: int, cut: bool) -> bytes:
    decompressor = bz2.BZ2Decompressor()
    try:
        raw = decompressor.decompress(stored, max_length=raw_bytes + 1)
    except (OSError, ValueError) as error:
        raise ContainerError(f"a bz2 chunk of {len(stored)} bytes does not decompress: {error}") from error
    if len(raw) != raw_bytes and not cut:
        raise ContainerError(f"a chunk (bz2) declares {raw_bytes} bytes uncompressed but holds {len(raw)}")
    return raw
