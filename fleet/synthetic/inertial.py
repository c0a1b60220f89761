"""The vehicle's measurements of its own motion: pose (Odometry), inertial measurements, satellite position.

The pose is exact and in the world frame, which serves as the odometry frame. The IMU sits in the ego frame's origin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fleet.encode import encode_fix, encode_imu, encode_pose
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.world import World
from sensors.decode.messages import FIX, IMU, ODOMETRY
from sensors.geometry import SE3, metres_per_degree
from sensors.rig import Sensor

GRAVITY_M_S2 = 9.80665  # standard gravity, 3rd CGPM 1901
GYRO_NOISE_RAD_S = 0.002
ACCELERATION_NOISE_M_S2 = 0.03
ORIGIN_DEG = (48.0, 11.0)  # where the world frame's origin is placed on the globe
ORIGIN_ALTITUDE_M = 500.0

Floats = npt.NDArray[np.float64]


class PoseSource:
    """The pose sensor of a drive."""

    message_type = ODOMETRY

    def __init__(self, world: World, _sensor: Sensor, spec: DriveSpec) -> None:
        self._road, self._start_ns = world.road, spec.start_ns

    def measure(self, shot: Shot) -> SE3:
        """`world_SE3_ego` at the shot's true time."""
        return self._road.world_SE3_ego(shot.true_ns - self._start_ns)

    def encode(self, world_SE3_ego: SE3, stamp_ns: int) -> bytes:
        """The pose as Odometry."""
        return encode_pose(stamp_ns, world_SE3_ego)


class InertialUnit:
    """The IMU of a drive."""

    message_type = IMU

    def __init__(self, world: World, sensor: Sensor, spec: DriveSpec) -> None:
        self._road, self._sensor, self._spec = world.road, sensor, spec

    def measure(self, shot: Shot) -> Floats:
        """Angular velocity in rad/s, then specific force in m/s² (at rest: gravity, upwards); (6,) in the ego frame."""
        motion = self._road.at_ns(np.array([shot.true_ns - self._spec.start_ns]))
        speed = float(np.linalg.norm(motion.velocity_m_s[0]))
        rate = float(motion.yaw_rate_rad_s[0])
        clean = np.array([0.0, 0.0, rate, float(motion.acceleration_m_s2[0]), speed * rate, GRAVITY_M_S2])
        if not self._spec.rig.imu_noise:
            return clean
        rng = np.random.default_rng(seed_of(self._spec.seed, self._sensor.name, 1, shot.index))
        deviation = np.repeat([GYRO_NOISE_RAD_S, ACCELERATION_NOISE_M_S2], 3)
        return np.asarray(clean + rng.normal(0.0, deviation))

    def encode(self, sample: Floats, stamp_ns: int) -> bytes:
        """The sample as Imu."""
        return encode_imu(stamp_ns, sample[:3], sample[3:])


class Satellite:
    """The GNSS receiver of a drive; its antenna sits in the ego frame's origin."""

    message_type = FIX

    def __init__(self, world: World, _sensor: Sensor, spec: DriveSpec) -> None:
        self._road, self._start_ns = world.road, spec.start_ns

    def measure(self, shot: Shot) -> tuple[float, float, float]:
        """Latitude and longitude in degrees, altitude in metres, on the plane that touches WGS 84 at the origin."""
        east_m, north_m = self._road.at_ns(np.array([shot.true_ns - self._start_ns])).position_m[0]
        per_latitude_m, per_longitude_m = metres_per_degree(ORIGIN_DEG[0])
        latitude_deg = ORIGIN_DEG[0] + float(north_m) / per_latitude_m
        longitude_deg = ORIGIN_DEG[1] + float(east_m) / per_longitude_m
        return latitude_deg, longitude_deg, ORIGIN_ALTITUDE_M

    def encode(self, fix: tuple[float, float, float], stamp_ns: int) -> bytes:
        """The position as NavSatFix."""
        return encode_fix(stamp_ns, *fix)
