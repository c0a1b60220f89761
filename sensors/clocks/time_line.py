"""Which stamps of a sensor do not fit the rest: zero before the clock came up, an old one after lost packets, a wild value.

A single stamp must not have the weight of all: no minimum, maximum or "any" decides here. A stamp is compared with where its
neighbours, in the order of recording, put it (a decision filter after F. R. Hampel, The Influence Curve and its Role in Robust
Estimation, J. Am. Stat. Assoc. 69, 1974), and with the bulk of all stamps. Gaps, jitter, bursts and a clock that was set and
stays so (`sensors.clocks.steps`) leave every stamp where it fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.stamps import MAX_DURATION_NS, Nanoseconds, percentile, stamps_with_log_times
from sensors.time_units import NS_PER_S

WINDOW = 5  # neighbours on either side: a run of up to three frames out of line is outvoted, a longer one is a clock that was set
LEAST_VOTES = 3
FEW = 0.1  # share of the frames that may be far from the rest; more are another setting of the clock
FAR_NS = 3600 * NS_PER_S
FAR_SPANS = 10  # times what four fifths of the stamps span
_HOLE = (0.6, 1.5)  # periods from its neighbours in time: where a frame that was recorded late belongs
_JITTER_NS = 50_000_000
_NEAR = 6  # frames on either side whose lag is that of a frame

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """What each of the stamps (N,), in the order of recording, is.

    `off` (N,): does not fit. `off_ns` (N,): how far it is from where the others put it, 0 where it fits. `late` (N,): fits, but
    was recorded after frames that were measured after it.
    """

    off: Bools
    off_ns: Nanoseconds
    late: Bools

    def with_off(self, more: Bools, off_ns: Nanoseconds) -> TimeLine:
        """The same, with `more` stamps (N,) that do not fit, by `off_ns` (N,)."""
        return TimeLine(self.off | more, np.where(more, off_ns, self.off_ns), self.late & ~more)


def time_line(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike | None) -> TimeLine:
    """Find the stamps (N,), in the order of recording, that do not fit the others; `log_ns` (N,) where somebody wrote it.

    Linear in N, but for a sort. Equal shifts of stamps and log times change nothing. Fewer than three stamps all fit.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    line = TimeLine(np.zeros(stamps.size, np.bool_), np.zeros(stamps.size, np.int64), np.zeros(stamps.size, np.bool_))
    if stamps.size < 3:
        return line
    line = line.with_off(*_far(stamps))
    kept = np.flatnonzero(~line.off)
    period_ns = _period(stamps[kept])
    if period_ns is None:
        return line
    line = _out_of_order(line, stamps, logged, kept, period_ns)
    return line if logged is None else _against_log_times(line, stamps, logged, period_ns)


def beyond(stamps_ns: Nanoseconds, start_ns: int, end_ns: int) -> Nanoseconds:
    """How far each stamp (N,) is outside [start, end]: below zero before it, 0 inside."""
    return np.asarray(stamps_ns - np.clip(stamps_ns, start_ns, end_ns))


def _far(stamps: Nanoseconds) -> tuple[Bools, Nanoseconds]:
    """Stamps beyond the largest group of those that have no wide gap between them, where they are few."""
    ordered = np.sort(stamps)
    span_ns = percentile(ordered, 90) - percentile(ordered, 10)
    far_ns = max(FAR_NS, min(FAR_SPANS * span_ns, MAX_DURATION_NS))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > far_ns) + 1, [ordered.size]])
    sizes = np.diff(edges)
    home = int(np.argmax(sizes))
    if ordered.size - int(sizes[home]) > max(FEW * ordered.size, 1):
        return np.zeros(stamps.size, np.bool_), np.zeros(stamps.size, np.int64)
    off_ns = beyond(stamps, int(ordered[edges[home]]), int(ordered[edges[home + 1] - 1]))
    return off_ns != 0, off_ns


def _period(stamps: Nanoseconds) -> int | None:
    """The median step forward; None where there is none."""
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return min(percentile(steps, 50), MAX_DURATION_NS) if steps.size else None


def _out_of_order(line: TimeLine, stamps: Nanoseconds, logged: Nanoseconds | None, kept: Nanoseconds, period_ns: int) -> TimeLine:
    """Stamps that break the order, and that neither the frames before nor those after expect."""
    off, late, off_ns = line.off.copy(), line.late.copy(), line.off_ns.copy()
    runs = np.cumsum(np.concatenate([[True], np.diff(stamps[kept]) != 0])) - 1  # frames that repeat a stamp are judged as one
    members, kept = kept, kept[np.concatenate([[True], np.diff(runs) != 0])]
    everyone, judged = np.sort(stamps[kept]), kept
    lags = None if logged is None else logged - stamps
    while True:
        values = stamps[kept]
        back = np.flatnonzero(np.diff(values) <= 0)
        doubtful = np.unique(np.concatenate([back, back + 1]))
        taken = np.zeros(stamps.size, np.int64)  # a frame that does not fit took the place of one that does, a late one did not
        taken[judged[~late[judged]]] = 1
        apart = _apart(values, np.cumsum(taken)[kept], doubtful, period_ns)
        wrong = doubtful[apart != 0]
        if wrong.size == 0 or kept.size - wrong.size < 2:
            break
        rows = kept[wrong]
        off_by = apart[apart != 0]
        can, behind, slack_ns = np.ones(rows.size, np.bool_), np.zeros(rows.size, np.int64), max(period_ns // 2, _JITTER_NS)
        if lags is not None:  # a frame recorded late lags behind the others, and never runs ahead of them
            behind = lags[rows] - percentile(lags[kept], 50)
            can = behind >= -slack_ns
        everyone, belongs = _fills_a_hole(everyone, stamps[rows], off_by, period_ns, can)
        lagging = belongs & ((behind > slack_ns // 2) | (lags is None))
        late[rows[lagging]] = True
        off[rows[~belongs]] = True
        off_ns[rows[~belongs]] = off_by[~belongs]
        told = lagging | ~belongs
        if not told.any():
            break
        kept = np.delete(kept, wrong[told])
    first = judged[runs]
    off[members], off_ns[members], late[members] = off[first], off_ns[first], late[first]
    return TimeLine(off, off_ns, late)


def _apart(values: Nanoseconds, turns: Nanoseconds, places: Nanoseconds, period_ns: int) -> Nanoseconds:
    """How far the stamps (N,), measured in these `turns` (N,), at these places (M,) are from what both sides expect: the smaller
    of the two distances, 0 where they differ in sign or one is less than half a period. A side of fewer than three frames has no
    say, unless both are so short."""
    sides = [_expected(values, turns, places, period_ns, step) for step in (-1, 1)]
    (before, votes_before), (after, votes_after) = sides
    before_counts = votes_before >= np.minimum(LEAST_VOTES, np.maximum(votes_before, votes_after))
    after_counts = votes_after >= np.minimum(LEAST_VOTES, np.maximum(votes_before, votes_after))
    before, after = np.where(before_counts, before, after), np.where(after_counts, after, before)
    smaller = np.where(np.abs(before) <= np.abs(after), before, after)
    agreed = (np.sign(before) == np.sign(after)) & (2 * np.abs(smaller) > period_ns)
    return np.asarray(np.where(agreed, smaller, 0))


def _expected(
    values: Nanoseconds, turns: Nanoseconds, places: Nanoseconds, period_ns: int, side: int
) -> tuple[Nanoseconds, Nanoseconds]:
    """The stamps at these places (M,) less what up to `WINDOW` frames on one side expect (their lower median), and how many
    frames that are."""
    reach = np.arange(1, WINDOW + 1)
    near = places[:, None] + side * reach
    there = (near >= 0) & (near < values.size)
    near = np.clip(near, 0, values.size - 1)
    steps = np.clip(values[places, None] - values[near], -MAX_DURATION_NS, MAX_DURATION_NS)
    off = steps - np.clip((turns[places, None] - turns[near]) * float(period_ns), -MAX_DURATION_NS, MAX_DURATION_NS).astype(
        np.int64
    )
    ordered = np.sort(np.where(there, off, np.iinfo(np.int64).max), axis=1)
    votes = there.sum(axis=1)
    middle = ordered[np.arange(places.size), np.maximum(votes - 1, 0) // 2]
    return np.where(votes > 0, middle, 0), votes


def _fills_a_hole(
    everyone: Nanoseconds, stamps: Nanoseconds, apart: Nanoseconds, period_ns: int, can: Bools
) -> tuple[Nanoseconds, Bools]:
    """Whether each of the stamps (M,), of those that `can`, is a period from its neighbours in time, and `everyone` without the
    others: `everyone` (N,) ascending, all stamps, and how far `apart` (M,) each is from its neighbours in the recording. Strays
    are neighbours of each other, and vouch for none."""
    strays = np.sort(stamps[~can])
    for _ in range(LEAST_VOTES):
        first = np.searchsorted(everyone, strays) + np.arange(strays.size) - np.searchsorted(strays, strays)
        everyone = np.delete(everyone, first)
        fits = can & _between(everyone, stamps, apart, period_ns)
        if np.array_equal(fits, can):
            break
        strays, can = np.sort(stamps[can & ~fits]), fits
    return everyone, can


def _between(everyone: Nanoseconds, stamps: Nanoseconds, apart: Nanoseconds, period_ns: int) -> Bools:
    first = np.searchsorted(everyone, stamps, side="left")
    last = np.searchsorted(everyone, stamps, side="right")
    low, high = _HOLE
    fits = last - first == 1
    near = np.abs(apart) <= 2 * period_ns  # before the first or after the last there is no hole to be in
    before, after = everyone[np.maximum(first - 1, 0)], everyone[np.minimum(last, everyone.size - 1)]
    for there, neighbour in ((first > 0, before), (last < everyone.size, after)):
        distance = np.abs(stamps - neighbour)
        fits &= np.where(there, (distance >= low * period_ns) & (distance <= high * period_ns), near)
    return np.asarray(fits)


def _against_log_times(line: TimeLine, stamps: Nanoseconds, logged: Nanoseconds, period_ns: int) -> TimeLine:
    """Runs of up to three frames that are off the lag of their neighbours, where the stamps step there and back, and log times do
    not: a frame that was logged late is a period behind the one before it all the same."""
    kept = np.flatnonzero(~line.off & ~line.late)
    if kept.size < 2 * WINDOW:
        return line
    errors = np.clip(stamps[kept] - logged[kept], -MAX_DURATION_NS, MAX_DURATION_NS)
    starts = np.clip(np.arange(kept.size) - _NEAR, 0, kept.size - min(2 * _NEAR + 1, kept.size))
    near = np.sort(np.lib.stride_tricks.sliding_window_view(errors, min(2 * _NEAR + 1, kept.size)), axis=1)[starts]
    apart = errors - near[:, (near.shape[1] - 1) // 2]
    spread_ns = np.minimum(near[:, near.shape[1] * 3 // 4] - near[:, near.shape[1] // 4], MAX_DURATION_NS)
    signs = np.where(np.abs(apart) > np.maximum(max(period_ns // 2, _JITTER_NS), 3 * spread_ns), np.sign(apart), 0)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(signs)) + 1, [signs.size]])
    firsts, ends = edges[:-1], edges[1:]
    moved = np.concatenate([[True], np.diff(stamps[kept]) != 0])  # frames that only repeat a stamp say nothing of another time
    chosen = (signs[firsts] != 0) & (ends - firsts <= LEAST_VOTES) & np.logical_or.reduceat(moved, firsts)
    firsts, ends = firsts[chosen], ends[chosen]
    # How much further the stamps step before each frame than the frames between have room for, and than log time passed.
    places = np.cumsum(~line.late)[kept]
    steps = np.clip(np.diff(stamps[kept]), -MAX_DURATION_NS, MAX_DURATION_NS)
    extra = np.concatenate([[0.0], steps - np.diff(places) * float(period_ns), [0.0]])
    # The lag of a recorder that stalled goes back frame by frame, that of a stray at once.
    jumps = np.concatenate([[0.0], np.diff(errors), [0.0]])
    at_once = 2 * signs[firsts] * jumps[firsts] > np.abs(apart[firsts])
    back_at_once = 2 * -signs[firsts] * jumps[ends] > np.abs(apart[ends - 1])
    entered = (firsts == 0) | ((2 * signs[firsts] * extra[firsts] > period_ns) & at_once)
    left = (ends == kept.size) | ((2 * -signs[firsts] * extra[ends] > period_ns) & back_at_once)
    more, off_ns = np.zeros(stamps.size, np.bool_), np.zeros(stamps.size, np.int64)
    for first, end in zip(firsts[entered & left].tolist(), ends[entered & left].tolist(), strict=True):
        more[kept[first:end]], off_ns[kept[first:end]] = True, apart[first:end]
    return line.with_off(more, off_ns)
