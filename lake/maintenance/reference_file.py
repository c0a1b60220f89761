"""A set of object names that may be larger than memory, as sorted hashes in a file.

A name is kept as 64 bits of its BLAKE2b hash. Two names with one hash are taken for the same, so that at worst an unreferenced
object counts as referenced (among 100 million names: with a probability of 10^-11 for each question); never the other way round.
Memory: `BUFFERED` hashes while the set is made, and one of `PARTS` parts when it is sorted; the file takes 8 bytes a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from lake.errors import MaintenanceError

PARTS = 256
BUFFERED = 1 << 20
Hashes = npt.NDArray[np.uint64]


def plain(uri: str) -> str:
    """BUCKET/KEY of a URI, whichever of S3's schemes it has."""
    return uri.partition("://")[2] if "://" in uri else uri


class ReferenceWriter:
    """Collects names in a folder, which must be empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buffer: list[int] = []

    def add(self, uris: Iterable[str]) -> None:
        """Add names.

        Raises:
            MaintenanceError: The disk is full, or cannot be written.
        """
        self._buffer += map(_hash, uris)
        if len(self._buffer) >= BUFFERED:
            self._spill()

    def sorted(self) -> References:
        """All names that were added; the writer must not be used afterwards.

        Raises:
            MaintenanceError: As `add`.
        """
        self._spill()
        path = self._folder / "sorted"
        try:
            with path.open("wb") as sink:
                for part in range(PARTS):
                    self._sort(part, sink)
        except OSError as error:
            raise _full(self._folder, error) from error
        return References(path)

    def _sort(self, part: int, sink: BinaryIO) -> None:
        path = self._part(part)
        if path.exists():
            np.unique(np.fromfile(path, dtype=np.uint64)).tofile(sink)
            path.unlink()

    def _spill(self) -> None:
        hashes = np.array(self._buffer, dtype=np.uint64)
        self._buffer.clear()
        parts = (hashes >> np.uint64(56)).astype(np.int64)
        order = np.argsort(parts, kind="stable")
        bounds = np.searchsorted(parts[order], np.arange(PARTS + 1))
        try:
            for part in range(PARTS):
                if bounds[part] < bounds[part + 1]:
                    with self._part(part).open("ab") as sink:
                        hashes[order[bounds[part] : bounds[part + 1]]].tofile(sink)
        except OSError as error:
            raise _full(self._folder, error) from error

    def _part(self, part: int) -> Path:
        return self._folder / f"part-{part:03d}"


class References:
    """Names that were added to a `ReferenceWriter`; pages of the file are read where they are asked for."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        self._hashes: Hashes = np.memmap(path, dtype=np.uint64, mode="r") if size else np.empty(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, uri: str) -> bool:
        return self.holds([uri])[0]

    def holds(self, uris: Sequence[str]) -> list[bool]:
        """Whether each of the names was added."""
        if not len(self._hashes):
            return [False] * len(uris)
        wanted = np.array([_hash(uri) for uri in uris], dtype=np.uint64)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: list[bool] = (self._hashes[at] == wanted).tolist()
        return found


def _hash(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(plain(uri).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _full(folder: Path, error: OSError) -> MaintenanceError:
    return MaintenanceError(
        f"cannot write to {folder}: {error.strerror}; nothing was deleted", "free the disk, or set TMPDIR to a larger one"
    )
