"""Streams that hand out less than they are asked for, and cannot seek."""

from __future__ import annotations

import io
from typing import Any


class ShortReads(io.RawIOBase):
    """Hands out at most `most` bytes a call of `read`."""

    def __init__(self, data: bytes, most: int) -> None:
        self._inner = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(self._most if size < 0 else min(size, self._most))


class ShortFills(ShortReads):
    """Fills at most `most` bytes a call of `readinto`, too."""

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
