"""What the stamps of one sensor say about its clock, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.rig import NS_PER_S
from sensors.stamps import Nanoseconds, distinct, stamps_array


@dataclass(frozen=True, slots=True)
class ClockReport:
    """Statistics of a sensor's stamps. What needs more frames than there are is None.

    `first_ns`, `last_ns`: the earliest and the latest stamp. `measured_rate_hz`: distinct stamps less one, over the time
    from first to last. A step is the difference of two stamps that were logged one after the other; the periods are the
    steps above zero: `period_p50_ns` is their median, `jitter_p95_ns` the 95th percentile of their distance from it,
    `max_gap_ns` the longest. `gaps`: steps longer than 1.5 nominal periods. `duplicates`: steps of zero. `regressions`:
    steps below zero. `log_offset_p50_ns`: the median of log time less stamp. Percentiles are values that occur (nearest
    rank, the lower median), so they are exact.
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


def clock_report(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike, rate_hz: float | None) -> ClockReport:
    """Judge the stamps (N,) of one sensor, in the order in which they were logged at `log_ns` (N,).

    `rate_hz` is the nominal rate; None if nobody knows it, and then the median period stands in for it.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length, or the rate is not positive.
    """
    stamps, logged = stamps_array(stamps_ns, "stamps_ns"), stamps_array(log_ns, "log_ns")
    if stamps.shape != logged.shape:
        raise ValueError(f"{stamps.size} stamps but {logged.size} log times")
    if rate_hz is not None and not rate_hz > 0:
        raise ValueError(f"the nominal rate is {rate_hz} Hz; it must be positive")
    steps = np.diff(stamps)
    periods = steps[steps > 0]
    period_p50_ns = _percentile(periods, 50)
    nominal_ns = round(NS_PER_S / rate_hz) if rate_hz is not None else period_p50_ns
    once = distinct(stamps)
    span_ns = int(once[-1] - once[0]) if once.size else 0
    return ClockReport(
        frames=stamps.size,
        first_ns=int(once[0]) if once.size else None,
        last_ns=int(once[-1]) if once.size else None,
        measured_rate_hz=(once.size - 1) * NS_PER_S / span_ns if span_ns else None,
        period_p50_ns=period_p50_ns,
        jitter_p95_ns=_percentile(np.abs(periods - period_p50_ns), 95) if period_p50_ns is not None else None,
        max_gap_ns=int(periods.max()) if periods.size else None,
        gaps=int(np.count_nonzero(2 * periods > 3 * nominal_ns)) if nominal_ns is not None else 0,
        duplicates=int(np.count_nonzero(steps == 0)),
        regressions=int(np.count_nonzero(steps < 0)),
        log_offset_p50_ns=_percentile(logged - stamps, 50),
    )


def _percentile(values: Nanoseconds, percent: int) -> int | None:
    """The nearest-rank percentile: the smallest value that at least `percent` % of the values do not exceed."""
    if values.size == 0:
        return None
    rank = -(-values.size * percent // 100)
    return int(np.partition(values, rank - 1)[rank - 1])
