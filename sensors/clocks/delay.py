"""The systematic delay of a sensor against the reference, estimated from the stamps alone.

Offsets of nearest frames wrap: of two streams with one period P, a delay d and d - P are the same pattern, and an average of
nearest offsets near half a period means nothing. So offsets are angles: they are averaged on a circle (K. V. Mardia and
P. E. Jupp, Directional Statistics, 2000, section 2.2), refined by a median, and both readings are reported. A declared delay
chooses the reading; without one it is the one nearer to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from sensors.stamps import MAX_DURATION_NS, Nanoseconds, check_duration_ns, distinct, percentile, stamps_array

MIN_PAIRS = 6  # with fewer, a phase may look locked by chance
LOCKED_SHARE = 0.75  # of offsets within an eighth of a period of their middle; a quarter of those of a free-running sensor
MAX_PAIRS = 100_000
_DIVISORS = 16
_REGULAR = 0.08  # of a period: how far a step may be from a whole number of periods
_LONG = 20  # periods; longer steps are pauses, and say nothing about the period


class Phase(StrEnum):
    """The phase relation of a sensor's frames to those of the reference."""

    LOCKED = "phase-locked"
    FREE = "free-running"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delay:
    """The delay of a sensor's frames after those of the reference.

    `period_ns`: of the faster stream, in which the delay is ambiguous. If the phase is locked: `delay_ns`, the median offset
    of the reading chosen; `other_ns`, the same frames read as belonging to the neighbouring period, on the other side of
    zero; `mean_ns`, the mean of the same offsets; `uncertainty_ns`, half of the 95 % interval of the median (order
    statistics); `spread_ns`, the 95th percentile of the distance from it. None for a sensor without one delay. `pairs`: the
    number of offsets this rests on.
    """

    phase: Phase
    period_ns: int | None
    delay_ns: int | None
    other_ns: int | None
    mean_ns: int | None
    uncertainty_ns: int | None
    spread_ns: int | None
    pairs: int


def estimate_delay(reference_ns: npt.ArrayLike, stamps_ns: npt.ArrayLike, declared_ns: int | None = None) -> Delay:
    """Estimate the delay of stamps (M,) against the reference's (N,), in any order; repeated stamps count once.

    Each frame of the slower stream is paired with the nearest of the faster (at most 100,000 of them, evenly chosen). The
    phase is judged within the shortest period that the steps of either stream are multiples of, so that keyframes picked
    from a faster stream still tell a triggered sensor from a free one.

    Raises:
        ValueError: An array is not one of integer nanoseconds, or the declared delay is out of range.
    """
    if declared_ns is not None:
        check_duration_ns(declared_ns, "declared_ns", negative=True)
    anchors, stamps = distinct(stamps_array(reference_ns, "reference_ns")), distinct(stamps_array(stamps_ns, "stamps_ns"))
    if anchors.size < 2 or stamps.size < 2:
        return _nothing(None, 0)
    anchor_steps, steps = np.diff(anchors), np.diff(stamps)
    period_ns = min(percentile(anchor_steps, 50), percentile(steps, 50))
    slower_sensor = percentile(steps, 50) > percentile(anchor_steps, 50)
    offsets = _offsets(anchors, stamps, 0, of_sensor=slower_sensor)
    offsets = offsets[np.abs(offsets) <= period_ns]
    if offsets.size < MIN_PAIRS or period_ns > MAX_DURATION_NS:
        return _nothing(period_ns, offsets.size)
    tick_ns = min(tick_of(anchor_steps) or period_ns, tick_of(steps) or period_ns)
    distances = np.abs(_wrapped(offsets, _centre(offsets, tick_ns), tick_ns))
    if np.count_nonzero(8 * distances <= tick_ns) < LOCKED_SHARE * offsets.size:
        return Delay(Phase.FREE, period_ns, None, None, None, None, None, offsets.size)
    nearest_ns = int(_wrapped(np.array([_centre(offsets, period_ns)]), 0, period_ns)[0])
    if declared_ns is not None:
        chosen_ns = nearest_ns + round((declared_ns - nearest_ns) / period_ns) * period_ns
        found = _near(anchors, stamps, chosen_ns, period_ns, slower_sensor)
        if found.size >= MIN_PAIRS:
            return _measured(anchors, stamps, chosen_ns, period_ns, slower_sensor)
    return _measured(anchors, stamps, nearest_ns, period_ns, slower_sensor)


def tick_of(steps_ns: Nanoseconds) -> int | None:
    """The longest period that 95 % of the steps (n,) above zero are whole multiples of, to 8 %; None where there is none.

    Tried are the median step and its fractions down to a sixteenth.
    """
    steps = steps_ns[(steps_ns > 0)]
    if steps.size < MIN_PAIRS:
        return None
    median_ns = percentile(steps, 50)
    steps = steps[steps <= _LONG * median_ns].astype(np.float64)
    for divisor in range(1, _DIVISORS + 1):
        counts = np.maximum(np.round(steps * divisor / median_ns), 1)
        period = float(np.median(steps / counts))
        off = np.abs(steps / period - np.round(steps / period))
        if np.count_nonzero(off <= _REGULAR) >= 0.95 * steps.size:
            return round(period)
    return None


def _measured(anchors: Nanoseconds, stamps: Nanoseconds, chosen_ns: int, period_ns: int, slower_sensor: bool) -> Delay:
    """The exact figures of one reading: pairs are made anew around it, and wrapped offsets play no part."""
    offsets = _near(anchors, stamps, chosen_ns, period_ns, slower_sensor)
    other_ns = chosen_ns - period_ns if chosen_ns > 0 else chosen_ns + period_ns
    others = _near(anchors, stamps, other_ns, period_ns, slower_sensor)
    delay_ns = int(offsets[(offsets.size - 1) // 2])
    reach = max(math.ceil(0.98 * math.sqrt(offsets.size)), 1)
    low, high = max(offsets.size // 2 - reach, 0), min(offsets.size // 2 + reach, offsets.size - 1)
    distances = np.abs(offsets - delay_ns)
    return Delay(
        phase=Phase.LOCKED,
        period_ns=period_ns,
        delay_ns=delay_ns,
        other_ns=int(others[(others.size - 1) // 2]) if others.size else other_ns,
        mean_ns=delay_ns + round(float((offsets - delay_ns).mean())),
        uncertainty_ns=-(-int(offsets[high] - offsets[low]) // 2),
        spread_ns=percentile(distances, 95),
        pairs=offsets.size,
    )


def _near(anchors: Nanoseconds, stamps: Nanoseconds, delay_ns: int, period_ns: int, slower_sensor: bool) -> Nanoseconds:
    offsets = _offsets(anchors, stamps, delay_ns, of_sensor=slower_sensor)
    return np.sort(offsets[np.abs(offsets - delay_ns) <= period_ns // 2])


def _offsets(anchors: Nanoseconds, stamps: Nanoseconds, delay_ns: int, *, of_sensor: bool) -> Nanoseconds:
    """Frame less anchor, for each frame (or else each anchor) and whatever is nearest to being `delay_ns` from it."""
    if of_sensor:
        return -_nearest(_thinned(stamps), anchors, -delay_ns)
    return _nearest(_thinned(anchors), stamps, delay_ns)


def _nearest(origins: Nanoseconds, candidates: Nanoseconds, delay_ns: int) -> Nanoseconds:
    targets = origins + delay_ns
    after = np.minimum(np.searchsorted(candidates, targets), candidates.size - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(candidates[before] - targets) <= np.abs(candidates[after] - targets)
    return np.asarray(np.where(closer, candidates[before], candidates[after]) - origins)


def _thinned(values: Nanoseconds) -> Nanoseconds:
    if values.size <= MAX_PAIRS:
        return values
    return values[np.linspace(0, values.size - 1, MAX_PAIRS).astype(np.int64)]


def _centre(offsets: Nanoseconds, period_ns: int) -> int:
    """The circular mean, moved twice to the median of the offsets unrolled around it."""
    angles = 2 * math.pi * (offsets % period_ns) / period_ns
    centre_ns = round(math.atan2(float(np.sin(angles).mean()), float(np.cos(angles).mean())) * period_ns / (2 * math.pi))
    for _ in range(2):
        centre_ns += percentile(_wrapped(offsets, centre_ns, period_ns), 50)
    return centre_ns


def _wrapped(offsets: Nanoseconds, centre_ns: int, period_ns: int) -> Nanoseconds:
    """Offsets less the centre, in [-period / 2, period / 2)."""
    half = period_ns // 2
    return np.asarray((offsets - centre_ns + half) % period_ns - half)


def _nothing(period_ns: int | None, pairs: int) -> Delay:
    return Delay(Phase.UNKNOWN, period_ns, None, None, None, None, None, pairs)
