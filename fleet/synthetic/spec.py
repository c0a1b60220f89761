"""Specification of a generated drive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from fleet.errors import SpecError
from fleet.faults import Fault
from lake.errors import LandingError
from lake.landing import DriveId
from sensors.time_units import NS_PER_S

DEFAULT_START_NS = 1_750_000_000_000_000_000  # 2025-06-15T15:06:40Z
DEFAULT_CAMERAS = ("camera_front", "camera_front_left", "camera_front_right")
MAX_DURATION_S = 600.0
MIN_DURATION_S = 0.1
MIN_START_NS = 10**18
MAX_START_NS = (2**31 - 3600) * NS_PER_S  # ROS time ends at 2**31 s; an hour is left for the drive


@dataclass(frozen=True, slots=True)
class RigOptions:
    """The sensors of the synthetic vehicle and their resolution.

    `cameras` names mounts of `fleet.synthetic.vehicle.CAMERA_MOUNTS`. A sweep has `lidar_rings * lidar_columns` rays.
    `lidar_range_noise_m` is the standard deviation along the ray; 0 leaves every return exactly on its surface.
    `camera_noise_levels` is that of each pixel and colour, before compression. `radar_states`: whether detections carry the
    states valid and unambiguous.
    """

    cameras: tuple[str, ...] = DEFAULT_CAMERAS
    width_px: int = 640
    height_px: int = 360
    camera_rate_hz: int = 12
    camera_noise_levels: float = 0.0
    lidar_rings: int = 32
    lidar_columns: int = 900
    lidar_rate_hz: int = 10
    lidar_range_noise_m: float = 0.0
    radar_rate_hz: int = 13
    radar_noise: bool = True
    radar_states: bool = False
    imu_noise: bool = True
    gnss: bool = False

    def __post_init__(self) -> None:
        limits = {
            "width_px": (16, 4096),
            "height_px": (16, 4096),
            "camera_rate_hz": (1, 120),
            "lidar_rings": (2, 256),
            "lidar_columns": (8, 8192),
            "lidar_rate_hz": (1, 40),
            "radar_rate_hz": (1, 100),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise SpecError(f"rig option {name} must be {low} to {high}, got {getattr(self, name)}")
        if not 0.0 <= self.lidar_range_noise_m <= 1.0:
            raise SpecError(f"rig option lidar_range_noise_m must be 0 to 1, got {self.lidar_range_noise_m}")
        if not 0.0 <= self.camera_noise_levels <= 64.0:
            raise SpecError(f"rig option camera_noise_levels must be 0 to 64, got {self.camera_noise_levels}")


class FaultPlan(Protocol):
    """The faults of a drive, and what their choice of frames and their course in time depend on."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """In order; frames name them by their index."""

    @property
    def seed(self) -> int:
        """Of everything that is chosen by chance."""

    @property
    def start_ns(self) -> int:
        """The start of the drive."""

    @property
    def duration_ns(self) -> int:
        """Its length."""


@dataclass(frozen=True, slots=True)
class DriveSpec:
    """A drive to generate; equal specs give byte-identical folders (with the same versions of numpy and Pillow).

    `segment_s`: length of a sensor's files.

    Raises:
        SpecError: An id, duration or start is out of range.

    """

    vehicle_id: str
    drive_id: str
    seed: int = 0
    duration_s: float = 6.0
    start_ns: int = DEFAULT_START_NS
    segment_s: float = 10.0
    rig: RigOptions = field(default_factory=RigOptions)
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        try:
            DriveId(self.vehicle_id, self.drive_id)
        except LandingError as error:
            raise SpecError(str(error)) from error
        if not MIN_DURATION_S <= self.duration_s <= MAX_DURATION_S:
            raise SpecError(f"duration must be {MIN_DURATION_S} to {MAX_DURATION_S} s, got {self.duration_s}")
        if not MIN_START_NS <= self.start_ns <= MAX_START_NS:
            raise SpecError(f"start must be {MIN_START_NS} to {MAX_START_NS} ns, got {self.start_ns}")
        if not 0.1 <= self.segment_s <= MAX_DURATION_S:
            raise SpecError(f"segment must be 0.1 to {MAX_DURATION_S} s, got {self.segment_s}")
        if not 0 <= self.seed < 2**32:
            raise SpecError(f"seed must be 0 to {2**32 - 1}, got {self.seed}")

    @property
    def drive(self) -> DriveId:
        """The drive's identity."""
        return DriveId(self.vehicle_id, self.drive_id)

    @property
    def duration_ns(self) -> int:
        """Length of the drive in nanoseconds."""
        return round(self.duration_s * NS_PER_S)

    @property
    def segment_ns(self) -> int:
        """Length of one file in nanoseconds."""
        return round(self.segment_s * NS_PER_S)
