"""Point clouds of a scene, ready to draw: positions in the ego frame, and range rates where a radar measured them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lake.tables.rows import CloudFrame
from lake.tables.scene_reader import scene_cloud
from sensors.decode.points import PointCloud
from sensors.geometry import SE3
from sensors.rig import Rig

RANGE_RATE_FIELDS = ("range_rate", "range_rate_m_s", "radial_velocity", "velocity", "doppler", "v_r")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """The valid points of a cloud.

    `ego_m` (N, 3): in the ego frame at the time each point was measured, `times_ns` (N,).
    `range_rate_m_s` (N,) or None: positive when receding. `origin_m` (3,): where the sensor sits in the ego frame.
    """

    sensor: str
    ego_m: Floats
    times_ns: npt.NDArray[np.int64]
    range_rate_m_s: Floats | None
    origin_m: Floats
    calibrated: bool


def in_ego_frame(frame: CloudFrame, rig: Rig, compensated_to_ns: int | None = None) -> Cloud | None:
    """The valid points of a frame; a sensor without extrinsics is drawn as if it were mounted at the ego origin.

    `compensated_to_ns`: the time to which the cloud has been motion-compensated; None if it has not been.
    """
    cloud = scene_cloud(frame)
    if cloud is None or not {"x", "y", "z"} <= set(cloud.names):
        return None
    valid = ~cloud.invalid()
    name = frame.sensor
    extrinsics = rig[name].ego_SE3_sensor if name in rig else None
    ego_SE3_sensor = extrinsics or SE3.identity()
    rate = next((field for field in RANGE_RATE_FIELDS if field in cloud.names), None)
    return Cloud(
        sensor=name,
        ego_m=ego_SE3_sensor.apply(cloud.xyz_m()[valid]),
        times_ns=_times_ns(cloud, compensated_to_ns)[valid],
        range_rate_m_s=None if rate is None else np.asarray(cloud.column(rate)[valid], dtype=np.float64),
        origin_m=ego_SE3_sensor.translation_m,
        calibrated=extrinsics is not None,
    )


def _times_ns(cloud: PointCloud, compensated_to_ns: int | None) -> npt.NDArray[np.int64]:
    if compensated_to_ns is not None:
        return np.full(cloud.num_points, compensated_to_ns, dtype=np.int64)
    offsets_ns = cloud.time_offset_ns()
    return cloud.stamp_ns + (np.zeros(cloud.num_points, dtype=np.int64) if offsets_ns is None else offsets_ns)
