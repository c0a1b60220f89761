"""Faults of the declared calibration: their size, to the digit, and that the data stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import SpecError
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig
from sensors.calibration.alignment import camera_turn
from sensors.calibration.changes import turned_deg
from sensors.geometry import SE3
from sensors.rig import Rig
from tests.unit.fleet.landed_drives import truth_faults

RIG = build_rig(RigOptions())
SMALL = RigOptions(cameras=("camera_front",), width_px=64, height_px=36, lidar_rings=4, lidar_columns=16)


def declared(text: str, rig: Rig = RIG) -> Rig:
    return Rig.from_dict(miscalibrated(rig.to_dict(), rig, Fault.parse(text)))


@pytest.mark.parametrize("sensor", ["camera_front", "camera_front_left", "lidar_top", "radar_rear"])
def test_a_turn_has_its_size_and_no_other_sensor_turns(sensor: str) -> None:
    found = declared(f"rotate_extrinsic:{sensor}:yaw=0.5deg")
    for entry in RIG.sensors:
        now = found[entry.name].ego_SE3_sensor
        assert entry.ego_SE3_sensor is not None and now is not None
        assert turned_deg(entry.ego_SE3_sensor, now) == pytest.approx(0.5 if entry.name == sensor else 0.0, abs=1e-5)
        assert now.translation_m == pytest.approx(entry.ego_SE3_sensor.translation_m)


@pytest.mark.parametrize(("axis", "turn"), [("roll", (0.7, 0, 0)), ("pitch", (0, 0.7, 0)), ("yaw", (0, 0, 0.7))])
def test_a_camera_turns_about_the_axes_that_checks_measure(axis: str, turn: tuple[float, float, float]) -> None:
    before, after = RIG["camera_front"].ego_SE3_sensor, declared(f"rotate_extrinsic:camera_front:{axis}=0.7deg")["camera_front"]
    assert before is not None and after.ego_SE3_sensor is not None
    assert after.ego_SE3_sensor.rotation == pytest.approx(before.rotation @ camera_turn(turn), abs=1e-9)


def test_a_lidar_that_is_declared_pitched_sees_the_road_fall_away() -> None:
    mounting = declared("rotate_extrinsic:lidar_top:pitch=1deg")["lidar_top"].ego_SE3_sensor
    true = RIG["lidar_top"].ego_SE3_sensor
    assert mounting is not None and true is not None
    on_road = true.inverse().apply(np.array([[20.0, 0.0, 0.0]]))
    assert mounting.apply(on_road)[0, 2] == pytest.approx(-19.1 * np.sin(np.radians(1.0)), abs=0.01)


def mounting(rig: Rig, sensor: str) -> SE3:
    pose = rig[sensor].ego_SE3_sensor
    assert pose is not None
    return pose


def test_gross_errors_of_a_mounting_are_the_usual_mistakes() -> None:
    side, lidar = "camera_front_left", "lidar_top"
    true = mounting(RIG, side)
    swapped = mounting(declared(f"swap_quaternion:{side}"), side)
    w, x, y, z = true.wxyz.tolist()
    assert np.abs(np.dot(swapped.wxyz, (x, y, z, w))) == pytest.approx(1.0)
    assert swapped.translation_m.tolist() == true.translation_m.tolist()
    back = mounting(declared(f"invert_extrinsic:{side}"), side) @ true
    assert back.translation_m == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert back.rotation == pytest.approx(np.eye(3), abs=1e-12)
    body = mounting(declared("body_axes:camera_front"), "camera_front").rotation
    assert body[:, 0] == pytest.approx(mounting(RIG, "camera_front").rotation[:, 2]), "x looks where z did: ahead"
    turn_deg = 2.0 * np.degrees(np.arccos(mounting(RIG, lidar).wxyz[0]))
    far = mounting(declared(f"degrees_extrinsic:{lidar}"), lidar)
    assert 2.0 * np.arccos(far.wxyz[0]) == pytest.approx(turn_deg), "as many radians as it is degrees"


def test_a_shift_is_along_the_vehicles_axes() -> None:
    before, after = RIG["camera_front"].ego_SE3_sensor, declared("shift_extrinsic:camera_front:x=5cm,z=-2cm")["camera_front"]
    assert before is not None and after.ego_SE3_sensor is not None
    assert after.ego_SE3_sensor.translation_m - before.translation_m == pytest.approx([0.05, 0.0, -0.02])


def test_a_lens_is_wrong_by_factors() -> None:
    before, after = RIG["camera_front"].intrinsics, declared("wrong_intrinsics:camera_front:focal=1.05,size=0.5")["camera_front"]
    assert before is not None and after.intrinsics is not None
    assert after.intrinsics.fx_px == pytest.approx(before.fx_px * 1.05)
    assert (after.intrinsics.width_px, after.intrinsics.height_px) == (320, 180)


def test_the_data_stay_true_and_the_truth_says_what_was_declared(tmp_path: Path) -> None:
    faults = ("rotate_extrinsic:camera_front:yaw=0.5deg", "shift_extrinsic:lidar_top:z=3cm")
    clean = DriveSpec("car-1", "d-1", duration_s=0.3, rig=SMALL)
    wrong = DriveSpec("car-1", "d-1", duration_s=0.3, rig=SMALL, faults=tuple(map(Fault.parse, faults)))
    generate(clean, tmp_path / "clean")
    drive = generate(wrong, tmp_path / "wrong")
    for path in sorted((tmp_path / "clean").glob("*/*/*.mcap")):
        assert path.read_bytes() == (tmp_path / "wrong" / path.relative_to(tmp_path / "clean")).read_bytes()
    assert (tmp_path / "clean" / "calibration.json").read_bytes() != (tmp_path / "wrong" / "calibration.json").read_bytes()
    assert json.loads((tmp_path / "wrong" / "calibration.json").read_bytes())["ground_z_m"] == 0.0
    assert [(entry["calibrated_sensor"], entry.get("turn_deg"), entry.get("shift_cm")) for entry in truth_faults(drive)] == [
        ("camera_front", {"yaw": 0.5}, None),
        ("lidar_top", None, {"z": 3.0}),
    ]


@pytest.mark.parametrize("text", ["rotate_extrinsic:pose:yaw=1deg", "wrong_intrinsics:lidar_top:focal=2"])
def test_a_sensor_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is not a "):
        generate(DriveSpec("car-1", "d-1", duration_s=0.3, rig=SMALL, faults=(Fault.parse(text),)), tmp_path / "out")
