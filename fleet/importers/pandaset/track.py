"""The ego pose over a PandaSet sequence, one sample per lidar frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.geometry import SE3
from sensors.motion.poses import interpolate

POSE_BRACKET_NS = 150_000_000  # poses come with the lidar frames, 100 ms apart

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PoseTrack:
    """Ego pose at each lidar stamp; stamps ascend."""

    stamps_ns: tuple[int, ...]
    world_SE3_ego: tuple[SE3, ...]

    def at(self, stamp_ns: int) -> SE3 | None:
        """The pose at a stamp, interpolated between the two around it; None outside of the track."""
        found = interpolate([stamp_ns], self.stamps_ns, self._samples(), POSE_BRACKET_NS)
        return SE3.from_wxyz(found.poses[0, :3], found.poses[0, 3:]) if found.valid[0] else None

    def seen_from_ego(self, world_m: Floats, at_ns: npt.NDArray[np.int64], frame: int) -> tuple[Floats, int]:
        """World points (N, 3), each in the ego frame at its own time `at_ns` (N,), and how many could not be placed so.

        Where no two poses bracket a point's time, it is placed in the ego frame at the stamp of `frame`.
        """
        times_ns, time_of_point = np.unique(at_ns, return_inverse=True)
        found = interpolate(times_ns, self.stamps_ns, self._samples(), POSE_BRACKET_NS)
        poses = np.where(found.valid[:, None], found.poses, self._samples()[frame])[time_of_point]
        turned = _rotate_back(poses[:, 3:], world_m - poses[:, :3])
        return turned, int((~found.valid[time_of_point]).sum())

    def _samples(self) -> Floats:
        return np.array([[*pose.translation_m, *pose.wxyz] for pose in self.world_SE3_ego])


def _rotate_back(wxyz: Floats, vectors: Floats) -> Floats:
    """Rotate vectors (N, 3) by the inverse of unit quaternions (N, 4)."""
    axis = -wxyz[:, 1:]
    twice = 2.0 * np.cross(axis, vectors)
    return np.asarray(vectors + wxyz[:, :1] * twice + np.cross(axis, twice))
