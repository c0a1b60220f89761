"""Exact reads from a stream whose own reads may be short."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from zlib_ng import zlib_ng

from sensors.container.compression import Bytes
from sensors.errors import TruncatedError

BLOCK_BYTES = 2 * 1024 * 1024
AHEAD_BYTES = 4 * 1024  # read ahead after a large record: the small ones that follow, and the head of the next
SMALL_READ_BYTES = 64 * 1024  # of a file of small records each read of the stream serves many
KEPT_BUFFERS = 2  # a consumer still holds the last message of a chunk when it asks for the next chunk


class Buffers:
    """Large buffers that are reused once no view of them exists.

    Touching each page of a fresh buffer for the first time costs more than a checksum over it.
    """

    def __init__(self) -> None:
        self._kept: list[bytearray] = []

    def take(self, size: int) -> bytearray:
        """A buffer of at least `size` bytes, with arbitrary content and no view on it."""
        for position in reversed(range(len(self._kept))):  # the processor's cache holds the last one
            buffer = self._kept[position]
            if size <= len(buffer) <= 2 * size and _unseen(buffer):
                del self._kept[position]
                return buffer
        return bytearray(size + size // 8)

    def give(self, buffer: bytearray) -> None:
        """Offer a buffer for later use; views of it may exist still."""
        if len(self._kept) == KEPT_BUFFERS:
            del self._kept[0]
        self._kept.append(buffer)


class ByteSource:
    """A stream, how far it was read (`offset`), and the CRC-32 of what was read since the last `reset_crc`.

    Memory grows with the bytes that arrive, never with the number requested. `observe` is given every byte once, in order,
    as it arrives: further processing then finds it in the processor's cache. The source reads slightly ahead, so that small
    records do not cost a call each. Sources that are read one after another may share `buffers`.
    """

    def __init__(
        self,
        stream: BinaryIO | io.RawIOBase,
        observe: Callable[[bytes | memoryview], object] | None = None,
        buffers: Buffers | None = None,
    ) -> None:
        self._stream = stream
        self._observe = observe
        # RawIOBase has a readinto even where a subclass implements nothing but read.
        self._reads_into = getattr(type(stream), "readinto", io.RawIOBase.readinto) is not io.RawIOBase.readinto
        self._buffers = buffers or Buffers()
        self._ahead, self._ahead_at = b"", 0  # the bytes that have arrived, and the position of the first one not yet handed out
        self.offset = 0
        self.crc = 0

    def read_up_to(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end of the stream only."""
        start = self._ahead_at
        end = start + count
        if end <= len(self._ahead):
            data = self._ahead[start:end]
            self._ahead_at = end
        else:
            data = self._gather(count)
        self.offset += len(data)
        self.crc = zlib_ng.crc32(data, self.crc)
        return data

    def read(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            TruncatedError: The stream ends before.
        """
        start = self.offset
        data = self.read_up_to(count)
        if len(data) != count:
            raise self.ended(count, start)
        return data

    def view_up_to(self, count: int) -> memoryview:
        """As `read_up_to`, as a read-only view of memory that is reused once no view of it is left.

        It is not in `crc` until it is given to `enter` or `enter_apart`.
        """
        buffer = self._buffers.take(min(count + AHEAD_BYTES, BLOCK_BYTES))
        ahead = self._ahead[self._ahead_at : self._ahead_at + count]
        buffer[: len(ahead)] = ahead
        size = len(ahead)
        self._ahead_at += size
        while size < count:
            if size == len(buffer):
                buffer.extend(bytes(min(count - size, size)))
            with memoryview(buffer) as whole, whole[size : count + AHEAD_BYTES] as room:
                arrived = self._fill(room)
                if not arrived:
                    break
                if self._observe is not None:
                    self._observe(room[:arrived])
            size += arrived
        view = memoryview(buffer).toreadonly()
        if size > count:
            self._ahead, self._ahead_at = bytes(view[count:size]), 0
            size = count
        self.offset += size
        self._buffers.give(buffer)
        return view[:size]

    def enter(self, data: Bytes) -> None:
        """Extend `crc` over the bytes that `view_up_to` returned."""
        self.crc = zlib_ng.crc32(data, self.crc)

    def enter_apart(self, data: Bytes) -> int:
        """As `enter`; returns the CRC-32 of `data` alone, which is read once for both."""
        crc = zlib_ng.crc32(data)
        self.crc = zlib_ng.crc32_combine(self.crc, crc, len(data))
        return crc

    def skip(self, count: int) -> None:
        """Read and discard `count` bytes.

        Raises:
            TruncatedError: The stream ends before.
        """
        start, end = self.offset, self.offset + count
        while self.offset < end:
            if not self.read_up_to(min(end - self.offset, BLOCK_BYTES)):
                raise self.ended(count, start)

    def drain(self) -> None:
        """Read to the end."""
        while self.read_up_to(BLOCK_BYTES):
            pass

    def reset_crc(self) -> None:
        """Begin a new checksum with the next byte."""
        self.crc = 0

    def ended(self, count: int, start: int) -> TruncatedError:
        """The error of a stream that has ended before `count` bytes from `start` on."""
        return TruncatedError(f"{count} bytes were announced at offset {start}, but the file ends at {self.offset}")

    def _fill(self, room: memoryview) -> int:
        if not self._reads_into:
            block = self._stream.read(len(room)) or b""
            room[: len(block)] = block
            return len(block)
        arrived: int | None = self._stream.readinto(room)  # type: ignore[union-attr]
        return arrived or 0

    def _gather(self, count: int) -> bytes:
        """The next `count` bytes, of which not all have arrived yet."""
        parts = [self._ahead[self._ahead_at :]]
        missing = count - len(parts[0])
        while missing > 0:
            block = self._stream.read(min(max(missing, SMALL_READ_BYTES), BLOCK_BYTES))
            if not block:
                break
            if self._observe is not None:
                self._observe(block)
            parts.append(block)
            missing -= len(block)
        data = b"".join(parts)
        self._ahead, self._ahead_at = data[count:], 0
        return data[:count]


def _unseen(buffer: bytearray) -> bool:
    """Whether no memoryview of the buffer exists: a bytearray with an exported view cannot be resized."""
    try:
        buffer.append(0)
    except BufferError:
        return False
    buffer.pop()
    return True
