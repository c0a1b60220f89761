"""Argoverse 2 logs as drives: the source's data, bit by bit, and all anomalies reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.feather as feather
import pytest

from fleet.errors import FleetError, SourceError
from fleet.importers.argoverse2.importer import import_drive
from fleet.importers.registry import IMPORTERS
from fleet.importers.source import ImportResult
from sensors.decode.messages import decode_image, decode_points, decode_pose
from sensors.geometry import SE3
from sensors.motion.deskew import compensate
from sensors.motion.poses import interpolate
from sensors.rig import Modality, Rig, Stamp, TimeBase
from tests.unit.fleet.importers.argoverse2 import argoverse2_dataset as made
from tests.unit.fleet.landed_drives import messages

POSES = "city_SE3_egovehicle.feather"
MOUNTINGS = "calibration/egovehicle_SE3_sensor.feather"
LENSES = "calibration/intrinsics.feather"
FIRST_SWEEP = f"sensors/lidar/{made.S0_NS}.feather"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return made.write_argoverse2(tmp_path / "log")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportResult, Rig]:
    src = made.write_argoverse2(tmp_path_factory.mktemp("av2") / "log")
    result = IMPORTERS["argoverse2"](src, src.parent / "out", "car-1", "drive-1")
    return src, result, Rig.from_dict(json.loads((src.parent / "out" / "calibration.json").read_bytes()))


def test_points_are_those_of_the_source(imported: tuple[Path, ImportResult, Rig]) -> None:
    clouds = [decode_points(message.data) for message in messages(imported[1].folder, "lidar")]
    assert [cloud.stamp_ns for cloud in clouds] == list(made.SWEEPS_NS)
    for number, cloud in enumerate(clouds):
        source = made.points(number)
        assert cloud.num_points == 70 + number
        for axis in "xyz":
            assert cloud.column(axis).dtype == np.float32
            np.testing.assert_array_equal(cloud.column(axis), source[axis].astype(np.float32))
        for name in ("intensity", "laser_number", "measured_offset_ns"):
            expected = source[name.removeprefix("measured_")]
            assert cloud.column(name).dtype == expected.dtype
            np.testing.assert_array_equal(cloud.column(name), expected)


def test_points_are_never_moved_twice(imported: tuple[Path, ImportResult, Rig]) -> None:
    """The rig declares them compensated to the stamp, and no reader of point times finds any."""
    _, result, rig = imported
    assert rig["lidar"].sync.compensated and rig["lidar"].sync.stamp is Stamp.START
    assert rig["lidar"].ego_SE3_sensor == SE3.identity()
    cloud = decode_points(messages(result.folder, "lidar")[1].data)
    assert cloud.time_offset_ns() is None
    poses = [decode_pose(message.data) for message in messages(result.folder, "pose")]
    samples = np.array([[*pose.odom_SE3_ego.translation_m, *pose.odom_SE3_ego.wxyz] for pose in poses])
    stamps_ns = [pose.stamp_ns for pose in poses]
    still = compensate(
        cloud.xyz_m(),
        np.zeros(cloud.num_points, np.int64),
        cloud.stamp_ns,
        cloud.stamp_ns,
        stamps_ns,
        samples,
        SE3.identity(),
        10**9,
    )
    assert still.complete
    np.testing.assert_allclose(still.xyz_m, cloud.xyz_m(), rtol=0, atol=1e-4)
    wrong = compensate(
        cloud.xyz_m(),
        cloud.column("measured_offset_ns"),
        cloud.stamp_ns,
        cloud.stamp_ns,
        stamps_ns,
        samples,
        SE3.identity(),
        10**9,
    )
    assert np.abs(wrong.xyz_m - cloud.xyz_m()).max() > 0.5  # what a reader of offset_ns as point time would do to them


def test_poses_keep_every_row_and_every_nanosecond(imported: tuple[Path, ImportResult, Rig]) -> None:
    poses = [decode_pose(message.data) for message in messages(imported[1].folder, "pose")]
    assert [pose.stamp_ns for pose in poses] == list(made.POSES_NS)
    source = made.poses()
    for row, pose in enumerate(poses):
        assert pose.odom_SE3_ego.translation_m.tolist() == [source[axis][row] for axis in ("tx_m", "ty_m", "tz_m")]
        np.testing.assert_allclose(pose.odom_SE3_ego.wxyz, [source[part][row] for part in ("qw", "qx", "qy", "qz")], atol=1e-15)
    samples = np.array([[*pose.odom_SE3_ego.translation_m, *pose.odom_SE3_ego.wxyz] for pose in poses])
    at_sweeps = interpolate(list(made.SWEEPS_NS), list(made.POSES_NS), samples, 1)
    assert at_sweeps.valid.all() and at_sweeps.left.tolist() == [1, 4, 5]
    np.testing.assert_array_equal(at_sweeps.poses, samples[[1, 4, 5]])


def test_cameras_have_their_bytes_and_no_distortion(imported: tuple[Path, ImportResult, Rig]) -> None:
    src, result, rig = imported
    for name, stamps_ns in made.IMAGES_NS.items():
        found = [decode_image(message.data) for message in messages(result.folder, name)]
        assert [image.stamp_ns for image in found] == list(stamps_ns)
        for image in found:
            assert bytes(image.data) == (src / "sensors" / "cameras" / name / f"{image.stamp_ns}.jpg").read_bytes()
    camera = rig["ring_front_center"]
    assert camera.modality is Modality.CAMERA and camera.sync.required and camera.sync.stamp is Stamp.MIDDLE
    assert camera.sync.tolerance_ns == 25_000_000 and camera.sync.expected_delay_ns == 0
    lens, mounting = camera.intrinsics, camera.ego_SE3_sensor
    assert lens is not None and mounting is not None
    assert (lens.width_px, lens.height_px, lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px) == (
        64,
        48,
        1776.25,
        1776.5,
        31.5,
        23.25,
    )
    assert lens.distortion == ()
    assert mounting.translation_m.tolist() == [1.635, 0.002, 1.398] and mounting.wxyz.tolist() == [0.5, -0.5, 0.5, -0.5]


def test_rates_are_measured_where_there_are_two_frames(imported: tuple[Path, ImportResult, Rig]) -> None:
    rig = imported[2]
    assert rig["lidar"].rate_hz == pytest.approx(1e9 / 100_150_000, abs=1e-3)  # the median of two steps
    assert rig["ring_front_center"].rate_hz == 20.0
    assert rig["stereo_front_left"].rate_hz == 20.0  # one image: the documented rate
    assert rig["pose"].rate_hz == pytest.approx(5 / 0.2073, abs=1e-3)
    assert rig.reference == "lidar" and rig.policy.publish_incomplete and made.UNSEEN not in rig
    assert rig.time_base is TimeBase.OTHER, "the dataset's stamps read as dates of 1980"


def test_findings_say_what_is_odd_and_what_lacks(imported: tuple[Path, ImportResult, Rig]) -> None:
    findings = "\n".join(imported[1].findings)
    for expected in (
        "lidar: points were measured 2.65 to 106.09 ms after the stamp, 3.29 ms longer than the 100.15 ms from sweep to sweep",
        "stamps: read as Unix time they fall on 1980-01-06, 1465 s after the GPS epoch",
        "up_lidar at (1.635, 0.002, 1.428) m and down_lidar at (1.635, 0.002, 1.438) m",
        "laser_number below 64, ego_SE3_lidar is the identity",
        "pose: 1 of 6 stamps follow the one before within 1 ns, 1 of them after 1 ns; kept. The longest step is 100.10 ms",
        "pose: 3 of 3 sweeps have a pose at their very stamp",
        "cameras: 1 are calibrated but have no image here, and are left out of the rig: ring_side_left",
        "cameras: images are published undistorted, so the calibration's lens terms (k1 -0.240 to -0.240, k2, k3) are not",
        "ring_front_center: the nearest image is +1.30 ms from a sweep's stamp (median)",
        "radar: the source has none",
        "annotations: 4 boxes at 3 stamps (2 of them with a sweep), not imported",
    ):
        assert expected in findings


def test_odd_files_gaps_and_absent_tables_are_findings(log: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", "0315966265259836000.feather", "99999999999999999999.feather", "9999999999999999999.feather"):
        (log / "sensors" / "lidar" / name).write_bytes(b"x")
    shutil.rmtree(log / "sensors" / "cameras")
    (log / "annotations.feather").unlink()
    columns = made.poses()
    made.write_table(log / POSES, {name: column[[0, 3, 2, 3, 5]] for name, column in columns.items()})
    findings = "\n".join(import_drive(log, tmp_path / "out", "car-1", "drive-1").findings)
    assert "lidar: 4 files are not named STAMP.feather and are left out: 0315966265259836000.feather, " in findings
    assert "cameras: 3 are calibrated but have no image here" in findings
    assert "annotations: none in the source" in findings
    assert "pose: 0 rows repeat the stamp before them, 1 step back; kept" in findings
    assert "pose: 1 of 3 sweeps have a pose at their very stamp, not 315966265259836000, 315966265360032000" in findings


def test_an_unknown_camera_is_taken_without_calibration(log: Path, tmp_path: Path) -> None:
    (log / "sensors" / "cameras" / "ring_front_center").rename(log / "sensors" / "cameras" / "dash")
    result = import_drive(log, tmp_path / "out", "car-1", "drive-1")
    rig = Rig.from_dict(json.loads((tmp_path / "out" / "calibration.json").read_bytes()))
    assert rig["dash"].ego_SE3_sensor is None and rig["dash"].intrinsics is None
    assert "cameras: no calibration for dash" in result.findings


def test_an_empty_sweep_is_kept_and_reported(log: Path, tmp_path: Path) -> None:
    made.write_table(log / FIRST_SWEEP, {name: column[:0] for name, column in made.points(0).items()})
    result = import_drive(log, tmp_path / "out", "car-1", "drive-1")
    assert decode_points(messages(result.folder, "lidar")[0].data).num_points == 0
    assert "lidar: 1 sweeps have no point; kept" in result.findings


def test_progress_counts_every_frame(log: Path, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    import_drive(
        log, tmp_path / "out", "car-1", "drive-1", lambda step, done, total: seen.setdefault(step, []).append((done, total))
    )
    assert seen["lidar"] == [(1, 3), (2, 3), (3, 3)]
    assert seen["pose"][-1] == (6, 6) and seen["ring_front_center"][-1] == (5, 5)


def test_two_imports_are_equal_byte_for_byte(log: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        import_drive(log, tmp_path / name, "car-1", "drive-1")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 6
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


@pytest.mark.parametrize("name", [POSES, MOUNTINGS, LENSES])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_tables_that_are_not_whole_stop_the_import_before_anything_is_written(
    log: Path, tmp_path: Path, name: str, damage: str
) -> None:
    body = (log / name).read_bytes()
    (log / name).unlink()
    if damage != "missing":
        (log / name).write_bytes(body[: len(body) // 2] if damage == "truncated" else b"")
    with pytest.raises(SourceError, match="is missing" if damage == "missing" else "not a whole Feather file"):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "message"),
    [
        (POSES, 2, "tx_m", np.nan, "the row of 315966265259836001 is not a pose: holds a value that is not finite"),
        (POSES, 2, "qw", np.inf, "not finite"),
        (POSES, 2, "qw", 7.0, "no unit quaternion"),
        (POSES, 2, "ty_m", 1e300, "a coordinate of 1e\\+300 m is beyond 1e\\+08 m; are its units metres"),
        (POSES, 2, "timestamp_ns", -1, "row 2: timestamp_ns: -1 ns is not within"),
        (POSES, 2, "timestamp_ns", 2**62, "row 2: timestamp_ns: 4611686018427387904 ns is not within"),
        (MOUNTINGS, 1, "qw", 0.0, "the row of ring_side_left is not a pose"),
        (MOUNTINGS, 1, "sensor_name", "up_lidar", "has a sensor twice"),
        (LENSES, 0, "fx_px", np.nan, "ring_front_center is not a pinhole camera"),
        (LENSES, 0, "fx_px", -1.0, "is not a pinhole camera"),
        (LENSES, 0, "cx_px", 1e9, "is not a pinhole camera"),
        (LENSES, 0, "k3", np.inf, "is not a pinhole camera"),
        (LENSES, 0, "width_px", 0, "is not a pinhole camera"),
    ],
)
def test_values_that_cannot_be_are_named(
    log: Path, tmp_path: Path, name: str, row: int, column: str, value: object, message: str
) -> None:
    changed(log / name, {column: {row: value}})
    with pytest.raises(SourceError, match=message):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")
    assert not (tmp_path / "out").exists()


def changed(path: Path, changes: dict[str, dict[int, object]]) -> None:
    columns = {key: list(cells) for key, cells in feather.read_table(path).to_pydict().items()}
    for column, cells in changes.items():
        for row, value in cells.items():
            columns[column][row] = value
    made.write_table(path, dict(columns))


def test_every_faulty_row_of_all_tables_is_named(log: Path, tmp_path: Path) -> None:
    changed(log / MOUNTINGS, {"qw": {1: 0.0}})
    changed(log / LENSES, {"fx_px": {0: -1.0, 2: np.nan}})
    changed(log / POSES, {"timestamp_ns": {0: -5, 3: 9 * 10**18}, "qw": {1: 7.0, 4: np.nan}})
    with pytest.raises(SourceError) as caught:
        import_drive(log, tmp_path / "out", "car-1", "drive-1")
    places = [(Path(line.partition(": ")[0]).name, line.split(": ")[1]) for line in str(caught.value).splitlines()]
    assert places == [
        (Path(MOUNTINGS).name, "the row of ring_side_left is not a pose"),
        (Path(LENSES).name, "the row of ring_front_center is not a pinhole camera"),
        (Path(LENSES).name, "the row of stereo_front_left is not a pinhole camera"),
        *((POSES, f"row {number}") for number in (0, 3, 1, 4)),
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stamp_ns", [0, made.S0_NS + 3_600 * 10**9, 2 * 10**18])
def test_one_wild_stamp_is_neither_the_rate_of_poses_nor_the_time_base(log: Path, tmp_path: Path, stamp_ns: int) -> None:
    poses = {name: np.repeat(column, 5) for name, column in made.poses().items()}
    poses["timestamp_ns"] = made.S0_NS + np.arange(30) * 10_000_000
    poses["timestamp_ns"][13] = stamp_ns
    made.write_table(log / POSES, dict(poses))
    shutil.copy(log / FIRST_SWEEP, log / "sensors" / "lidar" / f"{stamp_ns}.feather")
    import_drive(log, tmp_path / "out", "car-1", "drive-1")
    rig = Rig.from_dict(json.loads((tmp_path / "out" / "calibration.json").read_bytes()))
    assert rig["pose"].rate_hz == pytest.approx(100.0, rel=0.05) and rig.time_base is TimeBase.OTHER


def test_files_without_a_stamp_are_lost_by_their_sensor(log: Path, tmp_path: Path) -> None:
    cameras = log / "sensors" / "cameras"
    (cameras / made.UNSEEN).mkdir()
    for name in ("ring_front_center", made.UNSEEN):
        (cameras / name / "315966265259836000.png").write_bytes(b"x")
    (log / "sensors" / "lidar" / "first.feather").write_bytes(b"x")
    result = import_drive(log, tmp_path / "out", "car-1", "drive-1")
    assert result.folder.manifest is not None
    lost = [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses]
    assert lost == [("lidar", 1), ("ring_front_center", 1), (None, 1), (None, None)], "a camera without images is in no rig"


def test_a_drive_without_poses_or_sweeps_is_refused(log: Path, tmp_path: Path) -> None:
    made.write_table(log / POSES, {name: column[:0] for name, column in made.poses().items()})
    with pytest.raises(SourceError, match="has no rows, so no frame would have a pose"):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")
    made.write_table(log / POSES, dict(made.poses()))
    shutil.rmtree(log / "sensors")
    with pytest.raises(SourceError, match=r"holds no sweep such as .*; name the folder of one log"):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")


@pytest.mark.parametrize("cut", [0, 8, 500, -1])
def test_a_truncated_sweep_is_refused(log: Path, tmp_path: Path, cut: int) -> None:
    body = (log / FIRST_SWEEP).read_bytes()
    (log / FIRST_SWEEP).write_bytes(body[:cut])
    with pytest.raises(SourceError, match=f"{made.S0_NS}.feather is not a whole Feather file"):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")


def test_sweeps_of_other_types_are_refused(log: Path, tmp_path: Path) -> None:
    columns = made.points(0)
    made.write_table(log / FIRST_SWEEP, dict(columns) | {"x": columns["x"].astype(np.float64)})
    with pytest.raises(SourceError, match="the column x is double, which float32 does not hold without loss"):
        import_drive(log, tmp_path / "out", "car-1", "drive-1")


def test_camera_folders_named_like_our_own_sensors_or_like_none_are_refused(log: Path, tmp_path: Path) -> None:
    cameras = log / "sensors" / "cameras"
    for name in ("lidar", "pose", "Ring Front"):
        (cameras / "ring_front_center").rename(cameras / name)
        with pytest.raises(SourceError, match="not a valid sensor name"):
            import_drive(log, tmp_path / "out", "car-1", "drive-1")
        (cameras / name).rename(cameras / "ring_front_center")


def test_an_occupied_folder_is_left_alone(log: Path, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="not an empty folder"):
        import_drive(log, tmp_path, "car-1", "drive-1")
