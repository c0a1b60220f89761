"""Generated drives: reproducible bytes, ground truth beside them, and faults whose effect is in the data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleet.drive_folder import DriveFolder
from fleet.errors import FleetError, SpecError
from fleet.faults import Fault
from fleet.synthetic.damage import UNKNOWN_TYPE
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec
from lake.landing import DriveId
from sensors.decode.images import decode_pixels, inspect_image
from sensors.decode.messages import decode, decode_image, decode_points, decode_pose, peek_stamp_ns
from sensors.errors import DecodeError
from sensors.rig import Rig
from tests.unit.fleet.landed_drives import messages, truth_faults, truth_frames


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_faults(spec: DriveSpec, *texts: str) -> DriveSpec:
    return replace(spec, faults=tuple(Fault.parse(text) for text in texts))


def test_the_same_spec_gives_the_same_bytes(small_drive: DriveFolder, small_spec: DriveSpec, new_folder: Path) -> None:
    again = generate(small_spec, new_folder)
    assert digests(again.path) == digests(small_drive.path)


def test_another_seed_gives_another_drive_of_the_same_shape(
    small_drive: DriveFolder, small_spec: DriveSpec, new_folder: Path
) -> None:
    other = generate(replace(small_spec, seed=12), new_folder)
    assert other.manifest is not None and small_drive.manifest is not None
    assert not {entry.sha256 for entry in other.manifest.objects} & {entry.sha256 for entry in small_drive.manifest.objects}
    counts = [(entry.sensor, entry.frame_count) for entry in other.manifest.objects]
    assert counts == [(entry.sensor, entry.frame_count) for entry in small_drive.manifest.objects]


def test_a_clean_drive_may_be_uploaded(small_drive: DriveFolder) -> None:
    loaded = DriveFolder.load(small_drive.path)
    assert loaded == small_drive
    assert str(loaded.drive) == "car-7/drive-1"


def test_counts_of_a_one_second_drive(small_drive: DriveFolder) -> None:
    assert small_drive.manifest is not None
    assert {entry.sensor: entry.frame_count for entry in small_drive.manifest.objects} == {
        "lidar_top": 10,
        "camera_front": 13,
        "camera_front_left": 13,
        "radar_front": 15,
        "radar_rear": 14,
        "pose": 114,
        "imu": 114,
        "gnss": 12,
    }


def test_every_recorded_message_is_in_the_truth_with_its_stamp(small_drive: DriveFolder) -> None:
    rig = Rig.from_dict(json.loads((small_drive.path / "calibration.json").read_bytes()))
    for sensor in rig.sensors:
        found = messages(small_drive, sensor.name)
        rows = truth_frames(small_drive, sensor.name)
        assert [peek_stamp_ns(message.data) for message in found] == [row["stamp_ns"] for row in rows]
        assert [message.log_ns for message in found] == [row["log_ns"] for row in rows]
        assert all(row["recorded"] and row["true_ns"] == row["stamp_ns"] for row in rows)
        for message in found:
            decode(message.message_type, message.data)


def test_recorded_poses_are_the_true_ones(small_drive: DriveFolder) -> None:
    truth = pq.read_table(small_drive.path / "ground_truth" / "poses.parquet").to_pandas()
    found = [decode_pose(message.data) for message in messages(small_drive, "pose")]
    assert [pose.stamp_ns for pose in found] == truth["stamp_ns"].tolist()
    positions = np.array([pose.odom_SE3_ego.translation_m for pose in found])
    np.testing.assert_allclose(positions, truth[["x_m", "y_m", "z_m"]].to_numpy(), atol=1e-12)
    assert (np.linalg.norm(np.diff(positions, axis=0), axis=1) > 0.05).all()


def test_boxes_are_listed_at_every_sweep(small_drive: DriveFolder) -> None:
    table = pq.read_table(small_drive.path / "ground_truth" / "boxes.parquet").to_pandas()
    sweeps = [row["true_ns"] for row in truth_frames(small_drive, "lidar_top")]
    assert sorted(table["true_ns"].unique().tolist()) == sweeps
    moving = table[table["moving"]].groupby("box")
    assert len(moving) >= 3
    for _, track in moving:
        steps = np.diff(track[["x_m", "y_m"]].to_numpy(), axis=0) / 0.1
        middle = (track[["vx_m_s", "vy_m_s"]].to_numpy()[1:] + track[["vx_m_s", "vy_m_s"]].to_numpy()[:-1]) / 2
        np.testing.assert_allclose(steps, middle, atol=0.02)


def test_progress_counts_every_frame_of_every_sensor(small_spec: DriveSpec, new_folder: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    generate(replace(small_spec, duration_s=0.3), new_folder, lambda *call: calls.append(call))
    lidar = [call for call in calls if call[0] == "lidar_top"]
    assert lidar == [("lidar_top", done, 3) for done in (1, 2, 3)]
    assert {call[0] for call in calls} == {
        "lidar_top", "camera_front", "camera_front_left", "radar_front", "radar_rear", "pose", "imu", "gnss",
    }  # fmt: skip


def test_a_long_drive_is_cut_into_files(small_spec: DriveSpec, new_folder: Path) -> None:
    drive = generate(replace(small_spec, segment_s=0.4), new_folder)
    assert drive.manifest is not None
    lidar = [entry for entry in drive.manifest.objects if entry.sensor == "lidar_top"]
    assert [entry.frame_count for entry in lidar] == [4, 4, 2]
    assert DriveFolder.load(new_folder) == drive


def test_an_occupied_folder_is_left_alone(small_spec: DriveSpec, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FleetError, match="not an empty folder"):
        generate(small_spec, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_wrong_fault_is_refused_before_anything_is_written(small_spec: DriveSpec, new_folder: Path) -> None:
    with pytest.raises(SpecError):
        generate(with_faults(small_spec, "cut_jpeg:camera_back:0.1"), new_folder)
    assert not new_folder.exists()


def test_cut_jpegs_do_not_decode_and_the_others_do(small_spec: DriveSpec, new_folder: Path) -> None:
    drive = generate(with_faults(small_spec, "cut_jpeg:camera_front:2,5"), new_folder)
    broken = []
    for index, message in enumerate(messages(drive, "camera_front")):
        try:
            inspect_image(decode_image(message.data).data)
        except DecodeError:
            broken.append(index)
    assert broken == [2, 5]
    (fault,) = truth_faults(drive)
    assert fault["fault"] == "cut_jpeg:camera_front:2,5" and fault["frames"] == [2, 5]
    assert fault["stamps_ns"] == [truth_frames(drive, "camera_front")[index]["stamp_ns"] for index in (2, 5)]


def test_nan_points_are_as_many_as_asked(small_spec: DriveSpec, new_folder: Path) -> None:
    drive = generate(with_faults(small_spec, "nan_points:lidar_top:0.25:3"), new_folder)
    shares = []
    for message in messages(drive, "lidar_top"):
        cloud = decode_points(message.data)
        shares.append(float(cloud.invalid().mean()))
        assert np.isnan(cloud.xyz_m()).any(axis=1).sum() == cloud.invalid().sum()
    assert shares[3] == pytest.approx(0.25, abs=1e-3)
    assert sum(shares) == shares[3]


def test_a_dead_sensor_from_the_start_has_no_file(small_spec: DriveSpec, new_folder: Path) -> None:
    drive = generate(with_faults(small_spec, "dead_sensor:radar_front:0"), new_folder)
    assert drive.manifest is not None
    assert "radar_front" not in {entry.sensor for entry in drive.manifest.objects}
    assert all(not row["recorded"] for row in truth_frames(drive, "radar_front"))


def test_an_unknown_message_type_is_declared_over_whole_messages(small_spec: DriveSpec, new_folder: Path) -> None:
    drive = generate(with_faults(small_spec, "unknown_message_type:radar_rear"), new_folder)
    assert {message.message_type for message in messages(drive, "radar_rear")} == {UNKNOWN_TYPE}
    assert len(messages(drive, "radar_rear")) == 14


def test_other_sensors_are_the_same_bytes_with_a_fault_and_without(
    small_drive: DriveFolder, small_spec: DriveSpec, new_folder: Path
) -> None:
    drive = generate(with_faults(small_spec, "cut_jpeg:camera_front:0.5", "clock_offset:radar_rear:9000000"), new_folder)
    clean, faulty = digests(small_drive.path), digests(drive.path)
    untouched = [name for name in clean if name.endswith(".mcap") and "camera_front/" not in name and "radar_rear" not in name]
    assert len(untouched) == 6
    assert all(clean[name] == faulty[name] for name in untouched)


def test_file_faults_are_listed_with_their_sizes(small_drive: DriveFolder, small_spec: DriveSpec, new_folder: Path) -> None:
    spec = with_faults(
        small_spec,
        "truncate_object:lidar_top:0.5",
        "empty_object:camera_front",
        "absent_object:radar_front",
        "wrong_checksum:pose",
        "stray_file",
    )
    drive = generate(spec, new_folder)
    truth = {entry["kind"]: entry for entry in truth_faults(drive)}
    clean = {entry.sensor: entry for entry in small_drive.manifest.objects} if small_drive.manifest else {}
    lidar = truth["truncate_object"]
    assert lidar["bytes_before"] == clean["lidar_top"].size_bytes
    assert lidar["bytes_after"] == int(lidar["bytes_before"] * 0.5)
    assert (new_folder / lidar["key"].removeprefix("car-7/drive-1/")).stat().st_size == lidar["bytes_after"]
    assert truth["empty_object"]["bytes_after"] == 0
    assert not (new_folder / truth["absent_object"]["key"].removeprefix("car-7/drive-1/")).exists()
    assert truth["wrong_checksum"]["sha256"] == clean["pose"].sha256 != truth["wrong_checksum"]["manifest_sha256"]
    assert truth["stray_file"]["key"] == "car-7/drive-1/lidar/frames.pkl"


def test_a_fault_on_a_file_that_was_never_recorded_is_refused(small_spec: DriveSpec, new_folder: Path) -> None:
    with pytest.raises(SpecError, match="recorded no file"):
        generate(with_faults(small_spec, "dead_sensor:radar_front:0", "empty_object:radar_front"), new_folder)


def test_a_drive_without_manifest_is_known_by_its_ground_truth(small_spec: DriveSpec, new_folder: Path) -> None:
    generate(with_faults(small_spec, "no_manifest"), new_folder)
    loaded = DriveFolder.load(new_folder, check=False)
    assert loaded.drive == DriveId("car-7", "drive-1") and loaded.manifest is None


def test_images_show_the_scene(small_drive: DriveFolder) -> None:
    pixels = decode_pixels(decode_image(messages(small_drive, "camera_front")[0].data).data)
    assert pixels.shape == (90, 160, 3)
    assert pixels[:5, 70:90, 2].mean() > pixels[-5:, 70:90, 2].mean() + 40  # sky above, asphalt below
