"""The synthetic vehicle: mountings and timing of its sensors, and the rig that declares them.

Ego frame: on the ground under the rear axle, x forward, y left, z up. Camera frame: x right, y down, z forward; pixel
centres have integer coordinates.

The lidar turns clockwise, beginning at the rear; its stamp is the START of the sweep. A camera is triggered first when
the beam of the first sweep looks its way: that instant, counted from the sweep's stamp, is its expected delay. Cameras
(12 Hz) and radars (13 Hz) then run at their own rate, so their residuals against a 10 Hz lidar walk through known values.
"""

from __future__ import annotations

import numpy as np

from fleet.errors import SpecError
from fleet.synthetic.spec import RigOptions
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Intrinsics, Modality, Rig, Sensor, Stamp, Sync
from sensors.time_units import NS_PER_S

RIG_ID = "synthetic-v1"
REFERENCE = "lidar_top"
FIRST_SWEEP_NS = 30_000_000  # after the start of the drive: pose and IMU samples lie on both sides of every sweep
TAIL_NS = 130_000_000  # the other sensors run this much longer than the drive, so that the last sweep finds its matches
POSE_RATE_HZ = 100
IMU_RATE_HZ = 100
GNSS_RATE_HZ = 10
RADAR_JITTER_NS = 400_000
FIELD_OF_VIEW_DEG = 70.0

LIDAR_MOUNT = ((0.90, 0.0, 1.85), (0.2, 0.3, 0.0))  # metres; yaw, pitch, roll in degrees
CAMERA_MOUNTS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "camera_front": ((1.70, 0.0, 1.50), (0.0, 2.0, 0.0)),
    "camera_front_left": ((1.55, 0.50, 1.50), (60.0, 2.0, 0.0)),
    "camera_front_right": ((1.55, -0.50, 1.50), (-60.0, 2.0, 0.0)),
    "camera_left": ((1.00, 0.55, 1.55), (110.0, 2.0, 0.0)),
    "camera_right": ((1.00, -0.55, 1.55), (-110.0, 2.0, 0.0)),
    "camera_back": ((-0.60, 0.0, 1.50), (180.0, 3.0, 0.0)),
}
RADAR_MOUNTS = {
    "radar_front": ((3.60, 0.0, 0.55), (0.0, 0.0, 0.0), 11_000_000),  # third: first scan after the first sweep's stamp
    "radar_rear": ((-0.95, 0.0, 0.60), (180.0, 0.0, 0.0), 29_000_000),
}
BODY_OF_CAMERA = SE3.from_wxyz((0.0, 0.0, 0.0), (0.5, -0.5, 0.5, -0.5))  # x right, y down, z forward -> x forward, y left, z up


def build_rig(options: RigOptions) -> Rig:
    """The rig of a vehicle with these sensors; its sync terms are those of the generator.

    Raises:
        SpecError: A camera has no mount, or is named twice.

    """
    unknown = [name for name in options.cameras if name not in CAMERA_MOUNTS]
    if unknown or len(set(options.cameras)) != len(options.cameras):
        raise SpecError(f"cameras must be different ones of {', '.join(CAMERA_MOUNTS)}; got {', '.join(options.cameras)}")
    sensors = [_lidar(options)]
    sensors += [_camera(name, options) for name in options.cameras]
    sensors += [_radar(name, options) for name in RADAR_MOUNTS]
    sensors += [_support("pose", Modality.POSE, POSE_RATE_HZ), _support("imu", Modality.IMU, IMU_RATE_HZ)]
    if options.gnss:
        sensors.append(_support("gnss", Modality.GNSS, GNSS_RATE_HZ))
    return Rig(RIG_ID, REFERENCE, tuple(sensors), Policy(pose_required=True), ground_z_m=0.0)


def shutter_delay_ns(yaw_deg: float, lidar_rate_hz: int) -> int:
    """Time from the sweep's stamp until the beam points towards `yaw_deg` (counter-clockwise from forward)."""
    share = ((180.0 - yaw_deg) % 360.0) / 360.0
    return round(share * NS_PER_S / lidar_rate_hz)


def mounted(position_m: tuple[float, float, float], yaw_pitch_roll_deg: tuple[float, float, float]) -> SE3:
    """Pose of a body-aligned sensor; pitch above 0 looks down."""
    yaw, pitch, roll = np.radians(yaw_pitch_roll_deg) / 2.0
    turn_z = SE3.from_wxyz((0, 0, 0), (np.cos(yaw), 0, 0, np.sin(yaw)))
    turn_y = SE3.from_wxyz((0, 0, 0), (np.cos(pitch), 0, np.sin(pitch), 0))
    turn_x = SE3.from_wxyz((0, 0, 0), (np.cos(roll), np.sin(roll), 0, 0))
    return SE3.from_wxyz(position_m, (turn_z @ turn_y @ turn_x).wxyz)


def _lidar(options: RigOptions) -> Sensor:
    sync = Sync(Stamp.START, 0, _half_period_ns(options.lidar_rate_hz), DEFAULT_WARN_RESIDUAL_NS, required=True)
    return Sensor(REFERENCE, Modality.LIDAR, options.lidar_rate_hz, sync, mounted(*LIDAR_MOUNT))


def _camera(name: str, options: RigOptions) -> Sensor:
    position, angles = CAMERA_MOUNTS[name]
    half_period_ns = _half_period_ns(options.camera_rate_hz)
    # A free-running camera is up to half its period off by design; only a residual near the tolerance is worth a warning.
    warn_ns = max(DEFAULT_WARN_RESIDUAL_NS, half_period_ns * 9 // 10)
    sync = Sync(Stamp.MIDDLE, shutter_delay_ns(angles[0], options.lidar_rate_hz), half_period_ns, warn_ns, required=True)
    width_px, height_px = options.width_px, options.height_px
    focal_px = float(width_px / 2.0 / np.tan(np.radians(FIELD_OF_VIEW_DEG) / 2.0))
    intrinsics = Intrinsics(width_px, height_px, focal_px, focal_px, (width_px - 1) / 2.0, (height_px - 1) / 2.0)
    return Sensor(name, Modality.CAMERA, options.camera_rate_hz, sync, mounted(position, angles) @ BODY_OF_CAMERA, intrinsics)


def _radar(name: str, options: RigOptions) -> Sensor:
    position, angles, delay_ns = RADAR_MOUNTS[name]
    # Twice the jitter more than half the period: between two scans there must always be one within the tolerance.
    tolerance_ns = _half_period_ns(options.radar_rate_hz) + 2 * RADAR_JITTER_NS
    sync = Sync(Stamp.MIDDLE, delay_ns, tolerance_ns, max(DEFAULT_WARN_RESIDUAL_NS, tolerance_ns), required=False)
    return Sensor(name, Modality.RADAR, options.radar_rate_hz, sync, mounted(position, angles))


def _support(name: str, modality: Modality, rate_hz: int) -> Sensor:
    sync = Sync(Stamp.MIDDLE, 0, _half_period_ns(rate_hz), DEFAULT_WARN_RESIDUAL_NS, required=False)
    return Sensor(name, modality, rate_hz, sync, SE3.identity())


def _half_period_ns(rate_hz: int) -> int:
    return round(NS_PER_S / rate_hz / 2)
