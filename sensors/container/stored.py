"""What a scan of a container finds, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sensors.container.compression import MAX_RAW_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may make us allocate: for one record as stored, one chunk uncompressed, one definition record, the
    names in it, and how many schemas and channels there may be."""

    record_bytes: int = MAX_RAW_BYTES
    chunk_raw_bytes: int = MAX_RAW_BYTES
    definition_bytes: int = 1024 * 1024
    name_bytes: int = 1024
    definitions: int = 4096


class FaultKind(StrEnum):
    """What is wrong with a container."""

    TRUNCATED = "truncated"
    CRC = "crc"
    CORRUPT = "corrupt"
    LIMIT = "limit"
    NOT_MCAP = "not_mcap"


@dataclass(frozen=True, slots=True)
class ContainerFault:
    """A flaw, and the offset in the file of the record that has it."""

    offset: int
    kind: FaultKind
    message: str


class StoredMessage(NamedTuple):
    """A message, and where its bytes are.

    The bytes [chunk_offset, chunk_offset + chunk_bytes) of the file, decompressed to `chunk_raw_bytes` bytes, hold the
    message at [message_offset, message_offset + message_bytes). A message outside of any chunk is its own chunk, with
    compression '' and message_offset 0. `log_ns` is the recorder's time. `data` (read-only) keeps the whole chunk alive.
    `topic`, `message_type` and `message_encoding` are '' where the file does not define the channel. `salvaged`: the message
    comes from a chunk that the file's end has cut; its place leads to nothing that can be fetched and checked.
    """

    topic: str
    message_type: str
    message_encoding: str
    log_ns: int
    chunk_offset: int
    chunk_bytes: int
    compression: str
    chunk_raw_bytes: int
    message_offset: int
    message_bytes: int
    data: memoryview
    salvaged: bool = False
