"""The rig of a RADIATE sequence, from its `default-calib.yaml`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from fleet.errors import SourceError
from fleet.importers.source import pinhole, read_bounded
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Modality, Rig, Sensor, Stamp, Sync
from sensors.time_units import NS_PER_S

RADAR = "radar"
LIDAR = "lidar"
CAMERAS = {"camera_left": ("zed_left", "left_cam_calib"), "camera_right": ("zed_right", "right_cam_calib")}
RADAR_HZ, LIDAR_HZ, CAMERA_HZ, MOTION_HZ = 4.0, 10.0, 15.0, 20.0
MAX_YAML_BYTES = 1024 * 1024

# x right, y forward, z up -> x right, y down, z forward
LENS_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])

Floats = npt.NDArray[np.float64]


def build_rig(path: Path) -> Rig:
    """The rig: the lidar as reference, cameras required, incomplete scenes published (the camera starts late).

    Raises:
        SourceError: The calibration is missing, is not YAML, or lacks a value.

    """
    try:
        document = yaml.safe_load(read_bounded(path, MAX_YAML_BYTES))
        lidar = _rigid(document["lidar_calib"], np.eye(3))
        cameras = [_camera(name, document[entry]) for name, (_, entry) in CAMERAS.items()]
    except (yaml.YAMLError, AttributeError, ArithmeticError, RecursionError, LookupError, TypeError, ValueError) as error:
        raise SourceError(f"{path} is not a RADIATE calibration: {error!r}") from error
    sensors = [
        Sensor(LIDAR, Modality.LIDAR, LIDAR_HZ, _sync(LIDAR_HZ, required=True), lidar),
        *cameras,
        Sensor(RADAR, Modality.RADAR, RADAR_HZ, _sync(RADAR_HZ), SE3.identity()),
        Sensor("pose", Modality.POSE, MOTION_HZ, _sync(MOTION_HZ)),
        Sensor("imu", Modality.IMU, MOTION_HZ, _sync(MOTION_HZ)),
        Sensor("gnss", Modality.GNSS, MOTION_HZ, _sync(MOTION_HZ)),
    ]
    return Rig("radiate", LIDAR, tuple(sensors), Policy(publish_incomplete=True))


def _camera(name: str, entry: dict[str, Any]) -> Sensor:
    width_px, height_px = (int(value) for value in entry["res"])
    terms_px = _finite(entry[key] for key in ("fx", "fy", "cx", "cy"))
    distortion = tuple(_finite(entry[key] for key in ("k1", "k2", "p1", "p2", "k3")))
    intrinsics = pinhole((width_px, height_px), terms_px, distortion)
    return Sensor(name, Modality.CAMERA, CAMERA_HZ, _sync(CAMERA_HZ, required=True), _rigid(entry, LENS_AXES), intrinsics)


def _rigid(entry: dict[str, Any], axes: Floats) -> SE3:
    """`ego_SE3_sensor`: the dataset maps ego coordinates to the sensor by `Rz Ry Rx axes`; T is the sensor's position."""
    matrix = np.eye(4)
    matrix[:3, :3] = (_euler(np.radians(_finite(entry["R"]))) @ axes).T
    matrix[:3, 3] = _finite(entry["T"])
    return SE3.from_matrix(matrix)


def _finite(values: Iterable[Any]) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{numbers} are not all finite")
    return numbers


def _euler(angles_rad: Floats) -> Floats:
    (a, b, c) = angles_rad
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(turn_z @ turn_y @ turn_x, dtype=np.float64)


def _sync(rate_hz: float, required: bool = False) -> Sync:
    return Sync(Stamp.END, 0, round(NS_PER_S / rate_hz / 2), DEFAULT_WARN_RESIDUAL_NS, required)
