"""Exact reading from blocks of bytes, as a file or an object store hands them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from zlib_ng import zlib_ng

from sensors.compression import Bytes
from sensors.errors import TruncatedError

BLOCK_BYTES = 512 * 1024


def blocks_of(stream: BinaryIO) -> Iterator[bytes]:
    """What a stream holds from its position on; it may hand out less than it is asked for."""
    while block := stream.read(BLOCK_BYTES):
        yield block


class Source:
    """Blocks of bytes one after the other, how far they were read (`offset`), and the CRC-32 of what was read since the last
    `reset_crc`.

    What lies in one block is read as a view of it, which keeps the block alive; only what crosses blocks is copied. Memory
    grows with the bytes that arrive, never with the number asked for. `observe` is given every byte once, in order, just
    before it is handed out: a second checksum then finds it in the processor's cache.
    """

    def __init__(self, blocks: Iterable[Bytes], observe: Callable[[memoryview], object] | None = None) -> None:
        self._blocks = iter(blocks)
        self._observe = observe
        self._block = memoryview(b"")  # what is left of the last one
        self.offset = 0
        self.crc = 0

    def read_up_to(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end only."""
        data = self.view_up_to(count)
        self.enter(data)
        return bytes(data)

    def read(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            TruncatedError: There are fewer.
        """
        start = self.offset
        data = self.read_up_to(count)
        if len(data) != count:
            raise self.ended(count, start)
        return data

    def view_up_to(self, count: int) -> memoryview:
        """As `read_up_to`, a read-only view; it is not in `crc` until it is given to `enter`."""
        piece = self._piece(count)
        if len(piece) == count or not piece:
            return piece
        parts = bytearray(piece)
        while len(parts) < count and (piece := self._piece(count - len(parts))):
            parts += piece
        return memoryview(parts).toreadonly()

    def enter(self, data: Bytes) -> None:
        """Let `crc` go on over what `view_up_to` gave."""
        self.crc = zlib_ng.crc32(data, self.crc)

    def skip(self, count: int) -> None:
        """Read `count` bytes and forget them.

        Raises:
            TruncatedError: There are fewer.
        """
        start, end = self.offset, self.offset + count
        while self.offset < end:
            piece = self._piece(end - self.offset)
            if not piece:
                raise self.ended(count, start)
            self.enter(piece)

    def drain(self) -> None:
        """Read to the end."""
        while self._piece(BLOCK_BYTES):
            pass

    def reset_crc(self) -> None:
        """Begin a new checksum with the next byte."""
        self.crc = 0

    def ended(self, count: int, start: int) -> TruncatedError:
        """The error of a source that has ended before `count` bytes from `start` on."""
        return TruncatedError(f"{count} bytes were announced at offset {start}, but the file ends at {self.offset}")

    def _piece(self, count: int) -> memoryview:
        """At most `count` bytes of one block; none at the end, or if none is asked for."""
        while not self._block and count:
            block = next(self._blocks, None)
            if block is None:
                return self._block
            self._block = memoryview(block).toreadonly()
        piece, self._block = self._block[:count], self._block[count:]
        self.offset += len(piece)
        if self._observe is not None:
            self._observe(piece)
        return piece
