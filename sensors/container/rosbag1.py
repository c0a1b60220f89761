"""Sequential reader of ROS 1 bags that keeps every intact message.

This reader frames the records itself and needs no index, so a bag that was never closed, or has lost its end, gives what it
holds. The format has no checksums: damage shows where lengths, counts or compressed data contradict each other.

Format 2.0: http://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from sensors.container.compression import Bytes, decompressed_prefix, uncompressed
from sensors.container.recorded import BAG_MAGIC, ROS1, ContainerFault, ContainerFaultKind, Recorded, SizeLimits, ros2_type
from sensors.container.source import ByteSource
from sensors.errors import ContainerError, LimitError, TruncatedError
from sensors.stamps import MAX_STAMP_NS
from sensors.time_units import NS_PER_S

U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
TIME = struct.Struct("<II")  # seconds, nanoseconds


class BagOpcode(IntEnum):
    """The kind of a record: the field `op` of its header."""

    MESSAGE = 2
    BAG_HEADER = 3
    INDEX = 4
    CHUNK = 5
    CHUNK_INFO = 6
    CONNECTION = 7


@dataclass(frozen=True, slots=True)
class Connection:
    """Topic and type of a connection's messages; several connections may share a topic."""

    topic: str
    message_type: str


class Header:
    """The fields of a record's header."""

    def __init__(self, content: Bytes) -> None:
        """Split the header.

        Raises:
            ContainerError: A field extends beyond the header, has no name, or is duplicated.
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
        """Register a connection record.

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
        """The connection, or None if it is not defined yet."""
        return self._known.get(number)


def integer(layout: struct.Struct, value: Bytes, what: str) -> int:
    """The integer that `value` holds.

    Raises:
        ContainerError: It has the wrong size.
    """
    if len(value) != layout.size:
        raise ContainerError(f"{what} takes {len(value)} bytes instead of {layout.size}")
    return int(layout.unpack(value)[0])


def chunk_records(stored: Bytes, compression: str, raw_bytes: int, max_raw_bytes: int, *, cut: bool) -> Bytes:
    """The records of a chunk; `cut`: those that can be had of one whose end is missing.

    Raises:
        LimitError: It declares more than `max_raw_bytes`.
        ContainerError: It does not decompress to `raw_bytes`, or the compression is not `none`, `bz2` or `lz4`.
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


Found = Recorded | ContainerFault


def scan_bag(stream: BinaryIO, limits: SizeLimits | None = None) -> Iterator[Found]:
    """Every whole message of a bag in file order, and every flaw where it was met.

    Reads once, from the current position on (which must be the file's first byte), without seeking. Memory is bounded by two
    chunks as stored and one uncompressed, and by what the caller keeps. Of a chunk that the file's end has cut, the messages
    that are whole are given, marked as salvaged. The numbers of chunks, connections and messages are compared with what header
    and indexes say if nothing else was wrong. Never raises for what the bytes are; errors of `stream.read` pass through.
    """
    return _Scan(stream, limits or SizeLimits()).file()


class _Scan:
    def __init__(self, stream: BinaryIO, limits: SizeLimits) -> None:
        self._source = ByteSource(stream)
        self._limits = limits
        self._connections = Connections(limits.definitions, limits.name_bytes)
        self._undefined: set[int] = set()
        self._sizes: dict[int, int] = {
            BagOpcode.MESSAGE: limits.record_bytes,
            BagOpcode.CHUNK: limits.record_bytes,
            BagOpcode.CONNECTION: limits.definition_bytes,
        }
        self._counted = dict.fromkeys(("chunks", "messages", "indexed", "connections", "chunk infos"), 0)
        self._announced: dict[str, int] = {}
        self._faults = 0
        self._strange: set[int] = set()  # operations in chunks that must not be there, each a fault once

    def file(self) -> Iterator[Found]:
        magic = self._source.read_up_to(len(BAG_MAGIC))
        if magic != BAG_MAGIC:
            cut = BAG_MAGIC.startswith(magic)
            problem = f"the file begins with {magic!r}, a bag with {BAG_MAGIC!r}"
            yield self._fault(0, ContainerFaultKind.TRUNCATED if cut else ContainerFaultKind.CORRUPT, problem)
            return
        start = self._source.offset
        try:
            while head := self._source.read_up_to(U32.size):
                if len(head) != U32.size:
                    raise self._source.ended(U32.size, start)
                yield from self._record(start, U32.unpack(head)[0])
                start = self._source.offset
        except TruncatedError as error:
            yield self._fault(start, ContainerFaultKind.TRUNCATED, f"the bag is cut inside the record at offset {start}: {error}")
            return
        except ContainerError as error:
            yield self._fault(start, ContainerFaultKind.CORRUPT, f"{error}: the framing is lost")
            return
        yield from self._end()

    def _record(self, start: int, header_bytes: int) -> Iterator[Found]:
        """One record; a header that does not parse ends the scan, since the position of the next record is then unknown."""
        if header_bytes > self._limits.definition_bytes:
            raise ContainerError(f"a record's header takes {header_bytes} bytes, the limit is {self._limits.definition_bytes}")
        header = Header(self._source.read(header_bytes))
        op = header.op
        length = integer(U32, self._source.read(U32.size), "length of a record's data")
        limit = self._sizes.get(op)
        if limit is not None and length > limit:
            yield self._fault(start, ContainerFaultKind.LIMIT, f"a record (op {op}) takes {length} bytes, the limit is {limit}")
            self._source.skip(length)
            return
        if op == BagOpcode.CHUNK:
            yield from self._chunk_record(start, header, length)
            return
        if limit is None:
            self._source.skip(length)
        content = b"" if limit is None else self._source.read(length)
        yield from self._guarded(start, self._outside(start, op, header, content))

    def _outside(self, start: int, op: int, header: Header, content: bytes) -> Iterator[Found]:
        """A record outside of any chunk, other than a chunk itself."""
        if op == BagOpcode.BAG_HEADER:
            names = {"index": "index_pos", "chunks": "chunk_count", "connections": "conn_count"}
            self._announced = {what: header.u64(name) if what == "index" else header.u32(name) for what, name in names.items()}
        elif op == BagOpcode.INDEX:
            self._counted["indexed"] += header.u32("count")
        elif op == BagOpcode.CHUNK_INFO:
            self._counted["chunk infos"] += 1
        elif op == BagOpcode.CONNECTION:
            self._counted["connections"] += 1
            self._connections.add(header, content)
        elif op == BagOpcode.MESSAGE:
            yield from self._message(start, header, memoryview(content), salvaged=False)

    def _chunk_record(self, start: int, header: Header, length: int) -> Iterator[Found]:
        data_at = self._source.offset
        stored = self._source.view_up_to(length)
        cut = len(stored) < length
        self._counted["chunks"] += 1
        yield from self._guarded(start, self._chunk(start, header, stored, cut=cut), report=not cut)
        if cut:
            raise self._source.ended(length, data_at)

    def _chunk(self, start: int, header: Header, stored: memoryview, *, cut: bool) -> Iterator[Found]:
        compression = header.text("compression", self._limits.name_bytes)
        raw = memoryview(chunk_records(stored, compression, header.u32("size"), self._limits.chunk_raw_bytes, cut=cut))
        at, size = 0, len(raw)
        while at < size:
            header_at = at + U32.size
            data_at = header_at + _length(raw, at, size) + U32.size
            end = data_at + _length(raw, data_at - U32.size, size)
            if end > size:
                raise ContainerError(f"a record at byte {at} of a chunk of {size} bytes leaves it")
            inner = Header(raw[header_at : data_at - U32.size])
            yield from self._guarded(start, self._inside(start, inner, raw[data_at:end], salvaged=cut))
            at = end

    def _inside(self, start: int, header: Header, data: memoryview, *, salvaged: bool) -> Iterator[Found]:
        """A record inside a chunk."""
        if header.op == BagOpcode.MESSAGE:
            yield from self._message(start, header, data, salvaged=salvaged)
        elif header.op == BagOpcode.CONNECTION:
            if len(data) > self._limits.definition_bytes:
                raise LimitError(f"a connection takes {len(data)} bytes, the limit is {self._limits.definition_bytes}")
            self._connections.add(header, data)
        elif header.op not in self._strange:
            self._strange.add(header.op)
            raise ContainerError(f"a chunk holds a record (op {header.op}) that is neither a message nor a connection")

    def _message(self, start: int, header: Header, data: memoryview, *, salvaged: bool) -> Iterator[Found]:
        self._counted["messages"] += 1
        number, log_ns = header.u32("conn"), header.time_ns("time")
        if log_ns > MAX_STAMP_NS:
            raise ContainerError(f"a message of connection {number} was logged at {log_ns} ns, after the year 2096")
        connection = self._connections.get(number)
        if connection is None and number not in self._undefined:
            self._undefined.add(number)
            problem = f"messages of connection {number}, which the bag has not defined before them"
            yield self._fault(start, ContainerFaultKind.CORRUPT, problem)
        topic, message_type = ("", "") if connection is None else (connection.topic, ros2_type(connection.message_type))
        yield Recorded(topic, message_type, ROS1, log_ns, data.toreadonly(), salvaged)

    def _end(self) -> Iterator[Found]:
        if not self._announced:
            yield self._fault(self._source.offset, ContainerFaultKind.TRUNCATED, "the bag has no header record")
        elif self._announced["index"] == 0:
            problem = "the bag was never closed, so nothing says whether its end is there; `rosbag reindex` mends its index"
            yield self._fault(self._source.offset, ContainerFaultKind.TRUNCATED, problem)
        elif not self._faults:
            yield from self._counts()

    def _counts(self) -> Iterator[Found]:
        """Each chunk and connection is listed once more at the end of a bag, so that a lost end shows without any checksum."""
        announced, found = self._announced, self._counted
        for declared, actual, where, what in (
            (announced["chunks"], found["chunks"], "header counts", "chunks"),
            (announced["chunks"], found["chunk infos"], "header counts", "chunks, but in its list of chunks"),
            (announced["connections"], found["connections"], "header counts", "connections, but in its list of connections"),
            (found["indexed"], found["messages"], "indexes count", "messages"),
        ):
            if declared != actual:
                kind = ContainerFaultKind.TRUNCATED if declared > actual else ContainerFaultKind.CORRUPT
                yield self._fault(self._source.offset, kind, f"the bag's {where} {declared} {what}, it holds {actual}")

    def _guarded(self, start: int, found: Iterator[Found], *, report: bool = True) -> Iterator[Found]:
        """The same items, with errors turned into faults; without `report` where the end of the file explains them."""
        try:
            yield from found
        except LimitError as error:
            yield self._fault(start, ContainerFaultKind.LIMIT, str(error))
        except ContainerError as error:
            if report:
                yield self._fault(start, ContainerFaultKind.CORRUPT, str(error))

    def _fault(self, offset: int, kind: ContainerFaultKind, message: str) -> ContainerFault:
        self._faults += 1
        return ContainerFault(offset, kind, message)


def _length(raw: memoryview, at: int, size: int) -> int:
    """The length field at byte `at` of a chunk."""
    if at + U32.size > size:
        raise ContainerError(f"a chunk of {size} bytes ends within a record")
    return int(U32.unpack_from(raw, at)[0])
