"""The calibration check in the job `inspect`: a synthetic drive, with the calibration as it is and with known errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.spec import DriveSpec, RigOptions
from sensors.calibration.result import CalibrationVerdict
from sensors.rig import Rig
from tests.integration.folder_inspection import Inspected, inspect_folder

OPTIONS = RigOptions(
    cameras=("camera_front",), camera_rate_hz=5, camera_noise_levels=3.0, lidar_rate_hz=5, lidar_range_noise_m=0.02
)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drive") / "drive"
    generate(DriveSpec("car-1", "d-1", seed=7, duration_s=9.0, rig=OPTIONS), out)
    return out


def with_fault(fault: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: miscalibrated(document, Rig.from_dict(document), Fault.parse(fault))


def inspected(folder: Path, root: Path, fault: str | None = None) -> Inspected:
    return inspect_folder(root, folder, None if fault is None else with_fault(fault))


def test_a_true_calibration_is_measured_and_not_called(drive: Path, tmp_path: Path) -> None:
    found = inspected(drive, tmp_path)
    assert found.findings == ()
    assert found.verdict == "build"
    assert {(check.sensor, check.quantity.value) for check in found.checks if check.verdict is CalibrationVerdict.OK} == {
        ("camera_front", "camera_roll"), ("camera_front", "camera_pitch"), ("camera_front", "camera_yaw"),
        ("lidar_top", "ground_roll"), ("lidar_top", "ground_pitch"), ("lidar_top", "ground_height"), ("lidar_top", "lidar_yaw"),
        ("radar_front", "radar_yaw"), ("radar_rear", "radar_yaw"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "quantity", "error", "near", "verdict"),
    [
        ("rotate_extrinsic:camera_front:yaw=0.6deg", "camera_yaw", 0.6, 0.06, "bad"),
        ("rotate_extrinsic:camera_front:pitch=-0.6deg", "camera_pitch", -0.6, 0.06, "bad"),
        ("rotate_extrinsic:lidar_top:pitch=0.4deg", "ground_pitch", 0.4, 0.03, "suspect"),
        ("shift_extrinsic:lidar_top:z=30cm", "ground_height", 0.3, 0.02, "bad"),
        ("rotate_extrinsic:lidar_top:yaw=170deg", "lidar_yaw", 170.0, 1.0, "bad"),
        ("rotate_extrinsic:lidar_top:yaw=-5deg", "lidar_yaw", -5.0, 0.8, "bad"),
        ("rotate_extrinsic:radar_rear:yaw=-2deg", "radar_yaw", -2.0, 0.2, "bad"),
    ],
)
def test_a_known_error_is_called_with_its_size(
    fault: str, quantity: str, error: float, near: float, verdict: str, drive: Path, tmp_path: Path
) -> None:
    found = inspected(drive, tmp_path, fault)
    check = found.of(fault.split(":")[1])[quantity]
    assert check.error == pytest.approx(error, abs=near)
    assert check.verdict == verdict
    assert found.verdict == ("quarantine" if verdict == "bad" else "build")


def test_a_camera_that_is_stamped_late_is_a_warning_on_its_time_and_no_error_of_its_mounting(tmp_path: Path) -> None:
    """A side camera 25 ms late looks turned by a degree from a vehicle that passes things by."""
    late_ns, side = 25_000_000, "camera_front_left"
    options = replace(OPTIONS, cameras=(side,))
    fault = Fault.parse(f"clock_offset:{side}:{late_ns}")
    generate(DriveSpec("car-1", "d-1", seed=7, duration_s=9.0, rig=options, faults=(fault,)), tmp_path / "drive")

    def declared(document: dict[str, Any]) -> dict[str, Any]:
        for sensor in document["sensors"]:
            if sensor["name"] == side:
                sensor["sync"]["expected_delay_ns"] += late_ns
        return document

    found = inspect_folder(tmp_path / "store", tmp_path / "drive", declared)
    assert found.verdict == "build"
    assert found.rules() == {("CAL010", side)}
    checks = found.of(side)
    assert checks["camera_time"].error == pytest.approx(25.0, abs=4.0)
    assert checks["camera_yaw"].verdict is CalibrationVerdict.OK


def test_a_lens_of_another_image_size_is_an_error(drive: Path, tmp_path: Path) -> None:
    found = inspected(drive, tmp_path, "wrong_intrinsics:camera_front:size=0.5,centre_x=0.5,centre_y=0.5")
    assert found.verdict == "quarantine"
    assert found.rules("error") == {("CAL007", "camera_front")}
    assert ("CAL005", "camera_front") in found.rules("warning")


def test_two_inspections_measure_the_same_digits(drive: Path, tmp_path: Path) -> None:
    first, second = inspected(drive, tmp_path / "1"), inspected(drive, tmp_path / "2")
    assert first.checks == second.checks


def test_a_short_drive_is_published_with_what_was_not_observable(tmp_path: Path) -> None:
    small = RigOptions(cameras=("camera_front",), width_px=64, height_px=36, lidar_rings=8, lidar_columns=60)
    generate(DriveSpec("car-1", "d-1", duration_s=0.5, rig=small), tmp_path / "drive")
    found = inspected(tmp_path / "drive", tmp_path / "store")
    assert found.verdict == "build"
    seen = {check.sensor for check in found.checks if check.verdict is not CalibrationVerdict.NOT_OBSERVABLE}
    assert seen <= {"radar_front", "radar_rear"}  # range rates need no drive of any length
    assert {(one.rule_id, one.measured, one.severity.value) for one in found.findings} >= {
        ("CAL003", None, "warning"), ("CAL004", None, "warning"), ("CAL005", None, "warning"),
    }  # fmt: skip


def test_a_drive_without_poses_is_published_with_what_was_not_observable(tmp_path: Path) -> None:
    faults = (Fault.parse("dead_sensor:pose:0"),)
    generate(DriveSpec("car-1", "d-1", duration_s=1.0, rig=OPTIONS, faults=faults), tmp_path / "drive")
    found = inspected(tmp_path / "drive", tmp_path / "store")
    assert found.verdict == "build"
    assert {check.verdict for check in found.checks} == {CalibrationVerdict.NOT_OBSERVABLE}
