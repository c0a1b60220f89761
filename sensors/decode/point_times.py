"""When each point of a cloud was measured: the encodings that drivers use, as nanoseconds from the cloud's stamp.

| field | type | means | written by |
| --- | --- | --- | --- |
| `t` | integer | ns from the stamp | Ouster |
| `time_stamp` | integer | ns from the stamp | nebula (Velodyne, Hesai, Continental) |
| `offset_time` | integer | ns from the stamp | Livox (CustomMsg as a cloud) |
| `offset_ns` | integer | ns from the stamp | Argoverse 2 |
| `time_offset_ns` | integer | ns from the stamp | Aeva |
| `t`, `time` | float | s from the stamp | velodyne_pointcloud |
| `timestamp` | float64 | s since the epoch (its resolution is 238 ns) | Hesai, RoboSense |
| `timestamp` | float64 | ns since the epoch (its resolution is 256 ns) | livox_ros_driver2 |

Which of the three a float means follows from its size: the median of points with a position is at most 10 s, at most 2^32 s, or
more. What it would mean is then held against the stamp, so that a wrong guess is an error and no wrong time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sensors.errors import DecodeError
from sensors.stamps import Nanoseconds
from sensors.time_units import NS_PER_S

INTEGER_NS = ("t", "time_stamp", "offset_time", "offset_ns", "time_offset_ns")
FLOATING = ("t", "time", "timestamp")
TIME_NAMES = frozenset({*INTEGER_NS, *FLOATING})
LONGEST_SWEEP_S = 10  # a larger time is not relative to the stamp but counted from the epoch
LEAST_SPREAD = 0.5  # of the largest time: what times from the stamp span, and times from the epoch do not
LONGEST_SPAN_S = 1.0  # of a sweep whose unit is looked for
MAX_TIME_S = 2.0**32  # nanoseconds of it, less any ROS stamp, stay in int64; a larger one is no second
MAX_TIME_NS = 2.0**62
LEAST_TIME = 1e-30  # integers below 2^63 that are read as floats by mistake are smaller

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def time_column(names: Sequence[str], kinds: Sequence[str]) -> int | None:
    """Which of the columns holds point times, by name and by numpy kind (`i`, `u` or `f`); None if none does.

    Integers come before floats, and each in the order of the table above.
    """
    for known, accepted in ((INTEGER_NS, "iu"), (FLOATING, "f")):
        for name in known:
            for position, (column, kind) in enumerate(zip(names, kinds, strict=True)):
                if column == name and kind in accepted:
                    return position
    return None


def integer_times_ns(name: str, times: npt.NDArray[np.integer], placed: npt.NDArray[np.bool_]) -> Nanoseconds:
    """Offsets from the stamp (N,), of integer times (N,) in ns. `placed` (N,): which points have a position; others may get 0.

    Raises:
        DecodeError: A placed point's time is more than 10 s from the stamp.
    """
    most_ns = LONGEST_SWEEP_S * NS_PER_S
    usable = (times <= most_ns) & (times >= -most_ns if times.dtype.kind == "i" else True)
    lost = placed & ~usable
    if lost.any():
        at, count = int(np.argmax(lost)), int(lost.sum())
        raise DecodeError(
            f"{count} of {len(times)} points have a {name} more than {LONGEST_SWEEP_S} s from the stamp: point {at} says "
            f"{times[at]} ns"
        )
    return np.where(usable, times, 0).astype(np.int64)


def float_times_ns(name: str, times: Floats, placed: npt.NDArray[np.bool_], stamp_ns: int) -> Nanoseconds:
    """Offsets from the stamp (N,), of float times (N,). `placed` (N,): which points have a position; others may get 0.

    Raises:
        DecodeError: A placed point's time is not finite or more than 10 s from the stamp (as when it was taken from another
            clock), is counted in ms or us, or in ns from the stamp, or from the epoch in float32, or is an integer in disguise.
    """
    seen = np.abs(times[placed & np.isfinite(times)].astype(np.float64))
    usual = float(np.median(seen)) if seen.size else 0.0
    if seen.size and 0.0 < float(seen.max()) < LEAST_TIME:
        raise DecodeError(f"{name} reads as {float(seen.max())} at most: the bytes of an integer are declared as a float there")
    if usual > LONGEST_SWEEP_S:
        _check_unit(name, seen, usual, stamp_ns)
    if usual > LONGEST_SWEEP_S and times.dtype.itemsize == 4:
        raise DecodeError(
            f"{name} is counted from the epoch ({usual} s) in float32, which resolves 128 s; no time can be had of it"
        )
    values = times.astype(np.float64)
    if usual > MAX_TIME_S:
        in_range = np.abs(values) <= MAX_TIME_NS  # NaN compares as False
        offset_ns = np.where(in_range, values, 0.0).astype(np.int64) - stamp_ns
        unit = "ns"
    else:
        in_range = np.abs(values) <= MAX_TIME_S
        offset_ns = _seconds_ns(np.where(in_range, values, 0.0))
        if usual > LONGEST_SWEEP_S:
            offset_ns -= stamp_ns
        unit = "s"
    usable = in_range & (np.abs(offset_ns) <= LONGEST_SWEEP_S * NS_PER_S)
    lost = placed & ~usable
    if lost.any():
        at, count = int(np.argmax(lost)), int(lost.sum())
        raise DecodeError(
            f"{count} of {len(values)} points have a {name} more than {LONGEST_SWEEP_S} s from the stamp "
            f"{stamp_ns} ns: point {at} says {values[at]} {unit}"
        )
    return np.where(usable, offset_ns, 0)


def _check_unit(name: str, seen: Floats, usual: float, stamp_ns: int) -> None:
    """Name the unit of times (N,), not negative, that are too large for seconds from the stamp: those that begin near 0, or that
    are the stamp in another unit."""
    span = float(seen.max() - seen.min())
    if span >= LEAST_SPREAD * float(seen.max()):
        for unit, each_s in (("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
            if span * each_s <= LONGEST_SPAN_S:
                raise DecodeError(
                    f"{name} spans {span:.6g}, which would be {span * each_s:.3g} s in {unit} from the stamp; floats are read as "
                    "seconds from it, or as seconds or ns from the epoch"
                )
    for unit, each_ns in (("ms", 1e6), ("us", 1e3)):
        if abs(usual * each_ns - stamp_ns) <= LONGEST_SWEEP_S * NS_PER_S:
            raise DecodeError(
                f"{name} is counted in {unit} from the epoch ({usual:.6f}); floats are read as seconds or ns from it"
            )


def _seconds_ns(seconds: npt.NDArray[np.float64]) -> Nanoseconds:
    """Whole seconds are split off first: at epoch scale a product in float64 would be wrong by up to 128 ns."""
    whole = np.floor(seconds)
    return whole.astype(np.int64) * NS_PER_S + np.rint((seconds - whole) * NS_PER_S).astype(np.int64)
