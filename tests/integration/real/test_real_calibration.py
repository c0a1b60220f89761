"""Calibration checks on third-party recordings: no false alarm on sound calibrations, and rotations are detected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.faults import Fault
from fleet.importers.registry import IMPORTERS
from fleet.synthetic.miscalibration import miscalibrated
from sensors.calibration.result import CalibrationVerdict
from sensors.rig import Rig
from tests.integration.folder_inspection import Inspected, inspect_folder
from tests.real_data import DATA

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(
    not (DATA / "pandaset_002").is_dir(),
    reason=f"needs real recordings in {DATA} (not part of the repository; SCENELAKE_TEST_DATA names them)",
)
CAMERAS = ("camera_back", "camera_front", "camera_front_left", "camera_front_right", "camera_left", "camera_right")
SOURCES = {
    "nuscenes": DATA / "nuscenes_keyframe",
    "argoverse2": DATA / "argoverse2" / "7fab2350-7eaf-3b7e-a39d-6937a4c1bede",
    "radiate": DATA / "radiate_tiny_foggy",
    "dgp": DATA / "dgp_test_scene" / "scene_01",
}


@pytest.fixture(scope="module")
def pandaset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pandaset") / "drive"
    IMPORTERS["pandaset"](DATA / "pandaset_002", out, "car-1", "pandaset")
    return out


@pytest.fixture(scope="module")
def as_it_is(pandaset: Path, tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    return inspect_folder(tmp_path_factory.mktemp("as-it-is"), pandaset)


def turned(fault: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: miscalibrated(document, Rig.from_dict(document), Fault.parse(fault))


def test_no_camera_of_the_clean_recording_is_called(as_it_is: Inspected) -> None:
    assert as_it_is.verdict == "build"
    assert as_it_is.rules("error") == set()
    yaws = {camera: as_it_is.of(camera)["camera_yaw"].verdict for camera in CAMERAS}
    assert set(yaws.values()) <= {CalibrationVerdict.OK, CalibrationVerdict.NOT_OBSERVABLE}
    assert sum(verdict is CalibrationVerdict.OK for verdict in yaws.values()) >= 5


def test_one_second_of_one_road_says_nothing_about_the_ground(as_it_is: Inspected) -> None:
    checks = as_it_is.of("lidar")
    assert {check.verdict for check in checks.values()} == {CalibrationVerdict.NOT_OBSERVABLE}
    assert ("CAL003", "lidar") in as_it_is.rules("warning")


@pytest.mark.parametrize("camera", ["camera_front", "camera_left"])
def test_a_yaw_of_one_degree_is_called_and_measured(camera: str, pandaset: Path, as_it_is: Inspected, tmp_path: Path) -> None:
    found = inspect_folder(tmp_path, pandaset, turned(f"rotate_extrinsic:{camera}:yaw=1deg"))
    yaw, before = found.of(camera)["camera_yaw"], as_it_is.of(camera)["camera_yaw"]
    assert found.verdict == "quarantine"
    assert found.rules("error") == {("CAL005", camera)}
    assert yaw.verdict is CalibrationVerdict.BAD
    assert yaw.error is not None and before.error is not None
    assert yaw.error - before.error == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_other_recordings_are_not_called_bad(source: str, tmp_path: Path) -> None:
    if not SOURCES[source].is_dir():
        pytest.skip(f"needs {SOURCES[source]}")
    out = tmp_path / "drive"
    IMPORTERS[source](SOURCES[source], out, "car-1", source)
    found = inspect_folder(tmp_path / "store", out)
    assert CalibrationVerdict.BAD not in {check.verdict for check in found.checks}
    assert not {rule for rule, _ in found.rules("error")} & {"CAL003", "CAL004", "CAL005", "CAL006", "CAL007"}
