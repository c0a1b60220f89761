"""An object in S3 as a stream that resumes after a broken connection."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from botocore.exceptions import BotoCoreError

from lake.errors import LakeError

READ_ATTEMPTS = 3


class ResponseBody(Protocol):
    """The part of an S3 response body that `ObjectStream` uses."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill a part of the buffer; 0 at the end."""

    def close(self) -> None:
        """Return the connection to the pool."""


Open: TypeAlias = Callable[[int], tuple[ResponseBody, int]]
"""First byte to the body from there on, and how many bytes it is to have."""


class ObjectStream(io.RawIOBase):
    """All bytes of one object version, straight into the reader's own buffer: one request, and another from the byte that was
    reached wherever the body breaks off, `READ_ATTEMPTS` in a row at most."""

    def __init__(self, name: str, open_at: Open) -> None:
        self._name, self._open = name, open_at
        self._body, self._size = open_at(0)
        self._at = 0
        self._failures = 0

    def readable(self) -> bool:
        """True: the stream is readable."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the bytes that have arrived into `buffer`; 0 at the object's end.

        Raises:
            LakeError: The endpoint does not deliver, or the object is shorter than announced.
        """
        while True:
            try:
                count = self._body.readinto(buffer) or 0
            except BotoCoreError as error:
                self._reopen(error)
                continue
            if count == 0 and len(buffer) and self._at < self._size:
                raise LakeError(f"{self._name} ends at byte {self._at} of {self._size}")
            self._at += count
            self._failures = 0 if count else self._failures
            return count

    def close(self) -> None:
        """Return the connection to the pool."""
        self._body.close()
        super().close()

    def _reopen(self, error: BotoCoreError) -> None:
        self._failures += 1
        if self._failures == READ_ATTEMPTS:
            raise LakeError(f"cannot read {self._name} in {READ_ATTEMPTS} attempts: {error}") from error
        self._body.close()
        self._body, _ = self._open(self._at)
