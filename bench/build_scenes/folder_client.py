"""A folder with the part of the S3 client's interface that `lake.storage` uses: the pipeline's store when storage itself is
not measured. Buckets are folders, every object has one version."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lake.storage import ObjectStore, ObjectVersion

VERSION = "1"
MOST_PIECES = 1024  # of one writev: IOV_MAX
MAP_BYTES = 64 * 1024  # smaller answers are cheaper to copy than to map


class FolderClient:
    """The calls of `boto3.client("s3")` that `ObjectStore` uses, on files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None, Range: str | None = None) -> dict[str, Any]:
        """The object, or its bytes in `Range`."""
        del VersionId  # there is one
        file = self._opened(Bucket, Key, "NoSuchKey")
        size = os.fstat(file.fileno()).st_size
        start, end = 0, size
        if Range is not None:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            start, end = int(first), min(size, int(last) + 1) if last else size
        return {"ContentLength": end - start, "Body": _Body(file, start, end, mapped=Range is not None)}

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        """The object's size."""
        del VersionId
        with self._opened(Bucket, Key, "404") as file:
            return {"ContentLength": os.fstat(file.fileno()).st_size}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes | memoryview) -> dict[str, Any]:
        """Write the object whole."""
        self.place(Bucket, Key).write_bytes(Body)
        return {"VersionId": VERSION}

    def place(self, bucket: str, key: str) -> Path:
        """The path to write an object to."""
        path = self._root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def get_paginator(self, operation: str) -> FolderClient:
        """Of `list_objects_v2`, in one page."""
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        """Keys under a prefix, in key order."""
        bucket = self._root / Bucket
        keys = sorted(str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file())
        yield {"Contents": [{"Key": key} for key in keys if key.startswith(Prefix)]}

    def _opened(self, bucket: str, key: str, refusal: str) -> io.FileIO:
        path = f"{self._root}/{bucket}/{key}"
        try:
            return io.FileIO(path)
        except FileNotFoundError as error:
            raise ClientError({"Error": {"Code": refusal, "Message": path}}, "GetObject") from error


class _Body:
    """Read at once, a large range (`mapped`) is a view of the file; read piece by piece, it is copied to the reader's buffer."""

    def __init__(self, file: io.FileIO, start: int, end: int, *, mapped: bool) -> None:
        self._file, self._start, self._end = file, start, end
        self._mapped = mapped and end - start >= MAP_BYTES
        if not self._mapped:
            file.seek(start)

    def read(self) -> bytes | memoryview:
        with self._file:
            return self._map() if self._mapped else self._file.read(self._end - self._start)

    def readinto(self, buffer: Any) -> int | None:
        with memoryview(buffer) as room:
            return self._file.readinto(room[: self._end - self._file.tell()])

    def close(self) -> None:
        self._file.close()

    def _map(self) -> memoryview:
        """The file's bytes in the page cache, with all pages mapped at once; unmapped when no view is left."""
        first = self._start - self._start % mmap.ALLOCATIONGRANULARITY
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        pages = mmap.mmap(self._file.fileno(), self._end - first, offset=first, flags=flags, prot=mmap.PROT_READ)
        return memoryview(pages)[self._start - first :]


class FolderStore(ObjectStore):
    """An `ObjectStore` over the folders below `root`. Unlike objects for S3, files are not assembled in memory first."""

    def __init__(self, root: Path) -> None:
        self._folder = FolderClient(root)
        super().__init__(self._folder)  # type: ignore[arg-type]

    def write(self, target: ObjectVersion, pieces: Sequence[bytes | memoryview], sha256: str | None = None) -> int:  # noqa: ARG002 - nothing here checks it
        """Write an object given in pieces; if it fails, no object remains."""
        path = self._folder.place(target.bucket, target.key)
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb", buffering=0) as file:
            for first in range(0, len(pieces), MOST_PIECES):
                _write_all(file.fileno(), pieces[first : first + MOST_PIECES])
        partial.rename(path)
        return path.stat().st_size


def _write_all(descriptor: int, pieces: Sequence[bytes | memoryview]) -> None:
    """Write all buffers, in as many calls as the system needs."""
    rest = list(pieces)
    while rest:
        written = os.writev(descriptor, rest)
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest and written:
            rest[0] = memoryview(rest[0])[written:]
