"""Files of a table on this machine's disk, while they are being merged."""

from __future__ import annotations

import hashlib
import shutil
from typing import IO, TYPE_CHECKING, Any

from lake.errors import LakeError

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

    from lake.parquet.row_group import RangeRead

PIECE_BYTES = 8_000_000


def download(io: FileIO, uri: str, size: int, target: IO[bytes]) -> None:
    """Copy a file of the lake to `target`, piece by piece.

    Raises:
        LakeError: It has another size than the table says.
    """
    with io.new_input(uri).open() as stream:
        shutil.copyfileobj(stream, target, PIECE_BYTES)
    target.flush()
    if target.tell() != size:
        raise LakeError(f"{uri} has {target.tell()} bytes, the table says {size}")


def upload(io: FileIO, source: IO[bytes], uri: str) -> tuple[int, str]:
    """Write a file of the lake from the beginning of `source`, piece by piece; its size and SHA-256 (hex)."""
    source.seek(0)
    found, size = hashlib.sha256(), 0
    with io.new_output(uri).create() as stream:
        while piece := source.read(PIECE_BYTES):
            found.update(piece)
            size += len(piece)
            stream.write(piece)
    return size, found.hexdigest()


def local_ranges(file: IO[bytes]) -> RangeRead:
    """Read ranges of a file on this disk."""

    def read(uri: str, start: int, length: int) -> bytes:
        file.seek(start)
        return _whole(file, uri, start, length)

    return read


def lake_ranges(io: FileIO, uri: str) -> tuple[Any, RangeRead]:
    """A file of the lake, to be closed, and its ranges."""
    stream: Any = io.new_input(uri).open()

    def read(uri: str, start: int, length: int) -> bytes:
        stream.seek(start)
        return _whole(stream, uri, start, length)

    return stream, read


def _whole(stream: Any, uri: str, start: int, length: int) -> bytes:
    body: bytes = stream.read(length)
    if len(body) != length:
        raise LakeError(f"{uri} ends at byte {start + len(body)}, but bytes up to {start + length} are needed")
    return body
