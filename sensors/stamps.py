"""Arrays of stamps: validation before any arithmetic, and statistics that several modules need."""

from __future__ import annotations

import datetime
from typing import overload

import numpy as np
import numpy.typing as npt

from sensors.time_units import NS_PER_DAY, NS_PER_S

Nanoseconds = npt.NDArray[np.int64]

MAX_STAMP_NS = 4 * 10**18  # October 2096; two stamps within it, and a duration below, subtract without leaving int64
MAX_DURATION_NS = 10**18  # 31 years
PLAUSIBLE_START_NS = 946_684_800 * NS_PER_S  # 2000-01-01: an earlier stamp is from a clock that was never set
PLAUSIBLE_END_NS = 4_102_444_800 * NS_PER_S  # 2100-01-01


def stamps_array(values: npt.ArrayLike, name: str, *, ascending: bool = False) -> Nanoseconds:
    """Check stamps and return them as (N,) int64.

    Raises:
        ValueError: `values` is not one-dimensional, not of an integer type (float seconds have already lost their
            nanoseconds), outside +-`MAX_STAMP_NS`, or, if `ascending` is required, decreases somewhere.
    """
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be one-dimensional integer nanoseconds, got shape {array.shape} of {array.dtype}")
    if array.size and (int(array.max()) > MAX_STAMP_NS or int(array.min()) < -MAX_STAMP_NS):
        raise ValueError(f"{name} spans {array.min()} to {array.max()} ns, beyond +-{MAX_STAMP_NS} ns")
    stamps = array.astype(np.int64, copy=False)
    if ascending and stamps.size > 1:
        steps = np.diff(stamps)
        if (steps < 0).any():
            at = int(np.argmax(steps < 0))
            raise ValueError(f"{name} must ascend, but element {at + 1} is {-int(steps[at])} ns before element {at}")
    return stamps


@overload
def stamps_with_log_times(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike) -> tuple[Nanoseconds, Nanoseconds]: ...


@overload
def stamps_with_log_times(stamps_ns: npt.ArrayLike, log_ns: None) -> tuple[Nanoseconds, None]: ...


def stamps_with_log_times(stamps_ns: npt.ArrayLike, log_ns: npt.ArrayLike | None) -> tuple[Nanoseconds, Nanoseconds | None]:
    """Check stamps (N,) and the log times (N,) of the same frames, None where they were not recorded.

    Raises:
        ValueError: As `stamps_array`, or their numbers differ.
    """
    stamps = stamps_array(stamps_ns, "stamps_ns")
    logged = None if log_ns is None else stamps_array(log_ns, "log_ns")
    if logged is not None and logged.shape != stamps.shape:
        raise ValueError(f"{stamps.size} stamps but {logged.size} log times")
    return stamps, logged


def check_duration_ns(value: int, name: str, *, negative: bool = False) -> int:
    """Check a duration and return it as a plain int.

    Raises:
        ValueError: It is beyond `MAX_DURATION_NS`, or negative where that makes no sense.
        TypeError: It is not an integer.
    """
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be integer nanoseconds, got {value!r}")
    if abs(int(value)) > MAX_DURATION_NS or (value < 0 and not negative):
        raise ValueError(f"{name} is {value} ns, outside [{-MAX_DURATION_NS if negative else 0}, {MAX_DURATION_NS}] ns")
    return int(value)


def distinct(stamps: Nanoseconds) -> Nanoseconds:
    """The stamps (N,), ascending and each once. By sorting: `numpy.unique` hashes, ten times as slow on what is sorted."""
    steps = np.diff(stamps)
    if (steps > 0).all():
        return stamps
    ordered = np.sort(stamps)
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) != 0])])


def percentile(values: Nanoseconds, percent: int) -> int:
    """The nearest-rank percentile of values (N,), N > 0, in any order: the smallest that at least `percent` % do not exceed.

    Always one of the values, so exact; 50 is the lower median.
    """
    at = max(-(-values.size * percent // 100) - 1, 0)
    return int(np.partition(values, at)[at])


FLOAT_STEP_NS = 256  # between neighbouring floats of 64 bits, for nanoseconds from the year 2006 on
LEAST_ROUNDED = 8


def through_float(stamps: Nanoseconds) -> bool:
    """Whether stamps (N,) look as if they went through a float of 64 bits, which rounds dates in nanoseconds to `FLOAT_STEP_NS`.

    Stamps in whole microseconds that happen to be such multiples are not taken for it, nor fewer than eight.
    """
    if stamps.size < LEAST_ROUNDED or int(np.abs(stamps).min()) < 2**60:
        return False
    return bool((stamps % FLOAT_STEP_NS == 0).all() and (stamps % 1000 != 0).any())


def date_of(stamp_ns: int) -> str:
    """The day on which a stamp in nanoseconds since 1970 falls; in words for one that has no date."""
    try:
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=stamp_ns // NS_PER_DAY))
    except OverflowError:
        return "no date"


def recording_order(log_ns: Nanoseconds) -> npt.NDArray[np.intp]:
    """Positions (N,) of messages in the order of recording: by log time (N,), ties by position.

    No container promises to hold its messages in that order.
    """
    return np.argsort(log_ns, kind="stable")


def plausible(stamp_ns: float) -> bool:
    """Whether a stamp reads as a date between the years 2000 and 2100."""
    return PLAUSIBLE_START_NS <= stamp_ns <= PLAUSIBLE_END_NS
