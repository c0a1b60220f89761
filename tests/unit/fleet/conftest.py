"""A small synthetic drive, generated once, and readers of what was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.drive_folder import DriveFolder
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions

SMALL_RIG = RigOptions(
    cameras=("camera_front", "camera_front_left"),
    width_px=160,
    height_px=90,
    lidar_rings=16,
    lidar_columns=180,
    radar_noise=False,
    imu_noise=False,
    gnss=True,
)
SMALL = DriveSpec("car-7", "drive-1", seed=11, duration_s=1.0, rig=SMALL_RIG)


@pytest.fixture(scope="session")
def small_drive(tmp_path_factory: pytest.TempPathFactory) -> DriveFolder:
    """The drive of `SMALL`; tests only read it."""
    return generate(SMALL, tmp_path_factory.mktemp("fleet") / "drive")


@pytest.fixture
def small_spec() -> DriveSpec:
    return SMALL


@pytest.fixture
def new_folder(tmp_path: Path) -> Path:
    return tmp_path / "drive"
