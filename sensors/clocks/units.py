"""Stamps in a unit other than nanoseconds: seconds, milliseconds, microseconds or ticks taken for nanoseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from sensors.stamps import MAX_STAMP_NS, Nanoseconds, distinct, plausible, stamps_with_log_times
from sensors.time_units import NS_PER_S

FAST_HZ = 1_000  # hardly a sensor has frames faster than this; a wrong unit makes 10 Hz at least that
_BLOCKS = 8
_CLOSE = 0.05  # in powers of ten: 12 %
_SLOWEST_NS = 100 * NS_PER_S  # between two frames
_LOOSE = 0.3  # a factor of two: log times come in batches, and the mean step also counts missing frames
_BASELINES = (2, 4, 8)  # parts of a recording
_NAMES = {-9: "seconds", -6: "milliseconds", -3: "microseconds", -2: "ticks of 100 ns"}


class UnitEvidence(StrEnum):
    """The evidence for a wrong unit, strongest first."""

    LOG_TIME = "log time"
    NOMINAL_RATE = "nominal rate"
    EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class UnitError:
    """Stamps are 10**`exponent` times the nanoseconds that they should be: -3 for microseconds."""

    exponent: int
    evidence: UnitEvidence

    @property
    def words(self) -> str:
        """`microseconds taken for ns`, or `10**1 times what they should be`."""
        name = _NAMES.get(self.exponent)
        return f"{name} taken for ns" if name else f"10**{self.exponent} times what they should be"


def unit_error(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike | None, rate_hz: float | None) -> UnitError | None:
    """Whether the stamps (N,), in the order of logging, are off by a power of ten; None without evidence.

    Two witnesses are asked for. With log times: stamps pass 10**k times as fast as log time, in the median of up to eight
    stretches, and the nominal rate says the same; where it says nothing, the stamps are the log times in that unit, or their date
    is plausible only in it, or frames come at a rate that no sensor has in nanoseconds. Else with a nominal rate:
    median and mean step are 10**k nominal periods, and the date is plausible only in that unit, or the frames come faster than
    those of any sensor in nanoseconds. Else: frames would come at 1 kHz or more, and in another unit rate and date would both be
    plausible. Log times that equal the stamps count as none.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    once = distinct(stamps)
    if once.size < 3:
        return None
    steps = np.diff(once)
    median_ns = int(np.partition(steps, steps.size // 2)[steps.size // 2])
    if logged is not None and not np.array_equal(logged, stamps):
        exponent = _power_of_ten(_pace(stamps, logged), _LOOSE)
        sure = exponent != 0 and _seconded(exponent, median_ns, stamps, logged, rate_hz)
        return UnitError(exponent, UnitEvidence.LOG_TIME) if sure else None
    mean_ns = float(once[-1] - once[0]) / steps.size
    if rate_hz is not None:
        return _against_rate(int(once[0]), median_ns, mean_ns, NS_PER_S / rate_hz)
    return _against_epoch(int(once[0]), median_ns)


def _against_rate(first_ns: int, median_ns: int, mean_ns: float, period_ns: float) -> UnitError | None:
    exponent = _power_of_ten(median_ns / period_ns, _CLOSE)
    if not exponent or abs(math.log10(mean_ns / period_ns) - exponent) > _LOOSE:
        return None
    dated = not plausible(first_ns) and plausible(first_ns / 10.0**exponent)
    hurried = not plausible(first_ns) and exponent in _NAMES and median_ns * FAST_HZ <= NS_PER_S
    return UnitError(exponent, UnitEvidence.NOMINAL_RATE) if dated or hurried else None


def _seconded(exponent: int, median_ns: int, stamps: Nanoseconds, logged: Nanoseconds, rate_hz: float | None) -> bool:
    """Whether anything but the pace of log time says that stamps are 10**`exponent` times what they should be."""
    if rate_hz is not None:
        power = math.log10(median_ns * rate_hz / NS_PER_S)
        if min(abs(power), abs(power - exponent)) <= _LOOSE:
            return abs(power) > _LOOSE
    first_ns = float(np.median(stamps))
    meant_ns = first_ns / 10.0**exponent
    if abs(meant_ns - float(np.median(logged))) <= 0.01 * abs(float(np.median(logged))):
        return True
    if plausible(first_ns) or plausible(meant_ns):
        return plausible(meant_ns) and not plausible(first_ns)
    in_ns, in_unit = (step * FAST_HZ >= NS_PER_S and step <= _SLOWEST_NS for step in (median_ns, median_ns / 10.0**exponent))
    return in_unit and not in_ns


def log_pace(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike) -> float | None:
    """How fast the stamps (N,) pass against their log times (N,): 1 where both run alike, or nothing can be compared; None where
    stamps pass and log times do not.

    The median over all pairs of frames that are a half, a quarter, or an eighth of the recording apart, whichever is nearest
    to 1: batches of log times need a long distance, a clock that was set a short one. Of a recording that was written anew by a
    converter, or recorded from a playback at another speed, it is something else.

    Raises:
        ValueError: The arrays are not integer nanoseconds of equal length.
    """
    stamps, logged = stamps_with_log_times(stamps_ns, log_ns)
    if not stamps.size or not np.ptp(stamps):
        return 1.0
    if not np.ptp(logged):
        return None
    if stamps.size <= _BLOCKS:
        return 1.0
    paces = []
    for parts in _BASELINES:
        apart = stamps.size // parts
        ran, passed = stamps[apart:] - stamps[:-apart], logged[apart:] - logged[:-apart]
        sound = (ran > 0) & (passed > 0)
        if 2 * np.count_nonzero(sound) > np.count_nonzero(ran > 0):
            paces.append(float(np.median(ran[sound] / passed[sound])))
    return min(paces, key=lambda pace: abs(math.log(pace)), default=None)


def _against_epoch(first_ns: int, median_ns: int) -> UnitError | None:
    if median_ns * FAST_HZ > NS_PER_S or plausible(first_ns):
        return None
    for exponent in _NAMES:
        factor = 10**-exponent
        if first_ns * factor <= MAX_STAMP_NS and plausible(first_ns * factor) and 10**4 < median_ns * factor < 100 * NS_PER_S:
            return UnitError(exponent, UnitEvidence.EPOCH)
    return None


def _pace(stamps: Nanoseconds, logged: Nanoseconds) -> float:
    """Stamp time over log time, the median of stretches in which log time passes; 1 where none does."""
    edges = np.linspace(0, stamps.size - 1, min(_BLOCKS, stamps.size - 1) + 1).astype(np.int64)
    passed, ran = np.diff(logged[edges]), np.diff(stamps[edges])
    sound = (passed > 0) & (ran > 0)
    return float(np.median(ran[sound] / passed[sound])) if sound.any() else 1.0


def _power_of_ten(ratio: float, close: float) -> int:
    """The exponent that `ratio` is near to; 0 if it is near to none, or to 1."""
    logarithm = math.log10(ratio)
    nearest = round(logarithm)
    return nearest if abs(logarithm - nearest) <= close else 0
