"""Streams whose reads are short, and which cannot seek."""

from __future__ import annotations

import io
from typing import Any


class ShortReads(io.RawIOBase):
    """Returns at most `most` bytes per call of `read`."""

    def __init__(self, data: bytes, most: int) -> None:
        self._inner = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(self._most if size < 0 else min(size, self._most))


class ShortFills(ShortReads):
    """Fills at most `most` bytes per call of `readinto`, too."""

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
