"""One sweep of a lidar as a camera of the rig would have seen it, edges only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.calibration.image_edges import shrink_of
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_edges import LidarEdges, lidar_edges
from sensors.deskew import compensate
from sensors.errors import DecodeError
from sensors.geometry import Floats
from sensors.points import PointCloud
from sensors.rig import Sensor
from sensors.stamps import Nanoseconds

INTENSITIES = ("intensity", "reflectivity")
BEAMS = ("ring", "channel", "laser_number")
LEAST_MOVED = 0.5  # of the points: the others are left out


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Samples of odom_SE3_ego: stamps (N,) ascending and distinct, poses (N, 7) x y z m, qw qx qy qz."""

    stamps_ns: Nanoseconds
    poses: Floats
    bracket_ns: int


def edges_seen(cloud: PointCloud, lidar: Sensor, camera: Sensor, image_ns: int, track: Track) -> LidarEdges | str:
    """The edges of a sweep in the camera's declared frame at the time of its image; words where that cannot be had.

    The stamp of an image is taken as its time: the rig does not say how long it was exposed, nor how fast rows are read.
    """
    if lidar.ego_SE3_sensor is None or camera.ego_SE3_sensor is None or camera.intrinsics is None:
        return "the rig does not say where both sensors are, or lacks intrinsics"
    try:
        offsets_ns = np.zeros(cloud.num_points, dtype=np.int64) if lidar.sync.compensated else cloud.time_offset_ns()
        xyz_m = cloud.xyz_m()
    except DecodeError as error:
        return str(error)
    if offsets_ns is None:
        return "the points have no times of their own"
    placed = ~cloud.invalid()
    moved = compensate(
        xyz_m[placed],
        offsets_ns[placed],
        cloud.stamp_ns,
        image_ns,
        track.stamps_ns,
        track.poses,
        lidar.ego_SE3_sensor,
        track.bracket_ns,
    )
    if not placed.any() or float(moved.valid.mean()) < LEAST_MOVED:
        return "no poses bracket the sweep and the image"
    points_m = camera.ego_SE3_sensor.inverse().apply(lidar.ego_SE3_sensor.apply(moved.xyz_m[moved.valid]))
    reach = Lens(camera.intrinsics, shrink_of(camera.intrinsics)).reach()
    intensity, beam = column(cloud, INTENSITIES), column(cloud, BEAMS)
    kept = np.flatnonzero(placed)[moved.valid]
    return lidar_edges(
        points_m,
        reach,
        None if intensity is None else intensity[kept],
        None if beam is None or beam.dtype.kind not in "iu" else beam[kept],
    )


def column(cloud: PointCloud, names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    """The first column (N,) of a cloud that has one of the names."""
    name = next((field.name for wanted in names for field in cloud.fields if field.name == wanted and field.count == 1), None)
    return None if name is None else cloud.column(name)
