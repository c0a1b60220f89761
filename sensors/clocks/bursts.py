"""Frames that come in bursts: a radar or scanner that sends one scan as many rows, each a message of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensors.stamps import Nanoseconds, distinct, percentile

LONGEST_ROW_NS = 5_000_000  # no sensor sends whole scans at 200 Hz
BREAK_ROWS = 3  # row periods; a longer step ends a burst
MIN_BURSTS = 3
MIN_ROWS = 4  # two or three close messages are frames that were published more than once
EVEN_SHARE = 0.8  # of the bursts, whose length and distance are the usual ones
EVEN_PERIOD = 0.25  # of the usual distance between two bursts
# Where the lengths of bursts are uneven, they have to be clearer otherwise:
CLEAR_PERIOD = 0.1  # of the usual distance
CLEAR_ROWS = 10  # row periods of a break
CLEAR_BURSTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Bursts:
    """The scans of a sensor: the stamps (K,) of their first rows, ascending, the usual number of rows, and the median time
    from one row to the next and from one scan to the next."""

    starts_ns: Nanoseconds
    rows: int
    row_period_ns: int
    period_ns: int


def bursts_of(stamps_ns: Nanoseconds) -> Bursts | None:
    """The bursts in stamps (N,), in any order; None if they do not come in bursts.

    Bursts are rows at most 5 ms apart, of the same number (within a tenth) at even distances, with breaks of more than three
    row periods between them. Where their numbers differ, as those of detections do, distances are more even and breaks longer.
    Dropped frames are neither even nor, at the rates of whole scans, so close.
    """
    ordered = distinct(stamps_ns)
    steps = np.diff(ordered)
    if steps.size < 2 * MIN_BURSTS:
        return None
    row_ns = percentile(steps, 50)
    breaks = np.flatnonzero(steps > BREAK_ROWS * row_ns)
    if row_ns > LONGEST_ROW_NS or breaks.size < MIN_BURSTS - 1:
        return None
    firsts = np.concatenate([[0], breaks + 1])
    sizes = np.diff(np.concatenate([firsts, [ordered.size]]))
    starts_ns = ordered[firsts]
    periods = np.diff(starts_ns)
    rows, period_ns = percentile(sizes, 50), percentile(periods, 50)
    inner = sizes[1:-1] if sizes.size > MIN_BURSTS else sizes  # the first and the last may be cut by the recording
    even = np.abs(inner - rows) <= rows // 10
    uneven = even.mean() < EVEN_SHARE
    regular = np.abs(periods - period_ns) <= (CLEAR_PERIOD if uneven else EVEN_PERIOD) * period_ns
    clear = starts_ns.size >= CLEAR_BURSTS and percentile(steps[breaks], 50) > CLEAR_ROWS * row_ns
    if rows < MIN_ROWS or (uneven and not clear) or regular.mean() < EVEN_SHARE:
        return None
    return Bursts(starts_ns, rows, row_ns, period_ns)
