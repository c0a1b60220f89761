"""A spinning lidar: each column of rays is cast from the vehicle's position at that column's own time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fleet.encode import encode_points
from fleet.synthetic.raycast import GROUND, cast
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.world import GROUND_ALBEDO, World, is_light_square
from sensors.decode.messages import POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.rig import Sensor

# Angles and spacing of a Velodyne HDL-32E (user's manual 63-9113, "Vertical field of view +10.67 to -30.67 degrees").
LOWEST_DEG = -30.67
HIGHEST_DEG = 10.67
MAX_RANGE_M = 100.0

POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("t", "<u4"), ("ring", "<u2")])
"""x, y, z in metres in the sensor's frame at the point's own time; `t` nanoseconds after the stamp; intensity 0-255."""

Points = npt.NDArray[np.void]


class SpinningLidar:
    """The lidar `sensor` of a drive."""

    message_type = POINT_CLOUD

    def __init__(self, world: World, sensor: Sensor, spec: DriveSpec) -> None:
        if sensor.ego_SE3_sensor is None:
            raise ValueError(f"{sensor.name} has no pose")
        self._world, self._sensor, self._spec = world, sensor, spec
        columns, rings = spec.rig.lidar_columns, spec.rig.lidar_rings
        self._column_ns = np.arange(columns, dtype=np.int64) * sensor.period_ns // columns
        azimuth = np.pi - 2.0 * np.pi * np.arange(columns) / columns
        elevation = np.radians(np.linspace(LOWEST_DEG, HIGHEST_DEG, rings))
        self._ray = np.empty((columns, rings, 3))
        self._ray[..., 0] = np.cos(azimuth)[:, None] * np.cos(elevation)
        self._ray[..., 1] = np.sin(azimuth)[:, None] * np.cos(elevation)
        self._ray[..., 2] = np.sin(elevation)
        self._ego_ray = self._ray @ sensor.ego_SE3_sensor.rotation.T
        self._mount_m = sensor.ego_SE3_sensor.translation_m

    def measure(self, shot: Shot) -> Points:
        """The sweep that begins at the shot's true time: points (N,) of `POINT`, in the order they were fired."""
        since_start_ns = shot.true_ns - self._spec.start_ns + self._column_ns
        motion = self._world.road.at_ns(since_start_ns)
        cosine, sine = np.cos(motion.yaw_rad)[:, None], np.sin(motion.yaw_rad)[:, None]
        x, y = self._ego_ray[..., 0], self._ego_ray[..., 1]
        direction = np.stack([cosine * x - sine * y, sine * x + cosine * y, self._ego_ray[..., 2]], axis=-1)
        origin = np.empty((len(since_start_ns), 3))
        origin[:, 0] = motion.position_m[:, 0] + cosine[:, 0] * self._mount_m[0] - sine[:, 0] * self._mount_m[1]
        origin[:, 1] = motion.position_m[:, 1] + sine[:, 0] * self._mount_m[0] + cosine[:, 0] * self._mount_m[1]
        origin[:, 2] = self._mount_m[2]
        hits = cast(origin, direction, self._world.boxes_at(since_start_ns), MAX_RANGE_M)
        column, ring = np.nonzero(np.isfinite(hits.range_m))
        range_m = hits.range_m[column, ring]
        world_m = origin[column] + range_m[:, None] * direction[column, ring]
        points = np.zeros(len(range_m), dtype=POINT)
        noisy_m = range_m + self._noise_m(shot, len(range_m))
        for axis, name in enumerate(("x", "y", "z")):
            points[name] = noisy_m * self._ray[column, ring, axis]
        points["intensity"] = 255.0 * self._albedo(hits.target[column, ring], world_m)
        points["t"] = self._column_ns[column]
        points["ring"] = ring
        return points

    def encode(self, points: Points, stamp_ns: int) -> bytes:
        """The sweep as a PointCloud2."""
        return encode_points(stamp_ns, self._sensor.name, point_fields(points.dtype), points)

    def _noise_m(self, shot: Shot, count: int) -> npt.NDArray[np.float64]:
        deviation_m = self._spec.rig.lidar_range_noise_m
        if deviation_m == 0.0:
            return np.zeros(count)
        rng = np.random.default_rng(seed_of(self._spec.seed, self._sensor.name, 1, shot.index))
        return rng.normal(0.0, deviation_m, count)

    def _albedo(self, target: npt.NDArray[np.int32], world_m: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        of_body = np.array([body.kind.albedo for body in self._world.bodies])
        of_ground = np.where(is_light_square(world_m[:, 0], world_m[:, 1]), GROUND_ALBEDO[1], GROUND_ALBEDO[0])
        return np.where(target == GROUND, of_ground, of_body[np.maximum(target, 0)])
