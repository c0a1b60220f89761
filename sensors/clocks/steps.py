"""Clocks that were set while running: steps that persist, as opposed to gaps, where frames are missing and the clock is right.

Both look alike in the stamps alone. The recorder's clock is the arbiter: across a gap log time passes as the stamps do,
across a step it does not. Without log times only a step back is certain, and a step forward counts as one if it makes up for
a step back before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, percentile, stamps_with_log_times

WINDOW = 3  # frames on either side: the median of three ignores one stamp out of line, and two that were swapped
MAX_LISTED = 100
_FAR_NS = 10**18  # 31 years: a larger step is one in any case, and sums of a few such steps stay inside int64


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A step of the clock before frame `frame` (position in the order of logging).

    `step_ns`: that stamp less the one before it. `shift_ns`: the same, less what it should have been (the log time that
    passed; without log times one period), so by how much the clock was set.
    """

    frame: int
    step_ns: int
    shift_ns: int


@dataclass(frozen=True, slots=True)
class ClockSteps:
    """How many steps there are, and the first hundred of them."""

    count: int
    first: tuple[ClockStep, ...]


NO_STEPS = ClockSteps(0, ())


def settings(steps: ClockSteps, size: int) -> tuple[slice, ...]:
    """The stretches between one setting of a clock and the next, as slices of its `size` frames.

    What follows a step that is not listed belongs to the last stretch.
    """
    edges = [0, *(step.frame for step in steps.first), size]
    return tuple(slice(first, last) for first, last in pairwise(edges))


def set_by(steps: ClockSteps) -> tuple[int, ...]:
    """By how much the clock was off its first setting, in ns, for each of the stretches."""
    return tuple(accumulate((step.shift_ns for step in steps.first), initial=0))


def clock_steps(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike | None, period_ns: int | None = None) -> ClockSteps:
    """Find where the clock of the stamps (N,), in the order of logging, was set to another time and stayed there.

    Looked at are steps of more than 1.5 or less than half a period (without log times: less than zero). Such a step counts
    if it differs by more than half a period (and by more than six times what log times usually vary by) from what should
    have passed, and if the medians of the three frames before and after it differ by as much. `period_ns`: None for the
    median of the steps above zero. Linear in N; repeated stamps are one.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    kept = np.flatnonzero(np.concatenate([[True], np.diff(stamps) != 0])) if stamps.size else np.zeros(0, dtype=np.int64)
    stamps = stamps[kept]
    steps = np.diff(stamps)
    periods = steps[steps > 0]
    if periods.size == 0 or stamps.size < 2 * WINDOW:
        return NO_STEPS
    if period_ns is None:
        period_ns = percentile(periods, 50)
    period_ns = min(period_ns, _FAR_NS)
    passed = np.full(steps.size, period_ns, dtype=np.int64) if logged is None else np.diff(logged[kept])
    bounded = np.clip(steps, -_FAR_NS, _FAR_NS)
    shifts = bounded - np.clip(passed, -_FAR_NS, _FAR_NS)
    limit_ns = max(period_ns // 2, 6 * _usual(shifts) if logged is not None else 0)
    too_short = bounded < 0 if logged is None else 2 * bounded < period_ns
    places = np.flatnonzero((too_short | (2 * bounded > 3 * period_ns)) & (np.abs(shifts) > limit_ns))
    places = places[_stays(shifts, places, limit_ns)]
    if logged is None:
        places = _certain(shifts, places, limit_ns)
    first = tuple(
        ClockStep(int(kept[at + 1]), int(steps[at]), int(steps[at]) - int(passed[at])) for at in places[:MAX_LISTED].tolist()
    )
    return ClockSteps(places.size, first)


def _usual(shifts: Nanoseconds) -> int:
    """The third quartile of the distance of the shifts from their median: what transport varies by, and no step."""
    return percentile(np.abs(shifts - percentile(shifts, 50)), 75)


def _stays(shifts: Nanoseconds, places: Nanoseconds, limit_ns: int) -> npt.NDArray[np.bool_]:
    """Whether the clock error's median over three frames after each place is off that before by more than the limit.

    Relative to the frame before the place, the error of its neighbours is a sum of a few shifts, whatever their size.
    """
    before = np.zeros((places.size, WINDOW), dtype=np.int64)
    after = np.zeros((places.size, WINDOW), dtype=np.int64)
    after[:, 0] = shifts[places]
    for near in range(1, WINDOW):
        back, ahead = places - near, places + near
        before[:, near] = before[:, near - 1] - np.where(back >= 0, shifts[np.maximum(back, 0)], 0)
        inside = ahead < shifts.size
        after[:, near] = after[:, near - 1] + np.where(inside, shifts[np.minimum(ahead, shifts.size - 1)], 0)
    moved = np.median(after, axis=1) - np.median(before, axis=1)
    same_way = np.sign(moved) == np.sign(shifts[places])
    return np.asarray(same_way & (np.abs(moved) > limit_ns))


def _certain(shifts: Nanoseconds, places: Nanoseconds, limit_ns: int) -> Nanoseconds:
    """Of the places where a clock without an arbiter may have stepped, those back, and those that undo one of them."""
    if not (shifts[places] < 0).any():
        return places[:0]
    owed_ns, chosen = 0, []
    for at in places[int(np.argmax(shifts[places] < 0)) :].tolist():
        shift_ns = int(shifts[at])
        if shift_ns < 0:
            owed_ns -= shift_ns
            chosen.append(at)
        elif owed_ns and abs(shift_ns - owed_ns) <= limit_ns:
            owed_ns = 0
            chosen.append(at)
    return np.array(chosen, dtype=np.int64)
