"""Findings on anomalies in the stamps of an imported sensor (nothing is repaired), and rates measured from stamps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from fleet.importers.source import median_ns
from sensors.clocks.time_line import time_line
from sensors.time_units import NS_PER_S

GAP_PERIODS = 1.5
MOST_NAMED = 5
LATE_NS = 50_000_000
USUAL_SHARE = 0.95  # of the steps between poses: sensors that are triggered together have theirs in groups of a dozen
HOLE_PERIODS = 10


def clock_findings(name: str, stamps_ns: Sequence[int]) -> list[str]:
    """Duplicate stamps, steps back and gaps of a sensor, whose stamps are in the order of the source; rows count from 1."""
    found = []
    steps = [(after - before, row) for row, (before, after) in enumerate(itertools.pairwise(stamps_ns), start=2)]
    doubled = sum(count - 1 for count in Counter(stamps_ns).values())
    if doubled:
        found.append(f"{name}: {doubled} of {len(stamps_ns)} frames repeat the stamp of another; kept")
    back = [(step, row) for step, row in steps if step < 0]
    found += [f"{name}: the clock steps back by {-step / 1e6:.1f} ms at row {row}; kept" for step, row in back[:MOST_NAMED]]
    found += _more(name, "steps back", back)
    forward = sorted(step for step, _ in steps if step > 0)
    if forward:
        usual = forward[len(forward) // 2]
        gaps = [(step, row) for step, row in steps if step > GAP_PERIODS * usual]
        for step, row in gaps[:MOST_NAMED]:
            doubt = "; as the clock also steps back, it may have stepped forward here" if back else ""
            found.append(f"{name}: {step / 1e6:.1f} ms pass before row {row}, usually {usual / 1e6:.1f} ms{doubt}")
        found += _more(name, "gaps", gaps)
    return found


def overlap_findings(streams: Mapping[str, Sequence[int]]) -> list[str]:
    """Findings on sensors that begin late or end early, compared with the first and last frame of all `streams` that fits.

    Sensors that run free of each other begin and end up to a period apart; late is 1.5 periods of their own, and 50 ms.
    """
    fitting = {name: _fitting(stamps) for name, stamps in streams.items() if stamps}
    spans = {name: (stamps[0], stamps[-1]) for name, stamps in fitting.items()}
    if len(spans) < 2:
        return []
    first, begin_ns = min(((name, low) for name, (low, _) in spans.items()), key=lambda entry: entry[1])
    last, end_ns = max(((name, high) for name, (_, high) in spans.items()), key=lambda entry: entry[1])
    found = []
    for name, (low, high) in spans.items():
        late_ns = max(LATE_NS, GAP_PERIODS * _usual_ns(streams[name]))
        if low - begin_ns >= late_ns:
            found.append(f"{name}: begins {(low - begin_ns) / 1e6:.1f} ms after the first frame of all ({first})")
        if end_ns - high >= late_ns:
            found.append(f"{name}: ends {(end_ns - high) / 1e6:.1f} ms before the last frame of all ({last})")
    return found


def mean_hz(stamps_ns: Sequence[int]) -> float | None:
    """The rate of distinct stamps, in the order of the source; None for fewer than two.

    Stamps that do not fit the others have no say, nor have steps far wider than nearly all others: a hole, or a wild stamp
    that is sorted to an end.
    """
    steps_ns = sorted(after - before for before, after in itertools.pairwise(_fitting(stamps_ns)))
    if not steps_ns:
        return None
    usual_ns = steps_ns[int(USUAL_SHARE * (len(steps_ns) - 1))]
    kept_ns = [step_ns for step_ns in steps_ns if step_ns <= HOLE_PERIODS * usual_ns]
    return len(kept_ns) * NS_PER_S / sum(kept_ns)


def _fitting(stamps_ns: Sequence[int]) -> list[int]:
    """The distinct stamps that fit the others, ascending."""
    stamps = np.array(stamps_ns, dtype=np.int64)
    fitting: list[int] = np.unique(stamps[~time_line(stamps, None).off]).tolist()
    return fitting


def named(things: Sequence[str]) -> str:
    """The first ten, and the number of the others."""
    shown = ", ".join(things[:10])
    return shown if len(things) <= 10 else f"{shown} and {len(things) - 10} more"


def _usual_ns(stamps_ns: Sequence[int]) -> int:
    forward = sorted(after - before for before, after in itertools.pairwise(sorted(set(stamps_ns))))
    return forward[len(forward) // 2] if forward else 0


def _more(name: str, what: str, steps: Sequence[tuple[int, int]]) -> list[str]:
    if len(steps) <= MOST_NAMED:
        return []
    widest = max(abs(step) for step, _ in steps[MOST_NAMED:])
    return [f"{name}: {len(steps) - MOST_NAMED} more {what}, the widest of {widest / 1e6:.1f} ms"]


SLOWEST_HZ, FASTEST_HZ = 0.001, 10_000.0
WIDEST_TOLERANCE_NS = 10 * NS_PER_S  # as in the calibration's schema


def half_period_ns(rate_hz: float) -> int:
    """Half a period, as far as a rig can say it."""
    return min(round(NS_PER_S / rate_hz / 2), WIDEST_TOLERANCE_NS)


def rate_hz(stamps_ns: Sequence[int], documented_hz: float) -> float:
    """The rate from the median forward step between stamps; the documented rate without a plausible one."""
    forward_ns = [after - before for before, after in itertools.pairwise(stamps_ns) if after > before]
    return within(NS_PER_S / median_ns(forward_ns) if forward_ns else 0.0, documented_hz)


def within(measured_hz: float, documented_hz: float) -> float:
    """The measured rate to the millihertz; the documented rate where the measured one is outside a rig's range."""
    return round(measured_hz, 3) if SLOWEST_HZ <= measured_hz <= FASTEST_HZ else documented_hz


LONGEST_DELAY_NS = 10 * NS_PER_S  # as in the calibration's schema


def declared_delay_ns(median_delay_ns: int) -> int:
    """The delay to declare for a sensor whose stamps are so far from the reference's; 0 where a rig cannot say it."""
    return median_delay_ns if abs(median_delay_ns) <= LONGEST_DELAY_NS else 0


def delay_words(median_delay_ns: int) -> str:
    """What was made of a delay, in brackets behind it."""
    if abs(median_delay_ns) <= LONGEST_DELAY_NS:
        return "(median, declared as its delay)"
    return f"(median; more than {LONGEST_DELAY_NS // NS_PER_S} s is another clock and no delay, declared 0)"
