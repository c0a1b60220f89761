"""The messages of a chunk, as many at once as stand in a row: what most chunks consist of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sensors.container.mcap_records import FRAMED_MESSAGE_HEAD, RECORD_HEAD, Op, Origin
from sensors.container.stored import StoredMessage
from sensors.stamps import MAX_STAMP_NS

MESSAGES_AT_ONCE = 1024  # a chunk may hold millions


class Place(NamedTuple):
    """Where a chunk lies."""

    chunk_offset: int
    chunk_bytes: int
    compression: str
    chunk_raw_bytes: int
    salvaged: bool = False

    def message(self, origin: Origin, log_ns: int, offset: int, data: memoryview) -> StoredMessage:
        """The message whose `data` stands at `offset` of the chunk."""
        at, size, compression, raw_bytes, salvaged = self
        return StoredMessage(*origin, log_ns, at, size, compression, raw_bytes, offset, len(data), data, salvaged)


def messages_from(records: memoryview, at: int, place: Place, origins: Mapping[int, Origin]) -> tuple[list[StoredMessage], int]:
    """The messages from byte `at` of a chunk's `records` on, and where the first record begins that is not among them.

    That one is no message, or one that needs to be looked into: of a channel that is not in `origins`, not whole, or logged at
    a time that cannot be; or there were `MESSAGES_AT_ONCE`.
    """
    found: list[StoredMessage] = []
    size = len(records)
    last_head = size - FRAMED_MESSAGE_HEAD.size
    while at <= last_head and len(found) < MESSAGES_AT_ONCE:
        opcode, length, channel_id, _, log_ns, _ = FRAMED_MESSAGE_HEAD.unpack_from(records, at)
        data_at, end = at + FRAMED_MESSAGE_HEAD.size, at + RECORD_HEAD.size + length
        origin = origins.get(channel_id)
        if opcode != Op.MESSAGE or origin is None or not data_at <= end <= size or log_ns > MAX_STAMP_NS:
            break
        found.append(place.message(origin, log_ns, data_at, records[data_at:end]))
        at = end
    return found, at
