"""The frames before a matched one that a scene also holds (`sync.sweeps`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, check_duration_ns, stamps_array


def history_horizon_ns(sweeps: int, period_ns: int) -> int:
    """How much older than the matched frame the earliest of `sweeps` frames may be: 1.5 periods for each step back.

    Every frame of a sensor that keeps its rate within 50 % is inside, single lost frames are stepped over, and a gap brings
    no frame of a minute ago.
    """
    return (sweeps - 1) * 3 * period_ns // 2


def history_lengths(stamps_ns: npt.ArrayLike, index: Nanoseconds, sweeps: int, horizon_ns: int) -> Nanoseconds:
    """How many frames before the matched one belong to each anchor (N,): at most `sweeps` - 1, none older than the horizon.

    `stamps_ns` (M,): the sensor's frames, ascending and distinct. `index` (N,): the matched frame, -1 for none. The
    frames are those right before it, at `index - 1` to `index - length`; one exactly `horizon_ns` older belongs.

    Raises:
        ValueError: The stamps do not ascend, or the horizon is out of range.
    """
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    horizon_ns = check_duration_ns(horizon_ns, "horizon_ns")
    if sweeps == 1 or stamps.size == 0:
        return np.zeros(index.size, dtype=np.int64)
    matched = np.maximum(index, 0)
    earliest = np.searchsorted(stamps, stamps[matched] - horizon_ns, side="left")
    return np.where(index < 0, 0, np.minimum(matched - earliest, sweeps - 1)).astype(np.int64, copy=False)
