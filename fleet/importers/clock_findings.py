"""Findings on anomalies in the stamps of an imported sensor (nothing is repaired), and rates measured from stamps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from fleet.importers.source import median_ns
from sensors.time_units import NS_PER_S

GAP_PERIODS = 1.5
MOST_NAMED = 5
LATE_NS = 50_000_000


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
    """Findings on sensors that begin late or end early, compared with the first and last frame of all `streams`.

    Sensors that run free of each other begin and end up to a period apart; late is 1.5 periods of their own, and 50 ms.
    """
    spans = {name: (min(stamps), max(stamps)) for name, stamps in streams.items() if stamps}
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
    """Distinct stamps less one, over the time from the first to the last; None for fewer than two."""
    distinct = sorted(set(stamps_ns))
    return (len(distinct) - 1) * NS_PER_S / (distinct[-1] - distinct[0]) if len(distinct) > 1 else None


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


def rate_hz(stamps_ns: Sequence[int], documented_hz: float) -> float:
    """The rate from the median forward step between stamps; the documented rate without a plausible one."""
    forward_ns = [after - before for before, after in itertools.pairwise(stamps_ns) if after > before]
    return within(NS_PER_S / median_ns(forward_ns) if forward_ns else 0.0, documented_hz)


def within(measured_hz: float, documented_hz: float) -> float:
    """The measured rate to the millihertz; the documented rate where the measured one is outside a rig's range."""
    return round(measured_hz, 3) if SLOWEST_HZ <= measured_hz <= FASTEST_HZ else documented_hz
