"""The vehicle's motion, interpolated from the poses of its drive's scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import astuple

from lake.tables.rows import SceneFields
from ops.report.cloud import Cloud, Floats
from sensors.geometry import SE3
from sensors.motion.deskew import compensate
from sensors.motion.poses import interpolate
from sensors.rig import Modality, Rig

POSE_BRACKET_NS = 500_000_000  # for a picture; the pipeline's own bracket is the rig's
VELOCITY_STEP_NS = 100_000_000
LEAST_SPEED_M_S = 0.5
LEAST_AGREEMENT = 0.7  # length of the mean of unit axes: cameras all around cancel each other


class EgoMotion:
    """The poses of a drive's scenes, interpolated and never extrapolated."""

    def __init__(self, scenes: Sequence[SceneFields]) -> None:
        posed = sorted((row.anchor_ns, astuple(row.ego_pose)) for row in scenes if row.ego_pose is not None)
        self._stamps_ns = np.array([stamp_ns for stamp_ns, _ in posed], dtype=np.int64)
        self._poses = np.array([pose for _, pose in posed], dtype=np.float64).reshape(-1, 7)

    def then_SE3_now(self, then_ns: int, now_ns: int) -> SE3 | None:
        """Maps ego coordinates at `now_ns` to ego coordinates at `then_ns`; None outside the poses."""
        found = interpolate(np.array([then_ns, now_ns]), self._stamps_ns, self._poses, POSE_BRACKET_NS)
        if not found.valid.all():
            return None
        odom_SE3_then, odom_SE3_now = (SE3.from_wxyz(pose[:3], pose[3:]) for pose in found.poses)
        return odom_SE3_then.inverse() @ odom_SE3_now

    def at(self, cloud: Cloud, moment_ns: int) -> tuple[Floats, bool]:
        """The points of a cloud (N, 3) in the ego frame of `moment_ns`, assuming a static world.

        False if some points are outside the poses; those are left unchanged.
        """
        moved = compensate(
            cloud.ego_m,
            cloud.times_ns - moment_ns,
            moment_ns,
            moment_ns,
            self._stamps_ns,
            self._poses,
            SE3.identity(),
            POSE_BRACKET_NS,
        )
        return moved.xyz_m.astype(np.float64), moved.complete

    def velocity_m_s(self, at_ns: int) -> Floats | None:
        """Velocity (3,) in the ego frame, from the poses 100 ms later or earlier; None if there are none."""
        for step_ns in (VELOCITY_STEP_NS, -VELOCITY_STEP_NS):
            moved = self.then_SE3_now(at_ns, at_ns + step_ns)
            if moved is not None:
                return moved.translation_m * (1e9 / step_ns)
        return None

    def forward(self, at_ns: int) -> tuple[int, int] | None:
        """The axis of the ego frame (x, y) that the vehicle moves along; None if it stands still or its motion is unknown."""
        velocity_m_s = self.velocity_m_s(at_ns)
        if velocity_m_s is None or np.abs(velocity_m_s[:2]).max() < LEAST_SPEED_M_S:
            return None
        return _axis(velocity_m_s)


def looking_forward(rig: Rig) -> tuple[int, int]:
    """The axis of the ego frame (x, y) that the front camera, else the cameras together, face; +x without cameras.

    Not every dataset has its ego frame point forward: PandaSet and RADIATE have y ahead.
    """
    axes = {
        camera.name: camera.ego_SE3_sensor.rotation[:, 2]  # the optical axis: z of the camera's frame
        for camera in rig.sensors
        if camera.modality is Modality.CAMERA and camera.ego_SE3_sensor is not None
    }
    front = [axis for name, axis in axes.items() if "front" in name and "left" not in name and "right" not in name]
    chosen = front or list(axes.values())
    mean = np.mean(chosen, axis=0) if chosen else np.zeros(3)
    return _axis(mean) if np.linalg.norm(mean[:2]) > LEAST_AGREEMENT else (1, 0)


def _axis(vector: Floats) -> tuple[int, int]:
    x, y = vector[:2]
    return (int(np.sign(x)), 0) if abs(x) >= abs(y) else (0, int(np.sign(y)))
