"""The edges of one lidar sweep as a camera of the rig would have seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.calibration.image_edges import shrink_of
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_edges import LidarEdges, lidar_edges
from sensors.calibration.lidar_yaw import SweepPair, sweep_pair
from sensors.decode.points import PointCloud, without_position
from sensors.errors import DecodeError
from sensors.geometry import SE3, Floats
from sensors.motion.deskew import compensate
from sensors.motion.poses import interpolate
from sensors.motion.sweep_times import sweep_times_ns
from sensors.rig import Sensor
from sensors.stamps import Nanoseconds

INTENSITIES = ("intensity", "reflectivity")
BEAMS = ("ring", "channel", "laser_number")
MARGIN, SWEPT_M = 0.15, 2.0  # beside the image, by turning (a tangent) and by driving while the lidar sweeps
LEAST_MOVED = 0.5  # of the points: the others are left out


@dataclass(frozen=True, slots=True, eq=False)
class PoseSamples:
    """Samples of odom_SE3_ego: stamps (N,) ascending and distinct, poses (N, 7) x y z m, qw qx qy qz."""

    stamps_ns: Nanoseconds
    poses: Floats
    bracket_ns: int


def edges_seen(cloud: PointCloud, lidar: Sensor, camera: Sensor, image_ns: int, poses: PoseSamples) -> LidarEdges | str:
    """The edges of a sweep in the camera's declared frame at the time of its image; a reason where they cannot be had.

    The stamp of an image is taken as its time: the rig does not say how long it was exposed, nor how fast rows are read.
    """
    if lidar.ego_SE3_sensor is None or camera.ego_SE3_sensor is None or camera.intrinsics is None:
        return "the rig does not say where both sensors are, or lacks intrinsics"
    try:
        offsets_ns = sweep_times_ns(cloud, lidar)
        xyz_m = cloud.xyz_m()
    except DecodeError as error:
        return str(error)
    if offsets_ns is None:
        return "the points have no times of their own"
    reach = Lens(camera.intrinsics, shrink_of(camera.intrinsics)).reach()
    camera_SE3_lidar = camera.ego_SE3_sensor.inverse() @ lidar.ego_SE3_sensor
    placed = ~without_position(xyz_m) & _in_front(camera_SE3_lidar, xyz_m, reach)
    moved = compensate(
        xyz_m[placed],
        offsets_ns[placed],
        cloud.stamp_ns,
        image_ns,
        poses.stamps_ns,
        poses.poses,
        lidar.ego_SE3_sensor,
        poses.bracket_ns,
    )
    if not placed.any() or float(moved.valid.mean()) < LEAST_MOVED:
        return "no poses bracket the sweep and the image"
    points_m = camera_SE3_lidar.apply(moved.xyz_m[moved.valid])
    intensity, beam = column(cloud, INTENSITIES), column(cloud, BEAMS)
    kept = np.flatnonzero(placed)[moved.valid]
    return lidar_edges(
        points_m,
        reach,
        None if intensity is None else intensity[kept],
        None if beam is None or beam.dtype.kind not in "iu" else beam[kept],
    )


def seen_twice(
    first: PointCloud, second: PointCloud, lidar: Sensor, poses: PoseSamples, ground_z_m: float | None
) -> SweepPair | None:
    """Two sweeps of a lidar as a pair, each as seen at its stamp; None where that cannot be had."""
    if lidar.ego_SE3_sensor is None:
        return None
    at_ns = np.array([first.stamp_ns, second.stamp_ns], dtype=np.int64)
    egos = interpolate(at_ns, poses.stamps_ns, poses.poses, poses.bracket_ns)
    if not egos.valid.all():
        return None
    sweeps = []
    for cloud in (first, second):
        try:
            offsets_ns = sweep_times_ns(cloud, lidar)
            xyz_m = cloud.xyz_m()
        except DecodeError:
            return None
        placed = ~without_position(xyz_m)
        if offsets_ns is None:
            sweeps.append(xyz_m[placed])
            continue
        moved = compensate(
            xyz_m[placed],
            offsets_ns[placed],
            cloud.stamp_ns,
            cloud.stamp_ns,
            poses.stamps_ns,
            poses.poses,
            lidar.ego_SE3_sensor,
            poses.bracket_ns,
        )
        sweeps.append(moved.xyz_m[moved.valid])
    earlier, later = (SE3.from_wxyz(pose[:3], pose[3:]) for pose in egos.poses)
    return sweep_pair(sweeps[0], sweeps[1], lidar.ego_SE3_sensor, later.inverse() @ earlier, ground_z_m)


def _in_front(camera_SE3_lidar: SE3, xyz_m: npt.NDArray[np.float32], reach: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which points the image can show, wherever the vehicle was between them: only they are worth moving."""
    rotation = camera_SE3_lidar.rotation.astype(np.float32)
    x, y, z = (xyz_m @ rotation.T + camera_SE3_lidar.translation_m.astype(np.float32)).T
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (z > 0) & (np.abs(x) < z * (reach[0] + MARGIN) + SWEPT_M) & (np.abs(y) < z * (reach[1] + MARGIN) + SWEPT_M)
        )


def column(cloud: PointCloud, names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    """The first column (N,) of a cloud that has one of the names."""
    name = next(
        (field.name for candidate in names for field in cloud.fields if field.name == candidate and field.count == 1), None
    )
    return None if name is None else cloud.column(name)
