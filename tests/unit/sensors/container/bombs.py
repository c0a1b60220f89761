"""MCAP files that make much of few bytes, assembled record by record."""

from __future__ import annotations

import struct
import zlib

import zstandard

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, ATTACHMENT, DATA_END = 1, 2, 3, 4, 5, 6, 9, 15
SECONDS = 1_700_000_000


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def chunk(raw: bytes, compression: str = "zstd") -> bytes:
    packed = zstandard.ZstdCompressor(level=19).compress(raw) if compression else raw
    head = struct.pack("<QQQI", 0, 0, len(raw), zlib.crc32(raw))
    return record(CHUNK, head + text(compression) + struct.pack("<Q", len(packed)) + packed)


def definitions(message_type: str = "sensor_msgs/msg/CompressedImage", topic: str = "/c") -> bytes:
    schema = struct.pack("<H", 1) + text(message_type) + text("ros2msg") + text("")
    channel = struct.pack("<HH", 1, 1) + text(topic) + text("cdr") + text("")
    return record(SCHEMA, schema) + record(CHANNEL, channel)


def message(number: int = 0, payload: bytes = b"", channel: int = 1) -> bytes:
    """A message whose CDR is a header's stamp, then `payload`."""
    head = struct.pack("<HIQQ", channel, number, SECONDS * 10**9 + number, 0)
    return record(MESSAGE, head + b"\0\1\0\0" + struct.pack("<iI", SECONDS, number) + payload)


def mcap(*parts: bytes) -> bytes:
    head = record(HEADER, text("ros2") + text("test"))
    end = record(DATA_END, struct.pack("<I", 0)) + record(FOOTER, struct.pack("<QQI", 0, 0, 0))
    return MAGIC + head + b"".join(parts) + end + MAGIC


def many_messages(count: int = 4_000_000, chunks: int = 4) -> bytes:
    """15 KiB for four million empty messages."""
    return mcap(definitions(), *[chunk(message() * (count // chunks))] * chunks)


def zeros(chunks: int = 40, size: int = 256 * 2**20 - 200, *, in_messages: bool = True) -> bytes:
    """323 KiB for ten gibibytes: each chunk is one message, or one record that no chunk may hold."""
    inner = message(payload=bytes(size)) if in_messages else record(ATTACHMENT, bytes(size))
    return mcap(definitions(), *[chunk(inner)] * chunks)
