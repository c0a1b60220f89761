"""Stamp streams of sensors, and the pauses that all of them share: recording stopped then, so no sensor has a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensors.rig import Modality
from sensors.stamps import Nanoseconds, distinct, percentile
from sensors.time_units import NS_PER_S

_PARTS = {
    Modality.LIDAR: ("lidar", "velo", "ouster", "points"),
    Modality.RADAR: ("radar", "navtech"),
    Modality.CAMERA: ("cam", "image", "zed"),
    Modality.IMU: ("imu", "gyro", "accelero"),
    Modality.GNSS: ("gnss", "gps", "fix"),
    Modality.POSE: ("pose", "odom", "twist"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One sensor's frames in the order in which they were logged: stamps and log times (N,) int64.

    `log_ns` is None if it was not recorded, `modality` if it is unknown.
    """

    sensor: str
    modality: Modality | None
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds | None


def guessed_modality(name: str) -> Modality | None:
    """The modality that a sensor's name suggests: `CAM_FRONT` is a camera."""
    lowered = name.lower()
    return next((modality for modality, parts in _PARTS.items() if any(part in lowered for part in parts)), None)


MIN_PAUSE_NS = 10 * NS_PER_S
MANY_PERIODS = 20
MAX_PAUSES = 10_000


def pauses_of(streams: Sequence[Stream], reference: str) -> Nanoseconds:
    """The pauses (K, 2), ascending: the reference's last stamp before and first after.

    A pause is longer than 10 s and 20 periods, every stream has frames on both sides of it, and none has one inside.
    """
    ordered = {one.sensor: distinct(one.stamps_ns) for one in streams if one.stamps_ns.size}
    anchors = ordered[reference]
    steps = np.diff(anchors)
    if steps.size == 0:
        return np.zeros((0, 2), dtype=np.int64)
    limit_ns = max(MIN_PAUSE_NS, MANY_PERIODS * percentile(steps, 50))
    found = []
    for at in np.flatnonzero(steps > limit_ns)[:MAX_PAUSES].tolist():
        middle_ns = (int(anchors[at]) + int(anchors[at + 1])) // 2
        if all(_pauses(stamps, middle_ns, int(steps[at])) for stamps in ordered.values()):
            found.append((int(anchors[at]), int(anchors[at + 1])))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _pauses(stamps: Nanoseconds, middle_ns: int, step_ns: int) -> bool:
    after = int(np.searchsorted(stamps, middle_ns))
    return 0 < after < stamps.size and 2 * (int(stamps[after]) - int(stamps[after - 1])) > step_ns


def closed_up(streams: Sequence[Stream], pauses_ns: Nanoseconds, period_ns: int) -> tuple[Stream, ...]:
    """The same streams with each pause cut down to one period of the reference; log times move with their stamps."""
    if pauses_ns.size == 0:
        return tuple(streams)
    middles = pauses_ns[:, 0] + (pauses_ns[:, 1] - pauses_ns[:, 0]) // 2
    cut_ns = np.concatenate([[0], np.cumsum(pauses_ns[:, 1] - pauses_ns[:, 0] - period_ns)])
    closed = []
    for one in streams:
        back_ns = cut_ns[np.searchsorted(middles, one.stamps_ns)]
        log_ns = None if one.log_ns is None else one.log_ns - back_ns
        closed.append(replace(one, stamps_ns=one.stamps_ns - back_ns, log_ns=log_ns))
    return tuple(closed)
