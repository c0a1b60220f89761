"""The stamps of one sensor, wherever they were read from."""

from __future__ import annotations

from dataclasses import dataclass

from sensors.rig import Modality
from sensors.stamps import Nanoseconds

_PARTS = {
    Modality.LIDAR: ("lidar", "velo", "ouster", "points"),
    Modality.RADAR: ("radar", "navtech"),
    Modality.CAMERA: ("cam", "image", "zed"),
    Modality.IMU: ("imu", "gyro", "accelero"),
    Modality.GNSS: ("gnss", "gps", "fix"),
    Modality.POSE: ("pose", "odom", "twist"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One sensor's frames in the order in which they were logged: stamps and log times (N,) int64.

    `log_ns` is None where nobody recorded it, `modality` where nothing tells it.
    """

    sensor: str
    modality: Modality | None
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds | None


def guessed_modality(name: str) -> Modality | None:
    """What a sensor is, by its name: `CAM_FRONT` is a camera."""
    lowered = name.lower()
    return next((modality for modality, parts in _PARTS.items() if any(part in lowered for part in parts)), None)
