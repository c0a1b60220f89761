"""The clock of one sensor: rate, gaps and jitter from its stamps, offset and drift against the recorder's clock.

Offset and drift come from a line that outliers do not bend, by Theil-Sen: the slope is the median of the slopes between all
pairs of points (P. K. Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, J. Am. Stat. Assoc. 63, 1968),
here of at most 128 medians of consecutive frames. Its interval is Sen's too; it takes the errors as independent, which
latency that grows with load is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sensors.stamps import MAX_STAMP_NS, Nanoseconds, distinct, percentile, stamps_with_log_times
from sensors.time_units import NS_PER_S

_NEAR = 0.8  # of the distances between frames, for there to be a period
_WHOLE = 0.1  # of a period, that a distance may be off a whole number of them


@dataclass(frozen=True, slots=True)
class ClockReport:
    """Statistics of a sensor's stamps. What needs more frames than there are is None.

    `first_ns`, `last_ns`: the earliest and the latest stamp. `measured_rate_hz`: by the mean distance of distinct stamps that
    are no more apart than 1.5 times the median (or 1.5 nominal periods, where that is more): a hole in the recording is a gap,
    and no other rate. Without a period all distances count. `lost`: the frames that the longer distances have room for at that
    rate. A step is the difference of two stamps that were logged one after the other; the periods are the steps above zero:
    `period_p50_ns` is their median, `jitter_p95_ns` the 95th percentile of their distance from it, `max_gap_ns` the longest.
    `gaps`: steps longer than 1.5 nominal periods. `duplicates`: steps of zero. `regressions`: steps below zero.
    `log_offset_p50_ns`: the median of log time less stamp. Percentiles are values that occur (nearest rank, the lower median),
    so they are exact.
    """

    frames: int
    first_ns: int | None
    last_ns: int | None
    measured_rate_hz: float | None
    period_p50_ns: int | None
    jitter_p95_ns: int | None
    max_gap_ns: int | None
    gaps: int
    duplicates: int
    regressions: int
    log_offset_p50_ns: int | None
    lost: int = 0


def clock_report(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike, rate_hz: float | None) -> ClockReport:
    """Judge the stamps (N,) of one sensor, in the order in which they were logged at `log_ns` (N,).

    `rate_hz` is the nominal rate; None if it is unknown, in which case the median period is used.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length, or the rate is not positive.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    if rate_hz is not None and not rate_hz > 0:
        raise ValueError(f"the nominal rate is {rate_hz} Hz; it must be positive")
    steps = np.diff(stamps)
    periods = steps[steps > 0]
    period_p50_ns = _percentile(periods, 50)
    nominal_ns = round(NS_PER_S / rate_hz) if rate_hz is not None else period_p50_ns
    once = distinct(stamps)
    rate_found_hz, lost = _rate_and_lost(np.diff(once), nominal_ns)
    return ClockReport(
        frames=stamps.size,
        first_ns=int(once[0]) if once.size else None,
        last_ns=int(once[-1]) if once.size else None,
        measured_rate_hz=rate_found_hz,
        period_p50_ns=period_p50_ns,
        jitter_p95_ns=_percentile(np.abs(periods - period_p50_ns), 95) if period_p50_ns is not None else None,
        max_gap_ns=int(periods.max()) if periods.size else None,
        gaps=int(np.count_nonzero(2 * periods > 3 * nominal_ns)) if nominal_ns is not None else 0,
        duplicates=int(np.count_nonzero(steps == 0)),
        regressions=int(np.count_nonzero(steps < 0)),
        log_offset_p50_ns=_percentile(logged - stamps, 50),
        lost=lost,
    )


def _usual(apart: Nanoseconds, nominal_ns: int | None) -> npt.NDArray[np.bool_]:
    """Which distances of distinct stamps are no gap: up to 1.5 times the median, or 1.5 periods where that is more.

    All of them are usual where there is no period to speak of, as of poses that several sensors asked for: four fifths of the
    distances are not near the median, and they are multiples neither of it nor of the nominal period.
    """
    median_ns = percentile(apart, 50)
    regular = np.count_nonzero(np.abs(apart - median_ns) * 2.0 <= median_ns) >= _NEAR * apart.size
    periods = {median_ns, nominal_ns or median_ns}
    if not regular and not any(_in_periods(apart, period_ns) for period_ns in periods):
        return np.ones(apart.size, dtype=np.bool_)
    return np.asarray(apart <= 1.5 * max(periods))


def _in_periods(apart: Nanoseconds, period_ns: int) -> bool:
    """Whether nearly all distances are whole multiples of a period."""
    counts = np.maximum(np.round(apart / period_ns), 1)
    return bool(np.count_nonzero(np.abs(apart / period_ns - counts) <= _WHOLE) >= 0.95 * apart.size)


def _rate_and_lost(apart: Nanoseconds, nominal_ns: int | None) -> tuple[float | None, int]:
    if apart.size == 0:
        return None, 0
    usual = _usual(apart, nominal_ns)
    period_ns = float(apart[usual].mean(dtype=np.float64))
    return NS_PER_S / period_ns, int(np.sum(np.round(apart[~usual] / period_ns) - 1))


def _percentile(values: Nanoseconds, percent: int) -> int | None:
    return percentile(values, percent) if values.size else None


BINS = 128
MIN_POINTS = 8
MIN_SPAN_NS = 10 * NS_PER_S  # 100 ppm are 1 ms in 10 s: less than transport varies by
_Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class ClockFit:
    """Stamp less log time along log time.

    `offset_ns` at the middle of the log times; `drift_ppm`: how much faster than the recorder's clock this one runs, in
    millionths, with the half width of its 95 % interval. Both None for recordings of less than 10 s or 8 frames, or
    logged all but a few at one instant.
    """

    offset_ns: int
    drift_ppm: float | None
    drift_uncertainty_ppm: float | None


def fit_clock(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike) -> ClockFit | None:
    """Fit the stamps (N,) of a clock that was not set in between to their log times (N,); None if there are no frames.

    In integers until the offsets are relative to one of them, so epoch-sized stamps lose nothing. Equal shifts of stamps
    and log times change nothing.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    if stamps.size == 0:
        return None
    order = np.argsort(logged, kind="stable")
    at, offsets = logged[order], (stamps - logged)[order]
    middle_ns, base_ns = (int(at[0]) + int(at[-1])) // 2, int(np.partition(offsets, offsets.size // 2)[offsets.size // 2])
    if at.size < MIN_POINTS or int(at[-1]) - int(at[0]) < MIN_SPAN_NS:
        return ClockFit(base_ns, None, None)
    # Relative to one of them, and no further than 127 years: what is left fits a float, and differences an int64.
    offsets = np.clip(offsets, base_ns - MAX_STAMP_NS, base_ns + MAX_STAMP_NS) - base_ns
    x, y = _bin_medians(at - middle_ns), _bin_medians(offsets)
    if not np.ptp(x):  # nearly all frames were logged at once
        return ClockFit(base_ns, None, None)
    slope, half_width = _theil_sen(x, y)
    offset_ns = base_ns + round(float(np.median(y - slope * x)))
    return ClockFit(offset_ns, slope * 1e6, half_width * 1e6)


def _bin_medians(values: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Medians of at most `BINS` runs of (N,) values; the runs' lengths differ by one at most, so two calls do for all."""
    edges = np.linspace(0, values.size, min(BINS, values.size) + 1).astype(np.int64)
    starts, lengths = edges[:-1], np.diff(edges)
    medians = np.empty(starts.size)
    for length in np.unique(lengths).tolist():
        chosen = lengths == length
        runs = np.sort(values[starts[chosen, None] + np.arange(length)], axis=1)
        medians[chosen] = (runs[:, (length - 1) // 2] + runs[:, length // 2]) / 2.0
    return medians


@cache
def _pairs(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All pairs of `count` points, of which there are at most `BINS`."""
    return np.triu_indices(count, 1)


def _theil_sen(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median slope of (n,) points and the half width of its interval; points of one x make no slope."""
    left, right = _pairs(x.size)
    run = x[right] - x[left]
    slopes = np.sort((y[right] - y[left])[run > 0] / run[run > 0])
    spread = _Z95 * math.sqrt(x.size * (x.size - 1) * (2 * x.size + 5) / 18)
    low = max(math.floor((slopes.size - spread) / 2), 0)
    high = min(math.ceil((slopes.size + spread) / 2), slopes.size - 1)
    middle = (slopes[(slopes.size - 1) // 2] + slopes[slopes.size // 2]) / 2
    return float(middle), float(slopes[high] - slopes[low]) / 2
