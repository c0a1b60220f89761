"""A scene in the nuScenes layout becomes a drive with exact stamps, unchanged payloads, and all anomalies reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.errors import SourceError
from fleet.importers.nuscenes import tables as nuscenes_tables
from fleet.importers.nuscenes.importer import import_drive
from fleet.importers.source import ImportResult
from sensors.decode.messages import decode_image, decode_points, decode_pose, peek_stamp_ns
from sensors.geometry import SE3
from sensors.match.nearest import match_nearest
from sensors.rig import Modality, Rig, Stamp
from tests.unit.fleet.importers.nuscenes import nuscenes_dataset as made
from tests.unit.fleet.landed_drives import messages


@pytest.fixture
def data() -> made.Dataset:
    return made.make()


def imported(data: made.Dataset, tmp_path: Path, scene: str | None = None) -> tuple[ImportResult, Rig]:
    out = tmp_path / "out"
    result = import_drive(data.write(tmp_path / "src"), out, "car-1", "drive-1", scene=scene)
    return result, Rig.from_dict(json.loads((out / "calibration.json").read_bytes()))


def stamps(result: ImportResult, sensor: str) -> list[int]:
    return [peek_stamp_ns(message.data) for message in messages(result.folder, sensor)]


def findings(result: ImportResult) -> str:
    return "\n".join(result.findings)


def test_samples_and_sweeps_come_in_the_order_of_their_stamps(data: made.Dataset, tmp_path: Path) -> None:
    result, _ = imported(data, tmp_path)
    for channel, count in {"LIDAR_TOP": 21, "CAM_FRONT": 13, "CAM_BACK_LEFT": 13, "RADAR_FRONT": 13}.items():
        found = stamps(result, channel.lower())
        assert found == data.stamps_ns(channel) and len(found) == count and found == sorted(found)
    assert stamps(result, "lidar_top")[0] == 1_532_402_927_647_951_000
    assert stamps(result, "cam_front")[0] == 1_532_402_927_612_151_000


def test_lidar_points_are_the_bytes_of_the_files(data: made.Dataset, tmp_path: Path) -> None:
    result, rig = imported(data, tmp_path)
    for sweep, message in enumerate(messages(result.folder, "lidar_top")):
        cloud = decode_points(message.data)
        expected = made.lidar_points(sweep)
        assert bytes(cloud.data) == expected.tobytes() and cloud.point_step == 20
        assert cloud.names == ("x", "y", "z", "intensity", "ring") and cloud.frame_id == "lidar_top"
        np.testing.assert_array_equal(cloud.xyz_m(), expected[:, :3])
        np.testing.assert_array_equal(cloud.column("intensity"), np.arange(60))
        np.testing.assert_array_equal(cloud.column("ring"), np.arange(60) % 32)
        assert cloud.time_offset_ns() is None
    assert rig["lidar_top"].sync.compensated and rig["lidar_top"].sync.stamp is Stamp.END


def test_radar_points_end_where_the_header_says_and_keep_all_18_fields(data: made.Dataset, tmp_path: Path) -> None:
    result, rig = imported(data, tmp_path)
    for scan, message in enumerate(messages(result.folder, "radar_front")):
        cloud = decode_points(message.data)
        rows = made.radar_rows(20 + scan, scan)
        assert cloud.num_points == 20 + scan and cloud.point_step == 43
        assert list(cloud.names) == made.RADAR_FIELDS
        for column, name in enumerate(made.RADAR_FIELDS):
            assert cloud.column(name).tolist() == [row[column] for row in rows], name
    rows = [dict(zip(made.RADAR_FIELDS, row, strict=True)) for scan in range(13) for row in made.radar_rows(20 + scan, scan)]
    dropped = [sum(row["invalid_state"] != 0 for row in rows), sum(row["ambig_state"] != 3 for row in rows)]
    flags = f"invalid_state {dropped[0]}, ambig_state {dropped[1]}, dyn_prop {sum(row['dyn_prop'] > 6 for row in rows)}"
    assert f"RADAR_FRONT: of 338 points the dataset's own reader drops by default ({flags}); kept, with their flags" in findings(
        result
    )
    assert rig["radar_front"].modality is Modality.RADAR and not rig["radar_front"].sync.required
    assert rig["radar_front"].sync.expected_delay_ns == 0 and not rig["radar_front"].sync.compensated


def test_images_are_the_bytes_of_the_files(data: made.Dataset, tmp_path: Path) -> None:
    result, _ = imported(data, tmp_path)
    for channel in ("CAM_FRONT", "CAM_BACK_LEFT"):
        for row, message in zip(data.rows(channel), messages(result.folder, channel.lower()), strict=True):
            image = decode_image(message.data)
            assert bytes(image.data) == data.files[row["filename"]] and image.encoding == "jpeg"


def test_each_measurement_has_the_ego_pose_of_its_own_time(data: made.Dataset, tmp_path: Path) -> None:
    result, _ = imported(data, tmp_path)
    poses = {pose.stamp_ns: pose.odom_SE3_ego for pose in map(decode_pose, (m.data for m in messages(result.folder, "pose")))}
    expected = {stamp for channel in made.MOUNTED for stamp in data.stamps_ns(channel)}
    assert set(poses) == expected and len(poses) == 60
    for stamp_ns, pose in poses.items():
        np.testing.assert_allclose(pose.translation_m, made.pose_at(stamp_ns / 1000).translation_m, atol=1e-6)
        np.testing.assert_allclose(pose.wxyz, (0.6, 0.0, 0.0, 0.8), atol=1e-12)
    assert "pose: 60 ego poses in the map's frame, one for each stamp; z is 0 in all of them: the map is flat" in findings(result)
    assert "the z axis tilts 0.00° at most" in findings(result)


def test_the_rig_declares_what_tables_and_stamps_show(data: made.Dataset, tmp_path: Path) -> None:
    result, rig = imported(data, tmp_path)
    assert rig.rig_id == "nuscenes" and rig.reference == "lidar_top"
    for channel, mounting in made.MOUNTED.items():
        found = rig[channel.lower()].ego_SE3_sensor
        assert found is not None
        np.testing.assert_allclose(found.translation_m, mounting.translation_m, atol=1e-12)
        np.testing.assert_allclose(found.rotation, mounting.rotation, atol=1e-9)
    lens = rig["cam_front"].intrinsics
    assert lens is not None and (lens.width_px, lens.height_px) == made.IMAGE_PX
    assert (lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px, lens.distortion) == (60.5, 60.25, 32.25, 18.75, ())
    assert {sensor.name: sensor.rate_hz for sensor in rig.sensors if sensor.modality.in_scene} == {
        "cam_back_left": 12.0, "cam_front": 12.0, "lidar_top": 20.0, "radar_front": 13.0,
    }  # fmt: skip
    assert rig["cam_front"].sync.stamp is Stamp.START and rig["cam_front"].sync.tolerance_ns == 41_666_667
    assert rig["radar_front"].sync.warn_residual_ns == rig["radar_front"].sync.tolerance_ns == 38_461_538
    assert rig["cam_front"].sync.warn_residual_ns == 25_000_000
    assert rig["lidar_top"].intrinsics is None and rig.policy.publish_incomplete
    assert "CAM_FRONT: declared 12 Hz, measured 12.00 Hz; -35.80 ms from LIDAR_TOP (median of 3 keyframes" in findings(result)


def test_a_cameras_delay_is_the_median_over_its_own_keyframes(data: made.Dataset, tmp_path: Path) -> None:
    """BACK_LEFT is once after the sweep's end: compared with the next sweep instead, its median would be off."""
    _, rig = imported(data, tmp_path)
    assert rig["cam_front"].sync.expected_delay_ns == -35_800_000
    assert rig["cam_back_left"].sync.expected_delay_ns == -800_000


def test_without_keyframe_pairs_a_camera_is_compared_with_the_sweep_it_was_made_in(data: made.Dataset, tmp_path: Path) -> None:
    for row in data.rows("CAM_FRONT"):
        row["is_key_frame"] = False
    result, rig = imported(data, tmp_path)
    assert rig["cam_front"].sync.expected_delay_ns == -35_800_000
    assert "median of 13 frames, each with the next sweep" in findings(result)


def test_with_its_delay_every_keyframe_gets_its_own_image(data: made.Dataset, tmp_path: Path) -> None:
    result, rig = imported(data, tmp_path)
    anchors = [stamps(result, "lidar_top")[sweep] for sweep in made.KEY_SWEEPS]
    for sensor in ("cam_front", "cam_back_left"):
        terms = rig[sensor].sync
        found = match_nearest(anchors, stamps(result, sensor), terms.expected_delay_ns, terms.tolerance_ns)
        own = [made.CAMERA_SWEEPS.index(sweep) for sweep in made.KEY_SWEEPS]
        assert found.index.tolist() == own and np.abs(found.residual_ns).max() <= 1_300_000


def test_keyframes_alone_are_2_hz_with_the_tolerance_of_the_sensors(data: made.Dataset, tmp_path: Path) -> None:
    made.keyframes_alone(data)
    result, rig = imported(data, tmp_path)
    assert {rig[name].rate_hz for name in ("lidar_top", "cam_front", "radar_front")} == {2.0}
    assert rig["cam_front"].sync.tolerance_ns == 41_666_667 and rig["radar_front"].sync.tolerance_ns == 38_461_538
    assert not rig.policy.publish_incomplete
    assert "sweeps: the source has keyframes alone" in findings(result)


def test_the_scene_is_chosen_by_name_or_token(data: made.Dataset, tmp_path: Path) -> None:
    src = data.write(tmp_path / "src")
    for scene in ("scene-0002", "token-scene-0002"):
        result = import_drive(src, tmp_path / scene, "car-1", "drive-1", scene=scene)
        assert stamps(result, "lidar_top") == [(made.T0_US + 60_000_000) * 1000]
        assert result.findings[0] == "scene: scene-0002, 1 keyframes (n015-2018, n015, 2018-07-24, town)"
        assert "rig: the source has no camera" in findings(result) and "rig: the source has no radar" in findings(result)
    with pytest.raises(SourceError, match=r"no scene called 'scene-9'; it has scene-0001, scene-0002"):
        import_drive(src, tmp_path / "none", "car-1", "drive-1", scene="scene-9")


def test_equal_sources_give_equal_drives(data: made.Dataset, tmp_path: Path) -> None:
    first, _ = imported(data, tmp_path / "a")
    second, _ = imported(data, tmp_path / "b")
    for one, other in zip(first.folder.files(), second.folder.files(), strict=True):
        assert one.key == other.key and one.path.read_bytes() == other.path.read_bytes()
    assert first.findings == second.findings


def test_the_folder_of_the_tables_names_the_dataset_too(data: made.Dataset, tmp_path: Path) -> None:
    src = data.write(tmp_path / "src")
    result = import_drive(src / "v1.0-mini", tmp_path / "out", "car-1", "drive-1")
    assert len(stamps(result, "lidar_top")) == 21
    made.make().write(tmp_path / "src" / "again")
    (src / "again" / "v1.0-mini").rename(src / "v1.0-trainval")
    with pytest.raises(SourceError, match=r"holds 2 versions \(v1.0-mini, v1.0-trainval\); name the folder of one"):
        import_drive(src, tmp_path / "two", "car-1", "drive-1")
    (src / "v1.0-mini" / "ego_pose.json").unlink()
    with pytest.raises(SourceError, match="lacks the tables ego_pose"):
        import_drive(src / "v1.0-mini", tmp_path / "three", "car-1", "drive-1")


def test_another_version_only_shares_the_schema(data: made.Dataset, tmp_path: Path) -> None:
    data.version = "v1.01-train/v1.01-train"
    for row in data.tables["sample_data"]:
        stamp_ns = row["timestamp"] * 1000 + 34
        data.files[renamed := f"lidar/host-a_{stamp_ns - 315_964_800 * 10**9}.bin"] = data.files[row["filename"]]
        row["filename"] = renamed if row["filename"].endswith(".bin") else row["filename"]
        row["timestamp"] = float(row["timestamp"]) + 0.25
    result, rig = imported(data, tmp_path)
    assert rig.rig_id == "nuscenes-like" and not rig["lidar_top"].sync.compensated
    assert rig["cam_front"].sync.stamp is Stamp.END and "not stated by this version" in findings(result)
    assert decode_points(messages(result.folder, "lidar_top")[0].data).names[4] == "value_4"
    assert stamps(result, "lidar_top")[0] == made.T0_US * 1000 + 200, "the digits as written: a float of .25"
    assert "60 of 60 are written as float µs, 60 with a fraction: a float of this size has steps of 250 ns" in findings(result)
    assert "21 of 60 file names end in ns since the GPS epoch (1980-01-06, no leap seconds), up to 166 ns" in findings(result)


def test_rows_without_files_are_named(data: made.Dataset, tmp_path: Path) -> None:
    lost = data.rows("CAM_FRONT")[3]["filename"]
    del data.files[lost]
    for row in data.rows("RADAR_FRONT"):
        del data.files[row["filename"]]
    result, rig = imported(data, tmp_path)
    assert f"CAM_FRONT: 1 of 13 rows name a file that is not there: {Path(lost).name}" in findings(result)
    assert "RADAR_FRONT: 13 of 13 rows name a file that is not there" in findings(result)
    assert "rig: RADAR_FRONT have rows but no file, and are not in it" in findings(result)
    assert len(stamps(result, "cam_front")) == 12 and "radar_front" not in rig
    assert len(stamps(result, "pose")) == 60, "poses are there all the same"


def test_a_scene_without_any_file_is_refused_with_everything_that_was_found(data: made.Dataset, tmp_path: Path) -> None:
    data.files = {"samples/LIDAR_TOP/other.pcd.bin": b"x" * 100}
    with pytest.raises(SourceError) as caught:
        imported(data, tmp_path)
    text = str(caught.value)
    assert "none of the 60 files that the tables name for scene scene-0001 is below" in text
    assert "beside them lie 1 files that no row names (samples/LIDAR_TOP/other.pcd.bin)" in text
    assert "LIDAR_TOP: 21 of 21 rows name a file that is not there" in text and not (tmp_path / "out").exists()


def test_links_and_counts_that_do_not_hold_are_reported(data: made.Dataset, tmp_path: Path) -> None:
    data.tables["scene"][0] |= {"nbr_samples": 40, "last_sample_token": "gone"}
    data.tables["sample"][0]["prev"] = "gone"
    data.rows("LIDAR_TOP")[0]["prev"] = "gone"
    data.rows("LIDAR_TOP")[-1]["next"] = data.rows("LIDAR_TOP", "scene-0002")[0]["token"]
    data.rows("CAM_FRONT")[5]["next"] = data.rows("CAM_FRONT")[2]["token"]
    result, _ = imported(data, tmp_path)
    for expected in (
        "sample: scene scene-0001 should have 40 keyframes, 3 are in the table",
        "scene: its last keyframe is not in the table sample",
        "sample: 1 links (prev, next) lead to rows that are not there",
        "sample_data: 1 of 114 links (prev, next) lead to rows that are not there",
        "sample_data: 1 links (prev, next) lead into another scene",
        "CAM_FRONT: 1 rows have a successor with an earlier stamp; put in order",
    ):
        assert expected in findings(result)


def test_doubled_stamps_files_and_gaps_are_reported_and_kept(data: made.Dataset, tmp_path: Path) -> None:
    rows = data.rows("LIDAR_TOP")
    rows[4]["timestamp"] = rows[3]["timestamp"]
    rows[12]["filename"] = rows[11]["filename"]
    result, _ = imported(data, tmp_path)
    assert "LIDAR_TOP: 1 of 21 frames repeat the stamp of another; kept" in findings(result)
    assert "LIDAR_TOP: 1 rows name a file that another row names too; kept" in findings(result)
    assert "LIDAR_TOP: 100.0 ms pass before row 6, usually 50.0 ms" in findings(result)
    assert len(stamps(result, "lidar_top")) == 21


def test_what_is_odd_in_radar_clouds_is_counted(data: made.Dataset, tmp_path: Path) -> None:
    names = [row["filename"] for row in data.rows("RADAR_FRONT")]
    for name in names[:3]:
        data.files[name] = made.radar_file(made.radar_rows(1))
    for name in names[3:5]:
        data.files[name] = made.radar_file(made.radar_rows(125, salt=int(name[-5])))
    empty = made.radar_rows(1)
    data.files[names[5]] = made.radar_file([(float("nan"), *empty[0][1:])])
    result, _ = imported(data, tmp_path)
    clouds = [decode_points(message.data) for message in messages(result.folder, "radar_front")]
    assert [cloud.num_points for cloud in clouds[:6]] == [1, 1, 1, 125, 125, 1]
    for expected in (
        "RADAR_FRONT: 4 of 13 clouds have 1 point; kept",
        "RADAR_FRONT: 2 of 13 clouds have 125 points, the sensor's limit: clipped",
        "RADAR_FRONT: 2 of 13 clouds repeat the points of another byte for byte; kept",
        "RADAR_FRONT: 1 clouds begin with NaN, which the dataset means as empty; kept",
        f"RADAR_FRONT: of {sum(cloud.num_points for cloud in clouds)} points the dataset's own reader drops by default "
        f"(invalid_state {sum(int((cloud.column('invalid_state') != 0).sum()) for cloud in clouds)}, ",
    ):
        assert expected in findings(result)
    assert "LIDAR_TOP: 42 of 1260 points are nearer than 1 m (the vehicle itself); kept" in findings(result)


def test_payloads_that_cannot_be_read_are_named(data: made.Dataset, tmp_path: Path) -> None:
    lidar, radar, image, wide = (data.rows(name)[n]["filename"] for name, n in
                                 (("LIDAR_TOP", 2), ("RADAR_FRONT", 0), ("CAM_FRONT", 1), ("CAM_BACK_LEFT", 4)))  # fmt: skip
    data.files[lidar] = data.files[lidar][:-3]
    data.files[radar] = data.files[radar][:600]
    data.files[image] = b"no image"
    data.files[wide] = made.image_bytes("JPEG", (32, 18), 1)
    result, _ = imported(data, tmp_path)
    assert "LIDAR_TOP: 1 files cannot be read and are left out: " in findings(result)
    assert "1197 bytes are not a whole number of points of 20 bytes" in findings(result)
    assert "RADAR_FRONT: 1 files cannot be read and are left out: " in findings(result) and "the pcd is cut short" in findings(
        result
    )
    assert f"CAM_FRONT: 1 images have no header that can be read; kept: {Path(image).name}" in findings(result)
    assert "CAM_BACK_LEFT: 1 images have another size than the table says" in findings(result)
    assert (len(stamps(result, "lidar_top")), len(stamps(result, "radar_front")), len(stamps(result, "cam_front"))) == (
        20,
        12,
        13,
    )
    assert bytes(decode_image(messages(result.folder, "cam_front")[1].data).data) == b"no image"


def test_poses_that_contradict_each_other_or_their_shots_are_reported(data: made.Dataset, tmp_path: Path) -> None:
    by_token = {row["token"]: row for row in data.tables["ego_pose"]}
    lidar, camera, lost = data.rows("LIDAR_TOP")[0], data.rows("CAM_FRONT")[0], data.rows("CAM_FRONT")[1]
    by_token[camera["ego_pose_token"]]["timestamp"] = lidar["timestamp"]
    data.tables["ego_pose"].remove(by_token[lost["ego_pose_token"]])
    by_token[lidar["ego_pose_token"]]["translation"][2] = 1.25
    result, _ = imported(data, tmp_path)
    assert "ego_pose: 1 of 60 poses that shots name are not in the table" in findings(result)
    assert result.folder.manifest is not None
    assert [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses] == [("pose", 1)]
    assert "ego_pose: 1 of 59 shots have a pose with another stamp than theirs, up to 35.8 ms away" in findings(result)
    assert (
        "ego_pose: 1 poses differ from another with the same stamp, by up to 1.30 m; the reference sensor's is kept"
        in findings(result)
    )
    poses = [decode_pose(message.data) for message in messages(result.folder, "pose")]
    (kept,) = [pose for pose in poses if pose.stamp_ns == lidar["timestamp"] * 1000]
    assert kept.odom_SE3_ego.translation_m.tolist() == [400.0, 1180.0, 1.25] and len(poses) == 58
    assert "z reaches 1.25 m" in findings(result)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"camera_intrinsic": []}, "its intrinsics cannot be used and are left out: camera_intrinsic has shape"),
        ({"camera_intrinsic": None}, "its intrinsics cannot be used"),
        ({"camera_intrinsic": [[1, 2, 3], [0, 1, 2], [0, 0, 1]]}, "is not a pinhole matrix without skew"),
        ({"camera_intrinsic": [[60, 0, 999], [0, 60, 2], [0, 0, 1]]}, "lies outside of the 64x36 px image"),
        ({"rotation": [1, 1, 1, 1]}, "its mounting cannot be used and is left out: rotation is no unit quaternion"),
        ({"translation": [1, 2]}, "its mounting cannot be used"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_left_out_and_reported(
    data: made.Dataset, tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    (row,) = [row for row in data.tables["calibrated_sensor"] if row["token"] == "calibrated-CAM_FRONT"]
    row.update(change)
    result, rig = imported(data, tmp_path)
    assert expected in findings(result)
    assert rig["cam_front"].intrinsics is None or rig["cam_front"].ego_SE3_sensor is None


@pytest.mark.parametrize("name", ["../secret.pcd.bin", "/etc/passwd", "samples/../../x.bin", "a\\b.bin", ""])
def test_files_outside_of_the_dataset_are_not_opened(data: made.Dataset, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.pcd.bin").write_bytes(b"\0" * 20)
    data.rows("LIDAR_TOP")[0]["filename"] = name
    with pytest.raises(SourceError, match="not below the dataset's root; it is not opened"):
        imported(data, tmp_path)


@pytest.mark.parametrize(
    ("table", "content", "expected"),
    [
        ("sample_data", "[{", "not a JSON array of objects"),
        ("sample_data", "{}", "does not begin with"),
        ("sample_data", "[1]", "it holds '1'"),
        ("sample_data", '[{"token": "a"} {"token": "b"}]', "no comma between them"),
        ("sample_data", '[{"token": "a"}', "ends before its"),
        ("sample_data", "[" * 100_000, "not a JSON array of objects"),
        ("sample_data", "[]", "has no row of scene scene-0001"),
        ("sample", "[]", "has no sample of scene scene-0001"),
        ("scene", "[]", "has no scene"),
        ("scene", '[{"token": 5}]', "has token = '5' instead of a text"),
        ("sensor", "[]", "has no row of scene scene-0001"),
    ],
)
def test_damaged_tables_are_explained(data: made.Dataset, tmp_path: Path, table: str, content: str, expected: str) -> None:
    src = data.write(tmp_path / "src")
    (src / "v1.0-mini" / f"{table}.json").write_text(content)
    with pytest.raises(SourceError, match=expected):
        import_drive(src, tmp_path / "out", "car-1", "drive-1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stamp", [None, "soon", -1, True, 10**30, float("nan"), 1e300, [1]])
def test_stamps_that_are_not_a_time_are_refused(data: made.Dataset, tmp_path: Path, stamp: object) -> None:
    data.rows("LIDAR_TOP")[0]["timestamp"] = stamp
    with pytest.raises(SourceError, match=r"time"):
        imported(data, tmp_path)


def test_a_row_without_limits_is_refused(data: made.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuscenes_tables, "MAX_ROW_CHARS", 10_000)
    monkeypatch.setattr(nuscenes_tables, "READ_CHARS", 1_000)
    src = data.write(tmp_path / "src")
    (src / "v1.0-mini" / "scene.json").write_text('[{"token": "' + "x" * 20_000 + '"}]')
    with pytest.raises(SourceError, match="not a JSON array of objects"):
        import_drive(src, tmp_path / "out", "car-1", "drive-1")


@pytest.mark.parametrize("window", [1, 7, 64, 10_000])
def test_rows_are_the_same_however_the_table_is_cut_into_windows(
    data: made.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(nuscenes_tables, "READ_CHARS", window)
    path = tmp_path / "table.json"
    rows = data.tables["calibrated_sensor"] + [{"token": "é\n", "list": [{"a": "}]"}, []], "n": -12}]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    found = [json.loads(json.dumps(row, default=float)) for row in nuscenes_tables.read_rows(path)]
    assert found == rows


KEYFRAME_MATRIX = SE3.from_wxyz((1.0, 2.0, 0.0), (0.6, 0.0, 0.0, 0.8)).matrix.tolist()


def write_keyframe(root: Path) -> Path:
    root.mkdir()
    names = {name: f"n015__{name}__{made.T0_US + offset}" for name, offset in (("LIDAR_TOP", 0), ("CAM_FRONT", -35_491))}
    (root / f"{names['LIDAR_TOP']}.pcd.bin").write_bytes(made.lidar_points(0).tobytes())
    (root / f"{names['CAM_FRONT']}.jpg").write_bytes(made.image_bytes("JPEG", made.IMAGE_PX, 3))
    lidar, camera = made.MOUNTED["LIDAR_TOP"], made.MOUNTED["CAM_FRONT"]
    forward = SE3.from_wxyz((0.355, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))  # the way between the two stamps
    document = {
        "token": "key-1", "dataset": "nuscenes", "version": "v1.0-mini",
        "timestamp": 1532402927.647951,
        "ego2global": KEYFRAME_MATRIX,
        "lidar_points": {"lidar_path": f"{names['LIDAR_TOP']}.pcd.bin", "lidar2ego": lidar.matrix.tolist()},
        "images": {
            "CAM_FRONT": {
                "img_path": f"{names['CAM_FRONT']}.jpg", "cam2img": made.LENS, "cam2ego": camera.matrix.tolist(),
                "timestamp": 1532402927.61246, "lidar2cam": (camera.inverse() @ forward @ lidar).matrix.tolist(),
            }
        },
    }  # fmt: skip
    (root / "calibration_and_pose.json").write_text(json.dumps(document))
    return root


def test_a_single_keyframe_with_matrices_is_a_drive_too(tmp_path: Path) -> None:
    result = import_drive(write_keyframe(tmp_path / "src"), tmp_path / "out", "car-1", "drive-1")
    rig = Rig.from_dict(json.loads((tmp_path / "out" / "calibration.json").read_bytes()))
    assert stamps(result, "lidar_top") == [made.T0_US * 1000]
    assert stamps(result, "cam_front") == [(made.T0_US - 35_491) * 1000]
    assert rig["cam_front"].sync.expected_delay_ns == -35_491_000 and rig["lidar_top"].sync.compensated
    mounting = rig["cam_front"].ego_SE3_sensor
    assert mounting is not None and rig["cam_front"].intrinsics is not None
    np.testing.assert_allclose(mounting.matrix, made.MOUNTED["CAM_FRONT"].matrix, atol=1e-6)
    (pose,) = [decode_pose(message.data) for message in messages(result.folder, "pose")]
    assert pose.stamp_ns == made.T0_US * 1000
    np.testing.assert_allclose(pose.odom_SE3_ego.matrix, KEYFRAME_MATRIX, atol=1e-9)
    assert decode_points(messages(result.folder, "lidar_top")[0].data).xyz_m().tolist() == made.lidar_points(0)[:, :3].tolist()
    assert "lidar2cam: places cameras up to 0.355 m (CAM_FRONT) from where cam2ego and lidar2ego do" in findings(result)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timestamp": 1532402927.5}, None),
        ({"images": []}, "does not describe a keyframe"),
        ({"ego2global": [[1, 2], [3, 4]]}, "does not describe a keyframe"),
        ({"lidar_points": {"lidar_path": "../x", "lidar2ego": KEYFRAME_MATRIX}}, "not below the dataset's root"),
        (
            {"lidar_points": {"lidar_path": "x.pcd.bin", "lidar2ego": KEYFRAME_MATRIX}},
            "LOG__LIDAR_TOP__MICROSECONDS was expected",
        ),
        ({"lidar_points": {"lidar_path": "n__LIDAR_TOP__5.pcd.bin", "lidar2ego": KEYFRAME_MATRIX}}, "is missing"),
    ],
)
def test_a_keyframe_that_does_not_hold_together_is_explained(
    tmp_path: Path, change: dict[str, Any], expected: str | None
) -> None:
    src = write_keyframe(tmp_path / "src")
    document = json.loads((src / "calibration_and_pose.json").read_text()) | change
    (src / "calibration_and_pose.json").write_text(json.dumps(document))
    if expected is None:
        result = import_drive(src, tmp_path / "out", "car-1", "drive-1")
        assert "LIDAR_TOP: the document's stamp is -147951.0 µs from the file name's" in findings(result)
        return
    with pytest.raises(SourceError, match=expected):
        import_drive(src, tmp_path / "out", "car-1", "drive-1")


def test_every_time_that_is_none_is_refused_with_table_row_and_field(data: made.Dataset, tmp_path: Path) -> None:
    first, second, third = data.rows("CAM_FRONT")[:3]
    first["timestamp"], second["timestamp"], third["filename"] = 1.5e18, "noon", 7
    with pytest.raises(SourceError) as caught:
        imported(data, tmp_path)
    words = str(caught.value)
    assert f"sample_data.json: row {first['token']}: timestamp: 1.5E+18 microseconds is not a time between 1970 and 2096" in words
    assert "it would be if it counted nanoseconds" in words
    assert f"sample_data.json: row {second['token']}: timestamp: 'noon' is not a time: a number was expected" in words
    assert f"the row {third['token']} has filename = '7' instead of a text" in words
    assert not (tmp_path / "out").exists()


def test_poses_that_are_none_are_refused_together(data: made.Dataset, tmp_path: Path) -> None:
    data.tables["ego_pose"][0]["timestamp"] = -1
    data.tables["ego_pose"][1]["rotation"] = [1, 0, 0]
    with pytest.raises(SourceError) as caught:
        imported(data, tmp_path)
    tokens = [row["token"] for row in data.tables["ego_pose"][:2]]
    assert f"ego_pose.json: row {tokens[0]}: timestamp: -1 microseconds is not a time between" in str(caught.value)
    assert f"ego_pose.json: row {tokens[1]} is not a pose" in str(caught.value)


def test_many_faults_are_listed_and_the_rest_counted(data: made.Dataset, tmp_path: Path) -> None:
    for row in data.rows("LIDAR_TOP") + data.rows("CAM_FRONT"):
        row["timestamp"] = None
    with pytest.raises(SourceError) as caught:
        imported(data, tmp_path)
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("and 14 more rows")


def test_rows_of_unknown_samples_are_named_and_links_to_them_lead_nowhere_else(data: made.Dataset, tmp_path: Path) -> None:
    lost = data.rows("LIDAR_TOP")[5]
    lost["sample_token"] = "never-heard-of"
    result, _ = imported(data, tmp_path)
    words = findings(result)
    assert (
        f"sample_data: 1 rows are of samples that the table sample does not have, and are left out: {lost['token']} "
        "(sample_token 'never-heard-of')"
    ) in words
    assert "sample_data: 2 links (prev, next) lead to rows of samples that the table sample does not have" in words
    assert "lead into another scene" not in words
    assert len(messages(result.folder, "lidar_top")) == 20
    assert result.folder.manifest is not None
    assert [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses] == [("lidar_top", 1)]


def test_mountings_that_were_never_filled_in_are_left_open(data: made.Dataset, tmp_path: Path) -> None:
    for row in data.tables["calibrated_sensor"]:
        row["translation"], row["rotation"] = [0, 0, 0], [1, 0, 0, 0]
    result, rig = imported(data, tmp_path)
    assert "calibrated_sensor: all 4 mountings are the identity" in findings(result)
    assert [rig[name].ego_SE3_sensor for name in ("lidar_top", "cam_front", "radar_front")] == [None] * 3
    assert rig["cam_front"].intrinsics is not None


def test_a_lidar_may_be_the_origin_of_its_vehicle(data: made.Dataset, tmp_path: Path) -> None:
    row = next(row for row in data.tables["calibrated_sensor"] if row["token"] == "calibrated-LIDAR_TOP")
    row["translation"], row["rotation"] = [0, 0, 0], [1, 0, 0, 0]
    result, rig = imported(data, tmp_path)
    assert "mountings are the identity" not in findings(result)
    assert rig["lidar_top"].ego_SE3_sensor is not None


def test_offsets_that_are_far_apart_are_no_delay(data: made.Dataset, tmp_path: Path) -> None:
    for number, row in enumerate(data.rows("CAM_FRONT")):
        row["timestamp"] += (-90_000, 60_000, 5_000)[number % 3]
    sweeps = {row["sample_token"]: row["timestamp"] for row in data.rows("LIDAR_TOP") if row["is_key_frame"]}
    keyframes = [row for row in data.rows("CAM_FRONT") if row["is_key_frame"]]
    for row, offset_us in zip(keyframes, (-128_000, -30_000, 71_000), strict=True):
        row["timestamp"] = sweeps[row["sample_token"]] + offset_us
    result, rig = imported(data, tmp_path)
    assert (
        "-30.00 ms from LIDAR_TOP (median of 3 keyframes, -128.00 to +71.00): too far apart for a delay, declared 0"
        in findings(result)
    )
    assert rig["cam_front"].sync.expected_delay_ns == 0
    assert rig["cam_back_left"].sync.expected_delay_ns == -800_000


@pytest.mark.parametrize("shift_us", [-made.T0_US, 1_200_000_000, 3_600_000_000, 7_200_000_000])
def test_one_wild_pose_does_not_condemn_the_rate_of_all(data: made.Dataset, tmp_path: Path, shift_us: int) -> None:
    data.tables["ego_pose"][3]["timestamp"] += shift_us
    _, rig = imported(data, tmp_path)
    assert rig["pose"].rate_hz == pytest.approx(59, rel=0.1)
    assert rig["pose"].sync.tolerance_ns == round(5e8 / rig["pose"].rate_hz)


@pytest.mark.parametrize("channel", ["CAM_FRONT", "LIDAR_TOP"])
def test_one_wild_shot_does_not_condemn_the_rate_of_its_sensor(data: made.Dataset, tmp_path: Path, channel: str) -> None:
    data.rows(channel)[4]["timestamp"] = 0
    result, rig = imported(data, tmp_path)
    assert rig[channel.lower()].rate_hz == {"CAM_FRONT": 12.0, "LIDAR_TOP": 20.0}[channel]
    assert rig["cam_front"].sync.expected_delay_ns == -35_800_000 and stamps(result, channel.lower())[0] == 0


def test_a_camera_on_another_clock_has_no_delay(data: made.Dataset, tmp_path: Path) -> None:
    for row in data.rows("CAM_FRONT"):
        row["timestamp"] += 3_600_000_000
    result, rig = imported(data, tmp_path)
    assert rig["cam_front"].sync.expected_delay_ns == 0
    assert "+3599964.20 ms from LIDAR_TOP (median of 3 keyframes, +3599964.20 to +3599964.20): another clock" in findings(result)


def test_a_sensor_that_measured_nothing_is_not_the_reference(data: made.Dataset, tmp_path: Path) -> None:
    for row in data.rows("LIDAR_TOP"):
        data.files[row["filename"]] = bytes(len(data.files[row["filename"]]))
    result, rig = imported(data, tmp_path)
    assert rig.reference == "cam_back_left"
    assert "LIDAR_TOP: no point of its 21 clouds has a position (1260 points, all (0, 0, 0) or not finite)" in findings(result)
    assert "the vehicle itself" not in findings(result)


@pytest.mark.parametrize("kept", [(), ("sensor", "ego_pose")])
def test_all_tables_that_are_absent_are_named(data: made.Dataset, tmp_path: Path, kept: tuple[str, ...]) -> None:
    src = data.write(tmp_path / "src")
    for path in (src / data.version).iterdir():
        if path.stem not in kept:
            path.unlink()
    with pytest.raises(SourceError) as caught:
        import_drive(src, tmp_path / "out", "car-1", "drive-1")
    for name in ("scene", "sample", "sample_data", "calibrated_sensor"):
        assert name in str(caught.value)
    assert ("calibration_and_pose.json" in str(caught.value)) == (not kept)


def test_rows_whose_tokens_are_no_text_are_refused_together(data: made.Dataset, tmp_path: Path) -> None:
    data.tables["sensor"][0]["modality"] = []
    data.tables["calibrated_sensor"][1]["sensor_token"] = {}
    data.tables["calibrated_sensor"][2]["token"] = None
    data.rows("LIDAR_TOP")[3]["sample_token"] = []
    data.rows("RADAR_FRONT")[0]["filename"] = "../../etc/passwd"
    data.tables["ego_pose"][3]["token"] = {"a": 1}
    with pytest.raises(SourceError) as caught:
        imported(data, tmp_path)
    tables = tmp_path / "src" / data.version
    assert set(str(caught.value).splitlines()) == {
        f"{tables / 'sensor.json'}: the row sensor-LIDAR_TOP has modality = '[]' instead of a text",
        f"{tables / 'calibrated_sensor.json'}: the row calibrated-CAM_FRONT has sensor_token = '{{}}' instead of a text",
        f"{tables / 'calibrated_sensor.json'}: the row None has token = 'None' instead of a text",
        f"{tables / 'sample_data.json'}: the row data-LIDAR_TOP-{made.T0_US + 3 * made.SWEEP_US} has sample_token = '[]' instead "
        "of a text",
        f"{tables / 'sample_data.json'}: row {data.rows('RADAR_FRONT')[0]['token']} names the file '../../etc/passwd', which is "
        "not below the dataset's root; it is not opened",
        f"""{tables / "ego_pose.json"}: the row {{'a': 1}} has token = "{{'a': 1}}" instead of a text""",
    }


@pytest.mark.parametrize("name", ["../x", "pose", "", "CAM FRONT", "c" * 64])
def test_channels_that_no_sensor_can_be_called_are_refused(data: made.Dataset, tmp_path: Path, name: str) -> None:
    data.tables["sensor"][1]["channel"] = name
    with pytest.raises(SourceError, match=r"the row sensor-CAM_FRONT has channel = .*, which no sensor can be called"):
        imported(data, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_channels_that_differ_in_case_alone_are_refused(data: made.Dataset, tmp_path: Path) -> None:
    data.tables["sensor"][2]["channel"] = "cam_front"
    with pytest.raises(SourceError, match=r"CAM_FRONT \(camera\), .*cam_front \(camera\) cannot stand for one sensor each"):
        imported(data, tmp_path)


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Every object in a JSON document with each of its keys, and every list with its first place."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))[:1] if isinstance(value, list) else []
    return [pair for key in keys for pair in [(value, key), *leaves(value[key])]]


HOSTILE = (None, True, -1, 10**400, float("nan"), "../x", [], {}, [1])


def assert_imported_or_explained(document: Any, places: list[tuple[Any, Any]], write: Any, src: Path, out: Path) -> None:
    for container, key in places:
        whole = container[key]
        for value in HOSTILE:
            container[key] = value
            write(document)
            try:
                import_drive(src, out, "car-1", "drive-1")
            except SourceError as error:
                assert str(src) in str(error)
            else:
                shutil.rmtree(out)
            assert not out.exists()
        container[key] = whole
    write(document)


@pytest.mark.parametrize("table", ["scene", "sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose", "log"])
def test_any_value_of_a_table_is_imported_or_explained(data: made.Dataset, tmp_path: Path, table: str) -> None:
    made.keyframes_alone(data)
    data.tables["sample_data"] = [row for row in data.tables["sample_data"] if "scene-0002" not in row["sample_token"]]
    src = data.write(tmp_path / "src")
    rows = data.tables[table]
    cameras = [row for row in rows if "CAM_FRONT" in row["token"]]
    write = (src / data.version / f"{table}.json").write_text
    assert_imported_or_explained(
        rows, leaves((cameras or rows)[0]), lambda document: write(json.dumps(document)), src, tmp_path / "out"
    )


def test_any_value_of_a_keyframe_is_imported_or_explained(tmp_path: Path) -> None:
    src = write_keyframe(tmp_path / "src")
    path = src / "calibration_and_pose.json"
    document = json.loads(path.read_text())
    assert_imported_or_explained(
        document, leaves(document), lambda changed: path.write_text(json.dumps(changed)), src, tmp_path / "out"
    )
