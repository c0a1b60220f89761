"""The vehicle's motion from its poses: speed, direction in the ego frame, and stretch of road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.geometry import SE3, Floats
from sensors.motion.poses import interpolate
from sensors.stamps import Nanoseconds, stamps_array
from sensors.time_units import NS_PER_S

STEP_NS = 100_000_000  # over which motion is measured: a pose that is wrong by a millimetre makes it wrong by 1 cm/s
PLACE_M = 5.0  # apart: what the sensors see from the next place is new
SLOW_M_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class VehicleMotion:
    """The vehicle at N instants: velocity (N, 3) in the ego frame, m/s; turn rate (N, 3) about its axes, rad/s; `place` (N,):
    the number of the stretch of `PLACE_M`, counted from the first pose; `valid` (N,): whether poses bracket the instant.
    """

    velocity_m_s: Floats
    turn_rad_s: Floats
    place: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]

    @property
    def speed_m_s(self) -> Floats:
        """Speed (N,), 0 where it is not known."""
        return np.asarray(np.where(self.valid, np.linalg.norm(np.nan_to_num(self.velocity_m_s), axis=1), 0.0))


def motion_at(at_ns: npt.ArrayLike, stamps_ns: npt.ArrayLike, poses: npt.ArrayLike, bracket_ns: int) -> VehicleMotion:
    """How the vehicle moved at the instants (N,), from samples of odom_SE3_ego as in `sensors.motion.poses.interpolate`.

    Velocity is the difference of the poses half of `STEP_NS` (or of two samples, where those are further apart) before and
    after: an instant nearer to the ends of the samples has none.

    Raises:
        ValueError: Arrays of the wrong shape or type, or stamps that do not ascend.
    """
    instants = stamps_array(at_ns, "at_ns")
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    samples = np.asarray(poses, dtype=np.float64).reshape(-1, 7)
    apart_ns = int(np.median(np.diff(stamps))) if stamps.size > 1 else 0
    half_ns = max(STEP_NS, apart_ns) // 2
    before = interpolate(instants - half_ns, stamps, samples, bracket_ns)
    after = interpolate(instants + half_ns, stamps, samples, bracket_ns)
    valid = before.valid & after.valid
    velocity, turn = np.full((instants.size, 3), np.nan), np.full((instants.size, 3), np.nan)
    seconds = 2 * half_ns / NS_PER_S
    for at in np.flatnonzero(valid):
        first = SE3.from_wxyz(before.poses[at, :3], before.poses[at, 3:])
        last = SE3.from_wxyz(after.poses[at, :3], after.poses[at, 3:])
        step = SE3.from_wxyz(last.translation_m - first.translation_m, last.wxyz)
        turned = SE3.from_wxyz((0.0, 0.0, 0.0), first.wxyz).inverse() @ step
        rotation = _rotation_vector(turned.wxyz)
        # Halfway between the two, the vehicle has turned by half: its velocity is seen from there.
        halfway = _from_vector(rotation / 2.0).inverse()
        velocity[at] = halfway.apply(turned.translation_m[None, :])[0] / seconds
        turn[at] = rotation / seconds
    return VehicleMotion(velocity, turn, _places(instants, stamps, samples), valid)


def way_ahead(motion: VehicleMotion) -> tuple[float, float] | None:
    """The unit vector (x, y), in the ego frame, of the way that the vehicle mostly goes; None if it does not move."""
    moving = motion.valid & (motion.speed_m_s > SLOW_M_S)
    if not moving.any():
        return None
    mean = np.median(motion.velocity_m_s[moving, :2], axis=0)
    length = float(np.hypot(*mean))
    return None if length < SLOW_M_S else (float(mean[0]) / length, float(mean[1]) / length)


def _places(instants: Nanoseconds, stamps: Nanoseconds, samples: Floats) -> npt.NDArray[np.int64]:
    """How many times the vehicle had come `PLACE_M` further; noise of a standing vehicle's poses does not count."""
    if stamps.size == 0:
        return np.zeros(instants.size, dtype=np.int64)
    kept = np.flatnonzero(np.diff(stamps // STEP_NS, prepend=stamps[0] // STEP_NS - 1))
    reached, anchor = [int(stamps[0])], samples[0, :3]
    for at in kept:
        if float(np.linalg.norm(samples[at, :3] - anchor)) >= PLACE_M:
            anchor = samples[at, :3]
            reached.append(int(stamps[at]))
    return np.searchsorted(np.array(reached[1:], dtype=np.int64), instants, side="right").astype(np.int64)


def _rotation_vector(wxyz: Floats) -> Floats:
    sign = 1.0 if wxyz[0] >= 0 else -1.0
    sine = float(np.linalg.norm(wxyz[1:]))
    angle = 2.0 * np.arctan2(sine, abs(wxyz[0]))
    return np.asarray(wxyz[1:] * (sign * angle / sine if sine > 0 else 2.0 * sign))


def _from_vector(vector: Floats) -> SE3:
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else vector
    return SE3.from_wxyz((0.0, 0.0, 0.0), np.concatenate([[np.cos(angle / 2.0)], np.sin(angle / 2.0) * axis]))
