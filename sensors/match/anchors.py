"""Which frames of the reference a scene is built around: every one, or the first in each cell of a grid in time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, stamps_array
from sensors.time_units import NS_PER_S

MAX_KEYFRAME_HZ = NS_PER_S  # cells shorter than the resolution of stamps tell no frames apart
_MAX_INT64 = 2**63 - 1


def cell_numbers(stamps_ns: npt.ArrayLike, keyframe_hz: float) -> Nanoseconds:
    """The cell of each stamp (N,) on the half-open grid [k T, (k + 1) T) with T = 1 s / `keyframe_hz`, counted from 1970-01-01.

    The grid is the same for every drive, window and chunk, whatever they begin with. T need not be a whole number of
    nanoseconds: the rate is taken as the decimal number that it is written as, and the cell is floor(stamp * rate) in exact
    integer arithmetic, also where that exceeds 64 bits.

    Raises:
        ValueError: The stamps are not integer nanoseconds, or the rate is not in (0, 1e9] Hz.
    """
    stamps = stamps_array(stamps_ns, "stamps_ns")
    if not 0 < keyframe_hz <= MAX_KEYFRAME_HZ:
        raise ValueError(f"keyframe_hz is {keyframe_hz}, outside (0, {MAX_KEYFRAME_HZ}] Hz")
    cells_per_ns = Fraction(repr(float(keyframe_hz))) / NS_PER_S
    cells, span_ns = cells_per_ns.numerator, cells_per_ns.denominator  # the grid repeats: `cells` cells every `span_ns`
    exact = stamps if cells * span_ns <= _MAX_INT64 else stamps.astype(object)
    spans, within_ns = exact // span_ns, exact % span_ns
    return np.asarray(spans * cells + within_ns * cells // span_ns, dtype=np.int64)


def keyframes(stamps_ns: npt.ArrayLike, keyframe_hz: float | None, previous_cell: int | None = None) -> npt.NDArray[np.bool_]:
    """Which frames (N,) of the reference are anchors: the first of each cell, or all of them if `keyframe_hz` is None.

    `previous_cell`: the cell of the last frame before these, where the stamps are one chunk of many.

    Raises:
        ValueError: The stamps do not ascend or are not integer nanoseconds, or the rate is not in (0, 1e9] Hz.
    """
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    first = np.ones(stamps.size, dtype=np.bool_)
    if keyframe_hz is None or stamps.size == 0:
        return first
    cells = cell_numbers(stamps, keyframe_hz)
    first[1:] = cells[1:] != cells[:-1]
    first[0] = previous_cell is None or cells[0] != previous_cell
    return first
