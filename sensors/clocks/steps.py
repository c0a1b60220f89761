"""Clocks that were set while running: steps that persist, as opposed to gaps, where frames are missing and the clock is right.

Both look alike in the stamps alone. The recorder's clock is the arbiter: across a gap log time passes as the stamps do,
across a step it does not. A recorder that stalls, or writes in batches, is late and catches up: its lag returns, that of a clock
that was set does not. Without log times only a step back is certain, and a step forward counts as one if it makes up for a step
back before it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, percentile, stamps_with_log_times
from sensors.time_units import NS_PER_S

WINDOW = 3  # frames on either side: the median of three ignores one stamp out of line, and two that were swapped
MAX_LISTED = 100
_FAR_NS = 10**18  # 31 years: a larger step is one in any case, and sums of a few such steps stay inside int64
_LONG_FRAMES, _LONG_NS = 20, 10 * NS_PER_S  # whichever is more: in which a recorder that stalled has caught up
_LEAST_FRAMES = 5  # on either side of a step that stamps alone do not show
_TRANSPORT_NS = 50_000_000  # by which the least lag of a sound sensor may change
_CALM_NS = 20_000_000  # by which that of a clock that was set varies; a recorder that catches up slowly gains more

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A step of the clock before frame `frame` (position in the order of logging).

    `step_ns`: that stamp less the one before it. `shift_ns`: the same, less what it should have been (the log time that
    passed; without log times one period), so by how much the clock was set. `silent`: the stamps go on as usual, and only the
    log times show it: frames were lost, or the recorder's own clock was set.
    """

    frame: int
    step_ns: int
    shift_ns: int
    silent: bool = False


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

    A step counts if it differs by more than half a period (and by more than six times what log times usually vary by) from what
    should have passed. Without log times, only steps below zero and such as undo them do. Where a frame was logged about a period
    after the one before, a stamp that steps by more than 1.5 or less than half a period has to stay, in the medians of three
    frames before and after it. Any other step has to move the least lag of ten seconds by more than 50 ms, for good. `period_ns`:
    None for the median of the steps above zero. Linear in N, but for the steps; repeated stamps are one, unless log time passed.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    periods = np.diff(stamps)
    periods = periods[periods > 0]
    if periods.size == 0:
        return NO_STEPS
    if period_ns is None:
        period_ns = percentile(periods, 50)
    period_ns = min(period_ns, _FAR_NS)
    kept = _told_apart(stamps, logged, period_ns)
    stamps = stamps[kept]
    if stamps.size < 2 * WINDOW:
        return NO_STEPS
    steps = np.diff(stamps)
    passed = np.full(steps.size, period_ns, dtype=np.int64) if logged is None else np.diff(logged[kept])
    bounded = np.clip(steps, -_FAR_NS, _FAR_NS)
    shifts = bounded - np.clip(passed, -_FAR_NS, _FAR_NS)
    limit_ns = max(period_ns // 2, 6 * _usual(shifts) if logged is not None else 0)
    large = np.abs(shifts) > limit_ns
    measured: dict[int, int] = {}
    too_short = bounded < 0 if logged is None else 2 * bounded < period_ns
    unusual = too_short | (2 * bounded > 3 * period_ns)
    if logged is None:
        places = np.flatnonzero(unusual & large)
        places = _certain(shifts, places[_stays(shifts, places, limit_ns)], limit_ns)
    else:
        places, measured = _logged_steps(shifts, passed, unusual, large, period_ns, limit_ns)
    first = tuple(
        ClockStep(
            frame=int(kept[at + 1]),
            step_ns=int(steps[at]),
            shift_ns=measured.get(at, int(steps[at]) - int(passed[at])),
            silent=logged is not None and not unusual[at],
        )
        for at in places[:MAX_LISTED].tolist()
    )
    return ClockSteps(places.size, first)


def _told_apart(stamps: Nanoseconds, logged: Nanoseconds | None, period_ns: int) -> Nanoseconds:
    """Which frames (N,) to look at: of those that repeat the stamp before them the first, and one that was logged a period later,
    as by a clock set back by a period. A stamp that stands still repeats more than once."""
    same = np.diff(stamps) == 0
    if logged is not None:
        once = same & ~np.append(same[1:], False) & ~np.append(False, same[:-1])
        same &= ~(once & (4 * np.diff(logged) >= 3 * period_ns))
    return np.flatnonzero(np.concatenate([[True], ~same]))


def _usual(shifts: Nanoseconds) -> int:
    """The third quartile of the distance of the shifts from their median: what transport varies by, and no step."""
    return percentile(np.abs(shifts - percentile(shifts, 50)), 75)


def _stays(shifts: Nanoseconds, places: Nanoseconds, limit_ns: int) -> Bools:
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


def _logged_steps(
    shifts: Nanoseconds, passed: Nanoseconds, unusual: Bools, large: Bools, period_ns: int, limit_ns: int
) -> tuple[Nanoseconds, dict[int, int]]:
    """Places of the steps, of shifts and of log times `passed` (N,), and by how much those were set where the lag says it."""
    near = np.pad(passed, WINDOW - 1, mode="edge")
    pace = np.median(np.lib.stride_tricks.sliding_window_view(near, 2 * WINDOW - 1), axis=1)
    prompt = (2 * passed >= period_ns) & (2 * passed <= 3 * period_ns) & (2 * pace >= period_ns)
    shown = unusual & prompt & (shifts + passed != 0)
    sudden = np.flatnonzero(shown & large)
    sudden = sudden[_stays(shifts, sudden, limit_ns)]
    doubtful = large & (np.abs(shifts) > _TRANSPORT_NS) & ((shifts < 0) | unusual) & ~shown
    batched_ns = period_ns if 2 * percentile(passed, 50) < period_ns else 0  # the last frame of a batch may be in the next one
    far_ns = max(limit_ns, _TRANSPORT_NS) + batched_ns
    more = _for_good(shifts, sudden, np.flatnonzero(doubtful), unusual, far_ns, period_ns)
    return _below_all_before(shifts, sorted([*sudden.tolist(), *more]), more, limit_ns, period_ns), more


def _below_all_before(shifts: Nanoseconds, places: list[int], sure: Container[int], limit_ns: int, period_ns: int) -> Nanoseconds:
    """The places without the steps forward, of those that are not `sure`, after which the lag is one that was there since the
    step before: frames were lost while a recorder caught up."""
    kept: list[int] = []
    reach = _reach(shifts, period_ns)
    for at in places:
        start = max(kept[-1] + 1 if kept else 0, at - reach + 1)
        before = np.cumsum(np.append(0.0, shifts[start:at][::-1]))
        after = -np.cumsum(shifts[at : at + WINDOW], dtype=np.float64)
        if at in sure or shifts[at] < 0 or before.min() - np.median(after) > limit_ns:
            kept.append(at)
    return np.array(kept, dtype=np.int64)


def _reach(shifts: Nanoseconds, period_ns: int) -> int:
    """The number of frames before and after a place whose lag is looked at."""
    return max(_LONG_FRAMES, min(_LONG_NS // period_ns, shifts.size))


def _for_good(
    shifts: Nanoseconds, sudden: Nanoseconds, doubtful: Nanoseconds, unusual: Bools, far_ns: int, period_ns: int
) -> dict[int, int]:
    """Those of the `doubtful` places after which the lag settles elsewhere, until the next step, and by how much less."""
    chosen: dict[int, int] = {}
    reach = _reach(shifts, period_ns)
    calm_ns = max(6 * _usual(shifts), _CALM_NS)
    edges = [-1, *sudden.tolist(), shifts.size]
    sizes = np.round(np.abs(shifts[doubtful]) / period_ns)  # a boundary of a batch beside a step is the smaller of the two
    for at in doubtful[np.argsort(-sizes, kind="stable")].tolist():
        number = bisect(edges, at)
        start, end = edges[number - 1] + 1, edges[number]
        shift = int(shifts[at])
        # Lags relative to that of the frame before the place.
        before = np.cumsum(np.append(0.0, shifts[max(start, at - reach + 1) : at][::-1]))[::-1]
        after = -np.cumsum(shifts[at : min(end, at + reach)], dtype=np.float64)
        least = WINDOW if unusual[at] else max(_LEAST_FRAMES, abs(shift) // (4 * period_ns))
        if before.size < WINDOW or after.size < min(least, reach):
            continue
        if not _settled(before, far_ns) or not _settled(after, far_ns if unusual[at] else calm_ns):
            continue
        if shift < 0:  # log times in batches make it longer than the clock was set by
            moved = float(after.min()) - _least(before)
            here = -shift >= moved - far_ns - period_ns
        else:  # frames may be lost while a recorder catches up: then the least lag falls, but not by so much
            moved = _least(after) - float(before.min())
            here = abs(moved + shift) <= far_ns
        if here and abs(moved) > far_ns and (moved > 0) == (shift < 0):
            chosen[at] = -round(moved)
            edges.insert(number, at)
    return chosen


def _settled(lags: npt.NDArray[np.float64], limit_ns: int) -> bool:
    """Whether the least lag of the later half of frames (N,) is not below that of the earlier half: nobody is catching up."""
    half = lags.size // 2
    return bool(lags[half:].min() >= lags[:half].min() - limit_ns)


def _least(lags: npt.NDArray[np.float64]) -> float:
    """The least lag of frames (N,), N > 1, or if a stray has it, of the half without that one."""
    half = lags.size // 2
    return float(max(lags[:half].min(), lags[half:].min()))


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
