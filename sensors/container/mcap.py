"""Sequential reader of MCAP files that keeps every intact message.

The reader of the `mcap` package trusts a file: it seeks to the index, allocates what a length field says and stops at the
first flaw. This one frames every record itself, so that each message is known by its place in the file, sizes are bounded
before anything is allocated, and a flaw is a value among the messages.

Format: https://mcap.dev/spec (version 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from zlib_ng import zlib_ng

from sensors.container.compression import ZSTD_MAGIC, Bytes, decompressed_message, decompressed_prefix, uncompressed
from sensors.container.mcap_records import (
    CRC_BYTES,
    DATA_END,
    FOOTER,
    FRAMED_MESSAGE_HEAD,
    MAGIC,
    MESSAGE_HEAD,
    RECORD_HEAD,
    STATISTICS,
    ChannelOrigin,
    ChunkHead,
    McapOpcode,
    Registry,
    read_chunk_head,
    record_at,
    unpack,
)
from sensors.container.recorded import CDR, ContainerFault, ContainerFaultKind, Recorded, SizeLimits, StoredMessage, ros2_type
from sensors.container.source import ByteSource
from sensors.errors import AllowanceError, ContainerError, LimitError, TruncatedError
from sensors.stamps import MAX_STAMP_NS

MESSAGES_AT_ONCE = 1024  # a chunk may hold millions


class ChunkPlace(NamedTuple):
    """The position of a chunk."""

    chunk_offset: int
    chunk_bytes: int
    compression: str
    chunk_raw_bytes: int
    salvaged: bool = False

    def message(self, origin: ChannelOrigin, log_ns: int, offset: int, data: memoryview) -> StoredMessage:
        """The message whose `data` stands at `offset` of the chunk."""
        at, size, compression, raw_bytes, salvaged = self
        return StoredMessage(*origin, log_ns, at, size, compression, raw_bytes, offset, len(data), data, salvaged)


def messages_from(
    records: memoryview, at: int, place: ChunkPlace, origins: Mapping[int, ChannelOrigin]
) -> tuple[list[StoredMessage], int]:
    """The messages from byte `at` of a chunk's `records` on, and where the first record begins that is not among them.

    That one is not a message, or needs closer inspection: its channel is not in `origins`, it is incomplete, or it was
    logged at a time that cannot be; or there were `MESSAGES_AT_ONCE`.
    """
    found: list[StoredMessage] = []
    size = len(records)
    last_head = size - FRAMED_MESSAGE_HEAD.size
    while at <= last_head and len(found) < MESSAGES_AT_ONCE:
        opcode, length, channel_id, _, log_ns, _ = FRAMED_MESSAGE_HEAD.unpack_from(records, at)
        data_at, end = at + FRAMED_MESSAGE_HEAD.size, at + RECORD_HEAD.size + length
        origin = origins.get(channel_id)
        if opcode != McapOpcode.MESSAGE or origin is None or not data_at <= end <= size or log_ns > MAX_STAMP_NS:
            break
        found.append(place.message(origin, log_ns, data_at, records[data_at:end]))
        at = end
    return found, at


Found = StoredMessage | ContainerFault

DEFINITIONS = (McapOpcode.SCHEMA, McapOpcode.CHANNEL)


def scan(stream: BinaryIO, limits: SizeLimits | None = None, *, salvage: bool = False) -> Iterator[Found]:
    """Every whole message of an MCAP file in file order, and every flaw where it was met.

    Reads once, from the current position on (which must be the file's first byte), without seeking; short reads are
    fine. Memory is bounded by two chunks as stored and one uncompressed, and by what the caller keeps: a message's `data`
    is a view of its chunk. Chunk, data and summary checksums are checked where the file has them (0 means that it has none).
    A chunk is whole or dropped: one that fails its checksum yields a fault and no message, and so does one that is cut,
    unless `salvage` asks for the whole messages in it, marked as such and not covered by a checksum. The number of messages
    is compared with the file's statistics if nothing else was wrong. A file that exceeds its allowance is not read any further,
    which is a fault too; so is a record in a chunk that is neither a definition nor a message. Never raises for what the bytes
    are; errors of `stream.read` pass through.
    """
    return scan_source(ByteSource(stream), limits, salvage=salvage)


def scan_source(source: ByteSource, limits: SizeLimits | None = None, *, salvage: bool = False) -> Iterator[Found]:
    """As `scan`, of a source whose owner observes its bytes, or reads on where the scan has ended."""
    return _Scan(source, limits or SizeLimits(), salvage).file()


def recorded_mcap(stream: BinaryIO, limits: SizeLimits | None = None) -> Iterator[Recorded | ContainerFault]:
    """The messages and flaws of an MCAP file; as `sensors.container.mcap.scan` with `salvage`.

    CDR messages compressed one by one (zstd) are decompressed; one that does not decompress is a fault.
    """
    limits = limits or SizeLimits()
    for item in scan(stream, limits, salvage=True):
        if isinstance(item, StoredMessage):
            yield _recorded(item, limits.record_bytes)
        else:
            yield item


def _recorded(item: StoredMessage, max_bytes: int) -> Recorded | ContainerFault:
    data = item.data
    if item.message_encoding == CDR and data[: len(ZSTD_MAGIC)] == ZSTD_MAGIC:
        try:
            data = memoryview(decompressed_message(data, max_bytes))
        except LimitError as error:
            return ContainerFault(item.chunk_offset, ContainerFaultKind.LIMIT, f"a message of {item.topic!r}: {error}")
        except ContainerError as error:
            return ContainerFault(item.chunk_offset, ContainerFaultKind.CORRUPT, f"a message of {item.topic!r}: {error}")
    return Recorded(item.topic, ros2_type(item.message_type), item.message_encoding, item.log_ns, data, item.salvaged)


class _Scan:
    def __init__(self, source: ByteSource, limits: SizeLimits, salvage: bool) -> None:
        self._salvage = salvage
        self._source = source
        self._limits = limits
        self._registry = Registry(limits.definitions, limits.name_bytes)
        self._origins: dict[int, ChannelOrigin] = {}
        self._undefined: set[int] = set()
        self._allowance = limits.allowance
        self._messages = 0
        self._other_records = 0  # in chunks: outside, each takes as many bytes as it costs to skip
        self._raw_bytes = 0
        self._exhausted = False
        self._faults = 0
        self._in_summary = False
        # The largest record that is read; the content of other records is skipped, whatever its size.
        self._sizes = dict.fromkeys((McapOpcode.MESSAGE, McapOpcode.CHUNK), limits.record_bytes)
        self._sizes |= dict.fromkeys((McapOpcode.DATA_END, McapOpcode.STATISTICS, *DEFINITIONS), limits.definition_bytes)

    def file(self) -> Iterator[Found]:
        magic = self._source.read_up_to(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                problem = f"the file ends after {len(magic)} of the {len(MAGIC)} bytes that begin an MCAP file"
                yield self._fault(0, ContainerFaultKind.TRUNCATED, problem)
            else:
                yield self._fault(0, ContainerFaultKind.NOT_MCAP, f"the file begins with {magic!r}, an MCAP file with {MAGIC!r}")
            return
        start = self._source.offset
        try:
            while True:
                start, before = self._source.offset, self._source.crc
                head = self._source.read(RECORD_HEAD.size)
                opcode, length = RECORD_HEAD.unpack(head)
                if start == len(MAGIC) and opcode != McapOpcode.HEADER:
                    yield self._fault(
                        start, ContainerFaultKind.CORRUPT, f"the first record has opcode {opcode:#04x} and is no header"
                    )
                if opcode == 0:
                    yield self._fault(
                        start, ContainerFaultKind.CORRUPT, "a record has opcode 0, which no record has: the framing is lost"
                    )
                    return
                if opcode == McapOpcode.FOOTER:
                    yield from self._end(start, head, length, before)
                    return
                yield from self._record(start, opcode, length, before)
                if self._exhausted:
                    return
        except TruncatedError as error:
            yield self._fault(
                start, ContainerFaultKind.TRUNCATED, f"the file is cut inside the record at offset {start}: {error}"
            )

    def _record(self, start: int, opcode: int, length: int, crc_before: int) -> Iterator[Found]:
        limit = self._sizes.get(opcode)
        if limit is None:
            self._source.skip(length)
            return
        if length > limit:
            problem = f"a record of opcode {opcode:#04x} takes {length} bytes, the limit is {limit}"
            yield self._fault(start, ContainerFaultKind.LIMIT, problem)
            self._source.skip(length)
            return
        if opcode == McapOpcode.CHUNK:
            yield from self._chunk_record(start, length)
            return
        content = self._source.read(length)
        try:
            if opcode in DEFINITIONS:
                yield from self._definition(start, opcode, content)
            elif opcode == McapOpcode.MESSAGE:
                yield from self._message(start, content)
            elif opcode == McapOpcode.DATA_END:
                yield from self._data_end(start, content, crc_before)
            elif opcode == McapOpcode.STATISTICS:
                yield from self._statistics(start, content)
        except LimitError as error:
            yield self._exceeded(start, error)
        except ContainerError as error:
            yield self._fault(start, ContainerFaultKind.CORRUPT, str(error))

    def _message(self, start: int, content: bytes) -> Iterator[Found]:
        if self._in_summary:
            raise ContainerError("a message stands in the summary section")
        size = len(content) - MESSAGE_HEAD.size
        place = ChunkPlace(start + RECORD_HEAD.size + MESSAGE_HEAD.size, size, "", size)
        yield from self._stored(start, memoryview(content), -MESSAGE_HEAD.size, place)

    def _chunk_record(self, start: int, length: int) -> Iterator[Found]:
        content_at = self._source.offset
        content = self._source.view_up_to(length)
        cut = len(content) < length
        try:
            head = self._enter_chunk(content, cut)
            if self._in_summary:
                raise ContainerError("a chunk stands in the summary section")
            self._allow_raw(head[0].raw_bytes)
            if not cut:
                yield from self._chunk(start, content, *head)
            elif self._salvage:
                yield from self._cut_chunk(start, content, head[0])
        except LimitError as error:
            yield self._exceeded(start, error)
        except ContainerError as error:
            if not cut:  # else the end of the file explains it
                yield self._fault(start, ContainerFaultKind.CORRUPT, str(error))
        if cut and not self._exhausted:
            raise self._source.ended(length, content_at)

    def _enter_chunk(self, content: memoryview, cut: bool) -> tuple[ChunkHead, int]:
        """Let the checksum of the section go on over a chunk; its head, and the checksum of its records as they are stored.

        Raises:
            ContainerError: As `read_chunk_head`; the section's checksum is that of all bytes nevertheless.
        """
        try:
            head = read_chunk_head(content, cut=cut)
        except ContainerError:
            self._source.enter(content)
            raise
        end = head.records_at + head.records_bytes
        self._source.enter(content[: head.records_at])
        stored_crc = self._source.enter_apart(content[head.records_at : end])
        if end < len(content):
            self._source.enter(content[end:])
        return head, stored_crc

    def _allow_raw(self, raw_bytes: int) -> None:
        if self._allowance is not None and raw_bytes <= self._limits.chunk_raw_bytes:  # else it is refused for itself
            self._raw_bytes += raw_bytes
            self._allowance.check_raw(self._raw_bytes, self._source.offset)

    def _room(self, wanted: int) -> int:
        """How many of `wanted` messages are still allowed."""
        if self._allowance is None:
            return wanted
        return min(wanted, self._allowance.messages_in(self._source.offset) - self._messages)

    def _no_room(self) -> AllowanceError:
        return AllowanceError(f"more than {self._messages} messages; those from here on were not read")

    def _chunk(self, start: int, content: memoryview, head: ChunkHead, stored_crc: int) -> Iterator[Found]:
        stored = content[head.records_at : head.records_at + head.records_bytes]
        raw = uncompressed(stored, head.compression, head.raw_bytes, self._limits.chunk_raw_bytes)
        if head.raw_crc:
            # Of what is stored as it is, a second pass would find the same.
            crc = zlib_ng.crc32(raw) if head.compression else stored_crc
            if crc != head.raw_crc:
                problem = f"a chunk of {head.raw_bytes} bytes says CRC {head.raw_crc:#010x} but has {crc:#010x}"
                yield self._fault(start, ContainerFaultKind.CRC, problem)
                return
        chunk_offset = start + RECORD_HEAD.size + head.records_at
        yield from self._chunk_records(start, raw, ChunkPlace(chunk_offset, len(stored), head.compression, len(raw)))

    def _cut_chunk(self, start: int, content: memoryview, head: ChunkHead) -> Iterator[Found]:
        stored = content[head.records_at : head.records_at + head.records_bytes]
        raw = decompressed_prefix(stored, head.compression, head.raw_bytes, self._limits.chunk_raw_bytes)
        chunk_offset = start + RECORD_HEAD.size + head.records_at
        place = ChunkPlace(chunk_offset, len(stored), head.compression, len(raw), salvaged=True)
        yield from self._chunk_records(start, raw, place)

    def _chunk_records(self, start: int, raw: Bytes, place: ChunkPlace) -> Iterator[Found]:
        view = memoryview(raw)
        at = 0
        strange: dict[int, int] = {}
        while at < len(view):
            messages, at = messages_from(view, at, place, self._origins)
            if messages:
                room = self._room(len(messages))
                self._messages += room
                yield from messages if room == len(messages) else messages[:room]
                if room < len(messages):
                    raise self._no_room()
                continue
            record = record_at(view, at, cut=place.salvaged)
            if record is None:
                break
            opcode, content_at, at = record
            if opcode == McapOpcode.MESSAGE:
                yield from self._stored(start, view[content_at:at], content_at, place)
                continue
            self._other_records += 1
            if self._allowance is not None:
                self._allowance.check_records(self._other_records, self._source.offset)
            if opcode in DEFINITIONS:
                yield from self._definition(start, opcode, view[content_at:at])
            else:
                strange[opcode] = strange.get(opcode, 0) + 1
        for opcode, count in strange.items():
            problem = f"a chunk holds {count} records of opcode {opcode:#04x}; only schemas, channels and messages may be in one"
            yield self._fault(start, ContainerFaultKind.CORRUPT, problem)

    def _definition(self, start: int, opcode: int, content: bytes | memoryview) -> Iterator[Found]:
        add = self._registry.add_schema if opcode == McapOpcode.SCHEMA else self._registry.add_channel
        try:
            if len(content) > self._limits.definition_bytes:
                raise LimitError(f"a definition takes {len(content)} bytes, the limit is {self._limits.definition_bytes}")
            add(bytes(content))
        except LimitError as error:
            yield self._fault(start, ContainerFaultKind.LIMIT, str(error))
        except ContainerError as error:
            yield self._fault(start, ContainerFaultKind.CORRUPT, str(error))

    def _stored(self, start: int, content: memoryview, content_at: int, place: ChunkPlace) -> Iterator[Found]:
        channel_id, _, log_ns, _ = unpack("message", MESSAGE_HEAD, content)
        if self._room(1) < 1:
            raise self._no_room()
        self._messages += 1
        if log_ns > MAX_STAMP_NS:
            problem = f"a message of channel {channel_id} was logged at {log_ns} ns, after the year 2096"
            yield self._fault(start, ContainerFaultKind.CORRUPT, problem)
            return
        origin = self._origins.get(channel_id)
        if origin is None:
            try:
                origin = self._origins[channel_id] = self._registry.origin(channel_id)
            except ContainerError as error:
                origin = ChannelOrigin()
                if channel_id not in self._undefined:
                    self._undefined.add(channel_id)
                    yield self._fault(start, ContainerFaultKind.CORRUPT, str(error))
        data = content[MESSAGE_HEAD.size :]
        yield place.message(origin, log_ns, content_at + MESSAGE_HEAD.size, data)

    def _data_end(self, start: int, content: bytes, crc_before: int) -> Iterator[Found]:
        (crc,) = unpack("data end", DATA_END, content)
        if crc and crc != crc_before:
            problem = f"the data section says CRC {crc:#010x} but has {crc_before:#010x}"
            yield self._fault(start, ContainerFaultKind.CRC, problem)
        self._in_summary = True
        for again in DEFINITIONS:
            self._sizes.pop(again, None)
        self._source.reset_crc()

    def _statistics(self, start: int, content: bytes) -> Iterator[Found]:
        (expected,) = unpack("statistics", STATISTICS, content)
        if not self._faults and expected != self._messages:
            problem = f"the statistics count {expected} messages, the file holds {self._messages}"
            yield self._fault(start, ContainerFaultKind.CORRUPT, problem)

    def _end(self, start: int, head: bytes, length: int, crc_before: int) -> Iterator[Found]:
        if length != FOOTER.size:
            yield self._fault(start, ContainerFaultKind.CORRUPT, f"the footer takes {length} bytes instead of {FOOTER.size}")
            return
        content = self._source.read(length)
        crc = unpack("footer", FOOTER, content)[-1]
        summary_crc = zlib_ng.crc32(content[:-CRC_BYTES], zlib_ng.crc32(head, crc_before))
        if not self._in_summary:
            yield self._fault(start, ContainerFaultKind.CORRUPT, "the file has no data end record before its footer")
        elif crc and crc != summary_crc:
            yield self._fault(start, ContainerFaultKind.CRC, f"the summary says CRC {crc:#010x} but has {summary_crc:#010x}")
        end = self._source.offset
        magic = self._source.read_up_to(len(MAGIC))
        if magic != MAGIC and MAGIC.startswith(magic):
            problem = f"the file ends after {len(magic)} of the {len(MAGIC)} bytes that end an MCAP file"
            yield self._fault(end, ContainerFaultKind.TRUNCATED, problem)
        elif magic != MAGIC:
            yield self._fault(end, ContainerFaultKind.CORRUPT, f"the file ends with {magic!r}, an MCAP file with {MAGIC!r}")
        elif self._source.read_up_to(1):
            yield self._fault(end + len(MAGIC), ContainerFaultKind.CORRUPT, "the file goes on after the bytes that end it")

    def _exceeded(self, start: int, error: LimitError) -> ContainerFault:
        self._exhausted = isinstance(error, AllowanceError)
        return self._fault(start, ContainerFaultKind.LIMIT, str(error))

    def _fault(self, offset: int, kind: ContainerFaultKind, message: str) -> ContainerFault:
        self._faults += 1
        return ContainerFault(offset, kind, message)
