"""Faults that are put into a finished drive: those of the generator, and only where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.quality_score.inject import inject
from fleet.errors import SpecError
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage

RIG = RigOptions(
    cameras=("camera_front",), width_px=32, height_px=18, lidar_rings=8, lidar_columns=24, radar_states=True, gnss=True
)
CLEAN = DriveSpec("car", "d-1", seed=3, duration_s=1.0, rig=RIG)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clean") / "drive"
    generate(CLEAN, out)
    return out


def files(folder: Path) -> dict[str, bytes]:
    """The contents of a drive by name, without its ground truth."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "ground_truth" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "fault",
    [
        "cut_jpeg:camera_front:3,4", "shorten_jpeg:camera_front:0.4", "zero_jpeg:camera_front:0.3:0.2",
        "shorten_png:camera_front:0.5:2", "blur:camera_front:2:0.5", "lose_chroma:camera_front",
        "repeat_content:camera_front:0.3",
        "nan_points:lidar_top:0.3:0.5", "zero_points:lidar_top:1.0:1.0", "drop_rings:lidar_top:2", "scale_times:lidar_top:-1:2",
        "rename_x:lidar_top:0.5", "repeat_content:lidar_top:2,3", "empty_scan:radar_front:1.0", "ghosts:radar_front:0.5",
        "full_list:radar_front:64:0.2", "dead_sensor:radar_front:0.5", "dead_sensor:camera_front:0", "drop_frames:lidar_top:0.3",
        "duplicate_stamps:camera_front:4", "wild_stamp:lidar_top:-5000000000:4", "late_frames:camera_front:5",
        "log_pace:camera_front:4", "clock_offset:pose:1000000000", "clock_step:lidar_top:-2000000000:0.5",
        "clock_drift:camera_front:500", "clock_unit:camera_front:3", "gyro_bias:imu:0.1", "unknown_message_type:radar_front",
        "wrong_frame:camera_front:0.2", "second_topic:camera_front:0.2", "rotate_extrinsic:camera_front:yaw=5deg",
        "swap_quaternion:lidar_top", "invert_extrinsic:camera_front", "unlisted_sensor:radar_front",
        "truncate_object:camera_front:0.3", "wrong_checksum:pose", "wrong_count:gnss:4", "empty_object:imu",
        "absent_object:radar_front", "no_manifest",
    ],
)  # fmt: skip
def test_the_result_is_the_drive_that_the_generator_makes_with_the_fault(fault: str, clean: Path, tmp_path: Path) -> None:
    spec = replace(CLEAN, faults=(Fault.parse(fault),))
    before = files(clean)
    inject(clean, tmp_path / "injected", spec.drive, spec)
    generate(spec, tmp_path / "generated")
    assert files(tmp_path / "injected") == files(tmp_path / "generated") != before
    assert files(clean) == before, "the clean drive is shared, and stays as it is"


def test_a_fault_that_the_drive_cannot_have_is_refused(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="has frames 0 to"):
        inject(clean, tmp_path / "out", CLEAN.drive, replace(CLEAN, faults=(Fault.parse("cut_jpeg:camera_front:99"),)))


def test_log_times_can_be_given_to_a_drive_that_has_none(clean: Path, tmp_path: Path) -> None:
    inject(clean, tmp_path / "out", CLEAN.drive, CLEAN, latency_ns=20_000_000)
    for name in ("camera/camera_front", "pose/pose"):
        (before,), (after,) = (sorted((folder / name).glob("*.mcap")) for folder in (clean, tmp_path / "out"))
        pairs = zip(messages(before), messages(after), strict=True)
        assert all((late.log_ns - one.log_ns, late.data) == (20_000_000, one.data) for one, late in pairs)


def messages(path: Path) -> list[StoredMessage]:
    with path.open("rb") as stream:
        return [item for item in scan(stream) if isinstance(item, StoredMessage)]
