"""The differences between two calibrations of one vehicle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sensors.geometry import SE3
from sensors.rig import Intrinsics, Rig, Sensor

TURNED_DEG = 0.1
MOVED_M = 0.02
FOCAL_SHARE = 0.005
CENTRE_PX = 2.0


@dataclass(frozen=True, slots=True)
class CalibrationChange:
    """One difference of one sensor: `amount` in `unit`; for what has no size, 1 `change`."""

    sensor: str
    what: str
    amount: float
    unit: str


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """The largest difference that still counts as a new estimate of the same mounting."""

    turned_deg: float = TURNED_DEG
    moved_m: float = MOVED_M
    focal_share: float = FOCAL_SHARE
    centre_px: float = CENTRE_PX


def changes(previous: Rig, current: Rig, limits: ChangeLimits | None = None) -> tuple[CalibrationChange, ...]:
    """The differences of `current` from `previous` beyond the limits, ordered by sensor."""
    limits = limits or ChangeLimits()
    before = {sensor.name: sensor for sensor in previous.sensors}
    after = {sensor.name: sensor for sensor in current.sensors}
    found = [CalibrationChange(name, "removed", 1.0, "change") for name in sorted(before.keys() - after.keys())]
    found += [CalibrationChange(name, "added", 1.0, "change") for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        found += _mounting(name, before[name].ego_SE3_sensor, after[name].ego_SE3_sensor, limits)
        found += _lens(name, before[name], after[name], limits)
    return tuple(found)


def turned_deg(first: SE3, second: SE3) -> float:
    """The angle between two orientations, 0 to 180 degrees."""
    w, *axis = (first.inverse() @ second).wxyz
    return math.degrees(2.0 * math.atan2(math.hypot(*axis), abs(float(w))))


def _mounting(name: str, before: SE3 | None, after: SE3 | None, limits: ChangeLimits) -> list[CalibrationChange]:
    if before is None or after is None:
        return [] if before is after else [CalibrationChange(name, "mounting given or taken away", 1.0, "change")]
    angle_deg = turned_deg(before, after)
    apart_m = math.dist(before.translation_m, after.translation_m)
    found = [CalibrationChange(name, "turned", angle_deg, "deg")] if angle_deg > limits.turned_deg else []
    return found + ([CalibrationChange(name, "moved", apart_m, "m")] if apart_m > limits.moved_m else [])


def _lens(name: str, before: Sensor, after: Sensor, limits: ChangeLimits) -> list[CalibrationChange]:
    old, new = before.intrinsics, after.intrinsics
    if old is None or new is None:
        return [] if old is new else [CalibrationChange(name, "intrinsics given or taken away", 1.0, "change")]
    if (old.width_px, old.height_px) != (new.width_px, new.height_px):
        return [CalibrationChange(name, "image size", 1.0, "change")]
    found = []
    share = _focal_share(old, new)
    if share > limits.focal_share:
        found.append(CalibrationChange(name, "focal length", share, "share"))
    centre_px = math.dist((old.cx_px, old.cy_px), (new.cx_px, new.cy_px))
    if centre_px > limits.centre_px:
        found.append(CalibrationChange(name, "principal point", centre_px, "px"))
    if old.distortion != new.distortion:
        found.append(CalibrationChange(name, "distortion", 1.0, "change"))
    return found


def _focal_share(old: Intrinsics, new: Intrinsics) -> float:
    return max(abs(new.fx_px / old.fx_px - 1.0), abs(new.fy_px / old.fy_px - 1.0))
