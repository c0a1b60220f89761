"""Exact reading from a stream that may hand out less than it was asked for."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from sensors.errors import TruncatedError

BLOCK_BYTES = 1024 * 1024


class Source:
    """A stream, how far it was read (`offset`), and the CRC-32 of what was read since the last `reset_crc`.

    Memory grows with the bytes that arrive, never with the number asked for.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.offset = 0
        self.crc = 0

    def read_up_to(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end of the stream only."""
        block = self._next(count)
        if len(block) == count or not block:
            return block
        parts = bytearray(block)
        while len(parts) < count:
            block = self._next(count - len(parts))
            if not block:
                break
            parts += block
        return bytes(parts)

    def read(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            TruncatedError: The stream ends before.
        """
        start = self.offset
        data = self.read_up_to(count)
        if len(data) != count:
            raise TruncatedError(f"{count} bytes were announced at offset {start}, but the file ends at {self.offset}")
        return data

    def skip(self, count: int) -> None:
        """Read `count` bytes and forget them.

        Raises:
            TruncatedError: The stream ends before.
        """
        start, end = self.offset, self.offset + count
        while self.offset < end:
            if not self._next(end - self.offset):
                raise TruncatedError(f"{count} bytes were announced at offset {start}, but the file ends at {self.offset}")

    def reset_crc(self) -> None:
        """Begin a new checksum with the next byte."""
        self.crc = 0

    def _next(self, count: int) -> bytes:
        block = self._stream.read(min(count, BLOCK_BYTES)) if count else b""
        self.offset += len(block)
        self.crc = zlib.crc32(block, self.crc)
        return block
