"""Verdicts for each kind of sensor, from its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sensors.calibration.alignment import View, align
from sensors.calibration.doppler import RadarScan, radar_yaw
from sensors.calibration.ground import GroundPlane, against_ground
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_yaw import lidar_yaw
from sensors.calibration.result import Checked, ErrorLimits, Estimate, Quantity, Unobservable, judge
from sensors.geometry import Floats

GROUND_TILT = ErrorLimits(suspect=0.05, bad=0.8, widest=0.8)  # what load and crossfall do not explain; half a degree of braking
GROUND_HEIGHT = ErrorLimits(suspect=0.03, bad=0.15, widest=0.15)
LIDAR_TURN = ErrorLimits(suspect=1.0, bad=2.0, widest=2.0)
CAMERA_TURN = ErrorLimits(suspect=0.15, bad=0.3, widest=0.6)  # 0.3 degrees are 26 cm at 50 m
CAMERA_TIME = ErrorLimits(suspect=5.0, bad=10.0, widest=30.0)
RADAR_TURN = ErrorLimits(suspect=0.3, bad=1.0, widest=1.0)

LIMITS: Mapping[Quantity, ErrorLimits] = MappingProxyType(
    {
        Quantity.GROUND_ROLL: GROUND_TILT,
        Quantity.GROUND_PITCH: GROUND_TILT,
        Quantity.GROUND_HEIGHT: GROUND_HEIGHT,
        Quantity.LIDAR_YAW: LIDAR_TURN,
        Quantity.CAMERA_ROLL: CAMERA_TURN,
        Quantity.CAMERA_PITCH: CAMERA_TURN,
        Quantity.CAMERA_YAW: CAMERA_TURN,
        Quantity.CAMERA_TIME: CAMERA_TIME,
        Quantity.RADAR_YAW: RADAR_TURN,
    }
)


def lidar_verdicts(
    sensor: str, planes: Sequence[GroundPlane | None], ground_z_m: float | None, turns: Sequence[Floats]
) -> tuple[Checked, ...]:
    """A lidar against the ground and the vehicle's motion, as `against_ground` and `lidar_yaw`.

    `turns`: the `turn_scores` of pairs of its sweeps.
    """
    return _judged(sensor, {**against_ground(planes, ground_z_m), Quantity.LIDAR_YAW: lidar_yaw(turns)})


def camera_verdicts(sensor: str, views: Sequence[View], lens: Lens) -> tuple[Checked, ...]:
    """A camera against the lidar; as `align`."""
    return _judged(sensor, align(views, lens))


def radar_verdicts(sensor: str, scans: Sequence[RadarScan]) -> tuple[Checked, ...]:
    """A radar against the vehicle's motion; as `radar_yaw`."""
    return _judged(sensor, {Quantity.RADAR_YAW: radar_yaw(scans)})


def unobserved(sensor: str, quantities: Sequence[Quantity], reason: str) -> tuple[Checked, ...]:
    """The verdicts on a sensor that has nothing to examine."""
    return _judged(sensor, dict.fromkeys(quantities, Unobservable(reason)))


def _judged(sensor: str, measured: Mapping[Quantity, Estimate | Unobservable]) -> tuple[Checked, ...]:
    return tuple(judge(sensor, quantity, value, LIMITS[quantity]) for quantity, value in measured.items())
