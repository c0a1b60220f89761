"""Frames that no scene may hold because of their stamps: what `inspect` found, and the plan and the audit read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.tables.schemas import NS
from scenes.work_area import LEFT_OUT, WorkArea

_TABLE = pa.schema(
    [
        pa.field("frame_id", pa.int64(), nullable=False),  # row of the frame index
        pa.field("why", pa.int8(), nullable=False),
        pa.field("off_ns", NS, nullable=False),  # from where its stamp should be, as far as that is known
    ]
)

Ints = npt.NDArray[np.int64]


class Why(IntEnum):
    """Why a frame is left out."""

    OFF_LINE = 0  # its stamp is not where the sensor's other frames put it
    CLOCK_SET = 1  # it was stamped under another setting of its sensor's clock
    OTHER_CLOCK = 2  # its sensor's clock is not the reference's

    @property
    def reason(self) -> str:
        """As a fate has it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Frames by id, ascending: why each is left out (`Why`, int8), and how far off its stamp is. (M,) each."""

    frame_ids: Ints
    why: npt.NDArray[np.int8]
    off_ns: Ints

    @classmethod
    def none(cls) -> Self:
        """No frame."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int64))

    @classmethod
    def from_parts(cls, parts: Iterable[tuple[Ints, Why, Ints]]) -> Self:
        """From frame ids, the reason of all of them, and their distances; ids in any order, each once."""
        parts = [part for part in parts if part[0].size]
        if not parts:
            return cls.none()
        frame_ids = np.concatenate([ids for ids, _, _ in parts])
        why = np.concatenate([np.full(ids.size, reason, np.int8) for ids, reason, _ in parts])
        off_ns = np.concatenate([distances for _, _, distances in parts])
        order = np.argsort(frame_ids, kind="stable")
        return cls(frame_ids[order], why[order], off_ns[order])

    @classmethod
    def read(cls, table: pa.Table) -> Self:
        """Read what `table` wrote."""
        return cls(*(table[name].to_numpy() for name in _TABLE.names))

    def table(self) -> pa.Table:
        """A row for each frame."""
        return pa.Table.from_arrays([pa.array(values) for values in (self.frame_ids, self.why, self.off_ns)], schema=_TABLE)

    def mask(self, frames: int) -> npt.NDArray[np.bool_]:
        """Which of the rows of a frame index (N,) are left out."""
        found = np.zeros(frames, dtype=np.bool_)
        found[self.frame_ids] = True
        return found

    def ids(self, *why: Why) -> Ints:
        """The frames that are left out for one of these reasons, ascending."""
        return self.of(*why).frame_ids

    def of(self, *why: Why) -> Self:
        """The frames that are left out for one of these reasons."""
        chosen = np.isin(self.why, why)
        return type(self)(self.frame_ids[chosen], self.why[chosen], self.off_ns[chosen])


NOTHING = LeftOut.none()


def read_left_out(area: WorkArea) -> LeftOut:
    """What `inspect` left in the work area.

    Raises:
        WorkAreaError: It is missing.
    """
    return LeftOut.read(area.read_table(LEFT_OUT))
