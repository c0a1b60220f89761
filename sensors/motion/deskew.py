"""Motion compensation: a sweep as if all its points had been measured at one instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.decode.points import without_position
from sensors.geometry import SE3, Floats, multiply
from sensors.motion.poses import interpolate
from sensors.stamps import MAX_DURATION_NS, stamps_array


@dataclass(frozen=True, slots=True, eq=False)
class Compensated:
    """A compensated sweep.

    `xyz_m` (N, 3) float32, in the sensor's frame at the reference time. `valid` (N,): False for points with a position
    that could not be moved, because no poses bracket their time or the reference time; they are where they were.
    """

    xyz_m: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    @property
    def complete(self) -> bool:
        """Whether every point that has a position was moved."""
        return bool(self.valid.all())


def compensate(
    xyz_m: npt.NDArray[np.floating],
    time_offset_ns: npt.ArrayLike,
    stamp_ns: int,
    reference_ns: int,
    pose_stamps_ns: npt.ArrayLike,
    poses: npt.ArrayLike,
    ego_SE3_sensor: SE3,
    bracket_ns: int,
) -> Compensated:
    """Move each point to where the sensor would have seen it at `reference_ns`, had the world stood still.

    `xyz_m` (N, 3) in the sensor's frame at the time of each point, which is `stamp_ns + time_offset_ns` (N,); poses are
    odom_SE3_ego as in `poses.interpolate`. Points without a position (not finite, or all zero: no return) stay as they are.

    Raises:
        ValueError: Arrays of the wrong shape or type, or stamps that do not ascend.
    """
    points_m = np.array(xyz_m, dtype=np.float32)
    offsets_ns = stamps_array(time_offset_ns, "time_offset_ns")
    if points_m.shape != (offsets_ns.size, 3):
        raise ValueError(f"{offsets_ns.size} time offsets need points of shape ({offsets_ns.size}, 3), got {points_m.shape}")
    empty = without_position(points_m)
    # An offset of decades, which no pose brackets either way, must not leave the range of a stamp.
    clipped_ns = np.clip(offsets_ns, -MAX_DURATION_NS, MAX_DURATION_NS)
    times_ns, time_of_point = np.unique(clipped_ns + int(stamp_ns), return_inverse=True)
    moments = interpolate(np.append(times_ns, reference_ns), pose_stamps_ns, poses, bracket_ns)
    if not moments.valid[-1]:
        return Compensated(points_m, empty)
    wxyz, translation_m = _reference_SE3_moment(moments.poses[-1], moments.poses[:-1])
    moved = ~empty & moments.valid[:-1][time_of_point]
    moment = time_of_point[moved]
    at_moment_m = ego_SE3_sensor.apply(points_m[moved])
    at_reference_m = _rotate(wxyz[moment], at_moment_m) + translation_m[moment]
    points_m[moved] = ego_SE3_sensor.inverse().apply(at_reference_m)
    return Compensated(points_m, moved | empty)


def _reference_SE3_moment(reference: Floats, moments: Floats) -> tuple[Floats, Floats]:
    """Quaternions (M, 4) and translations (M, 3) from the ego frames of `moments` (M, 7) to that of `reference` (7,)."""
    inverse = reference[3:] * np.array([1.0, -1.0, -1.0, -1.0])
    # Positions are subtracted first, so that map coordinates of many kilometres cost no precision.
    return multiply(inverse, moments[:, 3:]), _rotate(inverse, moments[:, :3] - reference[:3])


def _rotate(wxyz: Floats, vectors: Floats) -> Floats:
    """Rotate vectors (N, 3) by unit quaternions (N, 4) or (4,)."""
    axis = wxyz[..., 1:]
    twice = 2.0 * np.cross(axis, vectors)
    return np.asarray(vectors + wxyz[..., :1] * twice + np.cross(axis, twice))
