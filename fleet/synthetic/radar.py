"""A radar that reports detections with true range rates: the objects that a horizontal fan of rays hits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fleet.encode import encode_points
from fleet.synthetic.raycast import cast
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.world import World
from sensors.decode.messages import POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.measure.cloud import UNAMBIGUOUS, VALID_STATE
from sensors.rig import Sensor

HALF_FAN_DEG = 60.0
RAYS = 241
MAX_RANGE_M = 100.0
PER_OBJECT = 3
RANGE_NOISE_M = 0.05
AZIMUTH_NOISE_RAD = 0.003
RANGE_RATE_NOISE_M_S = 0.05
RCS_NOISE_DB = 1.5

DETECTION = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rcs", "<f4"), ("range_rate", "<f4")])
"""x, y, z in metres in the sensor's frame; rcs in dBsm; range_rate in m/s, above 0 when the distance grows."""

WITH_STATES = np.dtype([*DETECTION.descr, ("ambig_state", "i1"), ("invalid_state", "i1")])
"""`DETECTION` and the states of a Continental ARS 40X: `UNAMBIGUOUS` and `VALID_STATE` of `sensors.measure.cloud` are good."""

Floats = npt.NDArray[np.float64]
Detections = npt.NDArray[np.void]


class Radar:
    """The radar `sensor` of a drive."""

    message_type = POINT_CLOUD

    def __init__(self, world: World, sensor: Sensor, spec: DriveSpec) -> None:
        if sensor.ego_SE3_sensor is None:
            raise ValueError(f"{sensor.name} has no pose")
        self._world, self._sensor, self._spec = world, sensor, spec
        self._ego_SE3_sensor = sensor.ego_SE3_sensor
        azimuth = np.radians(np.linspace(HALF_FAN_DEG, -HALF_FAN_DEG, RAYS))
        self._fan = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(RAYS)], axis=-1)

    def measure(self, shot: Shot) -> Detections:
        """Detections (N,) of `DETECTION` at the shot's true time, from left to right."""
        since_start_ns = shot.true_ns - self._spec.start_ns
        instant = np.array([since_start_ns])
        world_SE3_sensor = self._world.road.world_SE3_ego(since_start_ns) @ self._ego_SE3_sensor
        origin_m = world_SE3_sensor.translation_m
        fan = self._fan @ world_SE3_sensor.rotation.T
        boxes = self._world.boxes_at(np.full(RAYS, since_start_ns))
        hits = cast(np.broadcast_to(origin_m, (RAYS, 3)), fan[:, None, :], boxes, MAX_RANGE_M)
        rays = _thinned(hits.target[:, 0])
        target = hits.target[rays, 0]
        reach_m = hits.range_m[rays, 0]
        arm_m = origin_m + reach_m[:, None] * fan[rays] - boxes.centre_m[0, target]
        spin = boxes.yaw_rate_rad_s[0, target]
        target_m_s = boxes.velocity_m_s[0, target] + np.stack([-spin * arm_m[:, 1], spin * arm_m[:, 0], 0.0 * spin], axis=-1)
        rate = np.einsum("nd,nd->n", target_m_s - self._own_velocity_m_s(instant, origin_m), fan[rays])
        rcs = np.array([body.kind.rcs_dbsm for body in self._world.bodies])[target]
        return self._detections(shot, self._fan[rays], reach_m, rcs, rate)

    def encode(self, detections: Detections, stamp_ns: int) -> bytes:
        """The scan as a PointCloud2."""
        return encode_points(stamp_ns, self._sensor.name, point_fields(detections.dtype), detections)

    def _own_velocity_m_s(self, instant: npt.NDArray[np.int64], origin_m: Floats) -> Floats:
        motion = self._world.road.at_ns(instant)
        lever_m = origin_m[:2] - motion.position_m[0]
        spin = motion.yaw_rate_rad_s[0]
        velocity = np.zeros(3)
        velocity[:2] = motion.velocity_m_s[0] + spin * np.array([-lever_m[1], lever_m[0]])
        return velocity

    def _detections(self, shot: Shot, ray: Floats, reach_m: Floats, rcs: Floats, rate: Floats) -> Detections:
        count = len(reach_m)
        azimuth = np.arctan2(ray[:, 1], ray[:, 0])
        if self._spec.rig.radar_noise:
            rng = np.random.default_rng(seed_of(self._spec.seed, self._sensor.name, 1, shot.index))
            reach_m = reach_m + rng.normal(0.0, RANGE_NOISE_M, count)
            azimuth = azimuth + rng.normal(0.0, AZIMUTH_NOISE_RAD, count)
            rate = rate + rng.normal(0.0, RANGE_RATE_NOISE_M_S, count)
            rcs = rcs + rng.normal(0.0, RCS_NOISE_DB, count)
        detections = np.zeros(count, dtype=WITH_STATES if self._spec.rig.radar_states else DETECTION)
        if self._spec.rig.radar_states:
            detections["ambig_state"], detections["invalid_state"] = UNAMBIGUOUS, VALID_STATE
        detections["x"], detections["y"] = reach_m * np.cos(azimuth), reach_m * np.sin(azimuth)
        detections["rcs"], detections["range_rate"] = rcs, rate
        return detections


def _thinned(target: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rays that become detections: at most three per object, from one of its visible ends to the other."""
    chosen: list[int] = []
    for box in np.unique(target[target >= 0]):
        seen = np.flatnonzero(target == box)
        chosen += [int(ray) for ray in seen[np.unique(np.linspace(0, len(seen) - 1, PER_OBJECT).round().astype(np.int64))]]
    return np.array(sorted(chosen), dtype=np.int64)
