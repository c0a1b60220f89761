"""The frames of a drive as the matcher needs them: by sensor, sound ones only, one for each stamp."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.errors import WorkAreaError
from scenes.left_out import NOTHING, LeftOut

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class UsableFrames:
    """Frames of one sensor that may be matched: from sound objects, with fitting stamps, ascending, each once. (N,) each."""

    frame_ids: Ints
    stamps_ns: Ints

    @classmethod
    def none(cls) -> UsableFrames:
        """The frames of a sensor that has none."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class DriveFrames:
    """A frame index (schema `lake.tables.schemas.FRAME_INDEX`), sorted by sensor and stamp; a frame's id is its row.

    `spans`: the rows of each sensor. `sound` (N,): whether a row is of an object that is not faulty. `left_out` (N,): whether it
    is left out because of its stamp.
    """

    stamps_ns: Ints
    spans: Mapping[str, slice]
    sound: Bools
    left_out: Bools

    @classmethod
    def of(cls, index: pa.Table, faulty_keys: Set[str], left_out: LeftOut = NOTHING) -> DriveFrames:
        """Read the sensors and keys of the index once.

        Raises:
            WorkAreaError: The rows of a sensor are not together.
        """
        return cls(index["stamp_ns"].to_numpy(), _spans(index), ~in_objects(index, faulty_keys), left_out.mask(len(index)))

    def rows(self, sensor: str) -> slice:
        """The rows of a sensor; empty if it has none."""
        return self.spans.get(sensor, slice(0, 0))

    def usable(self, sensor: str) -> UsableFrames:
        """The frames of a sensor that may be matched."""
        rows = self.rows(sensor)
        sound = self.sound[rows] & ~self.left_out[rows]
        frame_ids = np.arange(rows.start, rows.stop, dtype=np.int64)
        stamps_ns = self.stamps_ns[rows]
        if not sound.all():
            frame_ids, stamps_ns = frame_ids[sound], stamps_ns[sound]
        first = first_of_each(stamps_ns)
        return UsableFrames(frame_ids, stamps_ns) if first.all() else UsableFrames(frame_ids[first], stamps_ns[first])


def in_objects(index: pa.Table, keys: Set[str]) -> Bools:
    """Which rows of a frame index are of one of these objects, (N,)."""
    if not keys:
        return np.zeros(len(index), dtype=np.bool_)
    coded = index["key"].combine_chunks().dictionary_encode()
    chosen = np.array([key in keys for key in coded.dictionary.to_pylist()], dtype=np.bool_)
    return np.asarray(chosen[coded.indices.to_numpy()])


def first_of_each(stamps_ns: Ints) -> Bools:
    """Which ascending stamps (N,) differ from the one before."""
    first = np.ones(len(stamps_ns), dtype=np.bool_)
    first[1:] = stamps_ns[1:] != stamps_ns[:-1]
    return first


def _spans(index: pa.Table) -> dict[str, slice]:
    coded = index["sensor"].combine_chunks().dictionary_encode()
    codes, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    bounds = [*np.flatnonzero(np.diff(codes, prepend=-1)).tolist(), len(codes)]
    if len(bounds) - 1 != len(names):
        raise WorkAreaError(f"the frame index lists {len(names)} sensors in {len(bounds) - 1} pieces; inspect writes it sorted")
    return {name: slice(start, stop) for name, (start, stop) in zip(names, pairwise(bounds), strict=True)}
