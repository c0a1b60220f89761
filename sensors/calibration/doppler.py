"""Yaw error of a radar, from the range rates of stationary targets.

The range rate of a stationary detection is minus the sensor's velocity along the line to it: v_r = -(v_x cos a + v_y sin a),
a its azimuth. Two of them give the sensor's velocity in its own frame; moving targets do not agree with the rest and are
left out (Kellner et al., "Instantaneous ego-motion estimation using Doppler radar", ITSC 2013). Where the declared yaw is
true, that velocity has the direction given by the vehicle's odometry (Kellner et al., "Joint radar alignment and odometry
calibration", FUSION 2015). What is observable is the yaw alone, and only of a moving vehicle; height, roll and pitch are
not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.calibration.result import Estimate, Unobservable
from sensors.decode.points import PointCloud

Floats = npt.NDArray[np.float64]

RATES = ("range_rate", "radial_velocity", "v_r", "doppler")
VECTOR = ("vx", "vy")  # along the line of sight, as nuScenes' radars report it
MIN_SPEED_M_S = 3.0
MIN_STILL = 8
MIN_SCANS = 6
MIN_SPREAD_RAD = 0.2  # standard deviation of the azimuths: without any, only one component of the velocity is known
NEAR_M_S = 0.3
TRIALS = 60
ROUNDS = 5
SPEED_SHARE = 0.25  # how far the speed may be from that of the odometry for the fit to be of what stands still
FLOOR_DEG = 0.15  # standard deviation: how well odometry knows where the vehicle is heading
_MAD = 1.4826  # from the median of absolute deviations to the standard deviation of a normal distribution


@dataclass(frozen=True, slots=True, eq=False)
class RadarScan:
    """Azimuths (N,) in the sensor's frame and range rates (N,), above 0 when the distance grows, of one scan.

    `own_m_s`: the sensor's own velocity (x, y) by odometry, in the frame that the calibration declares.
    """

    azimuth_rad: Floats
    range_rate_m_s: Floats
    own_m_s: tuple[float, float]


def range_rates(cloud: PointCloud) -> tuple[Floats, Floats] | None:
    """Azimuths and range rates of the detections that have both; None if the cloud has no column of range rates.

    Raises:
        DecodeError: The cloud has no x, y or z.
    """
    xyz_m = cloud.xyz_m().astype(np.float64)
    single = {field.name for field in cloud.fields if field.count == 1}
    name = next((name for name in RATES if name in single), None)
    distance_m = np.hypot(xyz_m[:, 0], xyz_m[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        if name is not None:
            rate = cloud.column(name).astype(np.float64)
        elif single.issuperset(VECTOR):
            rate = sum(cloud.column(part).astype(np.float64) * xyz_m[:, axis] for axis, part in enumerate(VECTOR)) / distance_m
        else:
            return None
    usable = np.isfinite(rate) & np.isfinite(distance_m) & (distance_m > 0)
    return np.arctan2(xyz_m[usable, 1], xyz_m[usable, 0]), np.asarray(rate[usable])


def radar_yaw(scans: Sequence[RadarScan]) -> Estimate | Unobservable:
    """The radar's declared yaw less the true one, in degrees, counter-clockwise seen from above."""
    errors, still = [], 0
    for scan in scans:
        found = _own_velocity(scan)
        if found is None:
            continue
        velocity, count = found
        declared = math.atan2(scan.own_m_s[1], scan.own_m_s[0])
        error = math.atan2(velocity[1], velocity[0]) - declared
        errors.append(math.degrees(math.remainder(error, math.tau)))
        still += count
    if len(errors) < MIN_SCANS:
        words = f"{len(errors)} of {len(scans)} scans show what stands still from a moving vehicle, fewer than {MIN_SCANS}"
        return Unobservable(words, len(errors), still)
    middle = float(np.median(errors))
    spread = _MAD * float(np.median(np.abs(np.array(errors) - middle))) / math.sqrt(len(errors))
    return Estimate(middle, 2.0 * math.hypot(spread, FLOOR_DEG), len(errors), still)


def _own_velocity(scan: RadarScan) -> tuple[Floats, int] | None:
    """The sensor's velocity (x, y) in its own frame by what stands still, and how much does; None if that is too little."""
    speed_m_s = math.hypot(*scan.own_m_s)
    if speed_m_s < MIN_SPEED_M_S or len(scan.azimuth_rad) < MIN_STILL:
        return None
    system = -np.column_stack([np.cos(scan.azimuth_rad), np.sin(scan.azimuth_rad)])
    picks = np.random.default_rng(0).integers(0, len(system), (TRIALS, 2))
    solvable = np.abs(np.linalg.det(system[picks])) > MIN_SPREAD_RAD
    if not solvable.any():
        return None
    trials = np.linalg.solve(system[picks][solvable], scan.range_rate_m_s[picks][solvable][..., None])[..., 0]
    apart_m_s = np.abs(trials @ system.T - scan.range_rate_m_s)
    velocity = trials[np.argmax((apart_m_s < NEAR_M_S).sum(axis=1))]
    for _ in range(ROUNDS):
        near = np.abs(system @ velocity - scan.range_rate_m_s) < NEAR_M_S
        if np.count_nonzero(near) < MIN_STILL or np.std(scan.azimuth_rad[near]) < MIN_SPREAD_RAD:
            return None
        velocity = np.linalg.lstsq(system[near], scan.range_rate_m_s[near], rcond=None)[0]
    if abs(float(np.hypot(*velocity)) - speed_m_s) > SPEED_SHARE * speed_m_s:
        return None
    return velocity, int(np.count_nonzero(near))
