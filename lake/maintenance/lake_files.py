"""Files of a table as streams: read in ranges or whole, written once from the beginning to the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from lake.errors import LakeError

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

    from lake.parquet.row_group import RangeRead


class LakeWriter:
    """A new file that counts and digests what is written to it; an object that Python's libraries can write to."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._found = stream, hashlib.sha256()
        self.size = 0
        self.closed = False

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what was written."""
        return self._found.hexdigest()

    def write(self, piece: bytes | memoryview) -> int:
        """Append a piece."""
        self._stream.write(piece)
        self._found.update(piece)
        self.size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size

    def writable(self) -> bool:
        """Always."""
        return True

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Whoever opened the stream closes it."""
        self.closed = True


@contextmanager
def writing(io: FileIO, uri: str) -> Iterator[LakeWriter]:
    """A new file; complete when the context ends."""
    with io.new_output(uri).create() as stream:
        yield LakeWriter(stream)


@contextmanager
def reading(io: FileIO, uri: str) -> Iterator[RangeRead]:
    """Ranges of a file; reads raise LakeError where it is shorter."""
    with closing(io.new_input(uri).open()) as stream:

        def read(uri: str, start: int, length: int) -> bytes:
            stream.seek(start)
            body: bytes = stream.read(length)
            if len(body) != length:
                raise LakeError(f"{uri} ends at byte {start + len(body)}, but bytes up to {start + length} are needed")
            return body

        yield read


def read_whole(io: FileIO, uri: str, size: int) -> memoryview:
    """A file of a known size.

    Raises:
        LakeError: It has another size.
    """
    with closing(io.new_input(uri).open()) as stream:
        body = memoryview(stream.read(size + 1))
    if len(body) != size:
        raise LakeError(f"{uri} has {'more' if len(body) > size else len(body)} bytes, the table says {size}")
    return body


def ranges_of(body: memoryview) -> RangeRead:
    """Ranges of a file in memory, without copies."""

    def read(_: str, start: int, length: int) -> memoryview:
        return body[start : start + length]

    return read
