"""Imported drives hold the source's data: exact stamps, unchanged payloads, points where they were measured."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet.errors import FleetError, SourceError
from fleet.importers.registry import IMPORTERS
from fleet.importers.source import ImportResult, exact_ns, median_ns
from lake.errors import LandingError
from sensors.decode.messages import decode, decode_image, decode_points, decode_pose
from sensors.rig import Modality, Rig, Stamp
from tests.unit.fleet.importers import public_datasets as made
from tests.unit.fleet.landed_drives import messages


@pytest.fixture
def pandaset(tmp_path: Path) -> Path:
    return made.write_pandaset(tmp_path / "002")


@pytest.fixture
def radiate(tmp_path: Path) -> Path:
    return made.write_radiate(tmp_path / "tiny_foggy")


def losses(result: ImportResult) -> list[tuple[str | None, int | None]]:
    """What the manifest says that the source has lost."""
    assert result.folder.manifest is not None
    return [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses]


def imported(form: str, src: Path, out: Path) -> tuple[ImportResult, Rig]:
    result = IMPORTERS[form](src, out, "car-1", "drive-1")
    return result, Rig.from_dict(json.loads((out / "calibration.json").read_bytes()))


def test_pandaset_stamps_delays_and_counts(pandaset: Path, tmp_path: Path) -> None:
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    stamps = [decode_points(message.data).stamp_ns for message in messages(result.folder, "lidar")]
    assert stamps == [made.stamp_ns(frame) for frame in range(made.FRAMES)]
    assert rig.reference == "lidar" and rig["lidar"].sync.stamp is Stamp.END
    assert rig["camera_front"].sync.expected_delay_ns == -49_860_000
    assert rig["camera_back"].sync.expected_delay_ns == -99_920_000
    assert {name: len(messages(result.folder, name)) for name in ("camera_front", "camera_back", "pose", "gnss")} == {
        "camera_front": 5, "camera_back": 5, "pose": 5, "gnss": 5,
    }  # fmt: skip


def test_pandaset_point_times_are_signed_and_both_lidars_stay(pandaset: Path, tmp_path: Path) -> None:
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    for frame, message in enumerate(messages(result.folder, "lidar")):
        cloud = decode_points(message.data)
        _, times, ids = made.world_points(frame)
        offsets = cloud.time_offset_ns()
        assert offsets is not None
        np.testing.assert_array_equal(offsets, times - made.stamp_ns(frame))
        assert offsets.min() == -101_400_000 and offsets.max() == 38_000_000
        np.testing.assert_array_equal(cloud.column("lidar_id"), ids)
        np.testing.assert_array_equal(cloud.column("intensity"), np.arange(60))


def test_all_points_of_a_pandaset_sweep_are_in_the_ego_frame_at_its_stamp(pandaset: Path, tmp_path: Path) -> None:
    """Also those before the first pose and after the last: a cloud has one meaning, and the rig declares it."""
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    assert rig["lidar"].sync.compensated
    for frame, message in enumerate(messages(result.folder, "lidar")):
        seen_m = decode_points(message.data).xyz_m()
        expected_m = made.ego_pose(made.stamp_ns(frame)).inverse().apply(made.world_points(frame)[0])
        np.testing.assert_allclose(seen_m, expected_m, atol=2e-4)


def test_pandaset_mounting_is_taken_at_the_cameras_own_time(pandaset: Path, tmp_path: Path) -> None:
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    for name in ("front", "back"):
        mounting, expected = rig[f"camera_{name}"].ego_SE3_sensor, made.CAMERA_IN_EGO[f"{name}_camera"]
        assert mounting is not None
        # At 12 m/s the pose of the frame with the same number would be 0.6 or 1.2 m off.
        np.testing.assert_allclose(mounting.translation_m, expected.translation_m, atol=1e-3)
        np.testing.assert_allclose(mounting.rotation, expected.rotation, atol=1e-6)
    lens = rig["camera_front"].intrinsics
    assert lens is not None
    assert (lens.width_px, lens.height_px, lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px) == (64, 48, 100.5, 100.25, 32.0, 24.0)
    assert any("0.0 mm" in finding or "0.1 mm" in finding for finding in result.findings if finding.startswith("camera_front"))


def test_pandaset_images_are_unchanged_bytes(pandaset: Path, tmp_path: Path) -> None:
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    for frame, message in enumerate(messages(result.folder, "camera_back")):
        image = decode_image(message.data)
        assert bytes(image.data) == (pandaset / "camera" / "back_camera" / f"{frame:02d}.jpg").read_bytes()
        assert image.stamp_ns == made.stamp_ns(frame) - 99_920_000 and image.encoding == "jpeg"


@pytest.mark.parametrize("name", ["00.pkl.gz", "00.pkl"])
def test_published_pandaset_pickles_are_refused_unopened(pandaset: Path, tmp_path: Path, name: str) -> None:
    class Trap:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "owned",))

    (pandaset / "lidar" / name).write_bytes(gzip.compress(pickle.dumps(Trap())))
    with pytest.raises(SourceError) as caught:
        IMPORTERS["pandaset"](pandaset, tmp_path / "out", "car-1", "drive-1")
    message = str(caught.value)
    assert (
        f"lidar/{name}" in message
        and "runs code" in message
        and "never opened" in message
        and "to Parquet with the columns" in message
    )
    assert not (tmp_path / "owned").exists() and not (tmp_path / "out").exists()


def test_pandaset_says_what_it_left_out(pandaset: Path, tmp_path: Path) -> None:
    (pandaset / "annotations").mkdir()
    (pandaset / "lidar_original").mkdir()
    (pandaset / "lidar_original" / "00.pkl.gz").write_bytes(b"x")
    (pandaset / "lidar" / "03.parquet").unlink()
    (pandaset / "lidar" / "77.parquet").write_bytes(b"x")
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert "1 of 5 stamps have no frame and are left out: 03" in findings
    assert "1 files have no stamp and are left out: 77" in findings
    assert "annotations: not imported" in findings
    assert "lidar_original: 1 pickle(s), not opened" in findings
    assert len(messages(result.folder, "lidar")) == 4
    assert losses(result) == [("lidar", 1), ("lidar", 1)]


def test_pandaset_images_that_are_missing_are_reported_and_the_others_keep_their_stamps(pandaset: Path, tmp_path: Path) -> None:
    (pandaset / "camera" / "front_camera" / "00.jpg").unlink()
    (pandaset / "camera" / "front_camera" / "09.jpg").write_bytes(b"x")
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    assert "camera_front: 1 of 5 stamps have no image and are left out: 00" in result.findings
    assert "camera_front: 1 images have no stamp and are left out: 09" in result.findings
    assert losses(result) == [("camera_front", 1), ("camera_front", 1)]
    stamps = [decode_image(message.data).stamp_ns for message in messages(result.folder, "camera_front")]
    assert stamps == [made.stamp_ns(frame) - 49_860_000 for frame in range(1, 5)]
    assert rig["camera_front"].sync.expected_delay_ns == -49_860_000


def test_pandaset_says_where_nearest_alone_would_pair_wrongly(pandaset: Path, tmp_path: Path) -> None:
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert "camera_back: the nearest stamp alone would give 4 of 5 sweeps another one's image" in findings
    assert "camera_front: the nearest stamp alone" not in findings
    assert rig["lidar"].sync.compensated and "(declared as compensated)" in findings


def test_a_pandaset_camera_on_another_clock_has_no_delay(pandaset: Path, tmp_path: Path) -> None:
    path = pandaset / "camera" / "back_camera" / "timestamps.json"
    stamps = json.loads(path.read_text(), parse_float=Decimal)
    path.write_text("[" + ", ".join(str(stamp + 3600) for stamp in stamps) + "]")
    result, rig = imported("pandaset", pandaset, tmp_path / "out")
    assert rig["camera_back"].sync.expected_delay_ns == 0 and rig["camera_front"].sync.expected_delay_ns == -49_860_000
    assert any("camera_back: +3599900.08 ms from the lidar stamp (median; more than 10 s" in word for word in result.findings)


def test_pandaset_clocks_are_looked_at(pandaset: Path, tmp_path: Path) -> None:
    path = pandaset / "camera" / "back_camera" / "timestamps.json"
    stamps = json.loads(path.read_text(), parse_float=Decimal)
    path.write_text(f"[{stamps[0]}, {stamps[2]}, {stamps[1]}, {stamps[1]}, {stamps[4]}]")
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    assert "camera_back: 1 of 5 frames repeat the stamp of another; kept" in result.findings
    assert "camera_back: the clock steps back by 100.0 ms at row 3; kept" in result.findings


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("lidar/poses.json", "[1, 2", "poses.json is not JSON"),
        ("lidar/poses.json", "[]", "5 stamps and 0 poses"),
        ("lidar/timestamps.json", "[2.5, 1.5, 3.5, 4.5, 5.5]", "does not ascend"),
        ("lidar/timestamps.json", '["soon"]', "'soon' is not a time"),
        ("lidar/timestamps.json", "[1e999999999]", "is not a time between 1970 and 2096"),
        ("lidar/timestamps.json", "[NaN]", "nan is not a time"),
        ("lidar/00.parquet", "hello", "00.parquet is not a Parquet file"),
        ("camera/front_camera/timestamps.json", "[1.5]", "5 images, 1 stamps and 5 poses"),
        ("camera/front_camera/00.jpg", "hello", "cannot be used"),
        ("camera/front_camera/intrinsics.json", '{"fx": 1}', "cannot be used"),
        ("camera/front_camera/poses.json", '[{"position": 1}]', "entry 0 is not a pose"),
        ("meta/timestamps.json", "[]", "5 positions and 0 stamps"),
        ("camera/front_camera/intrinsics.json", '{"fx": "100", "fy": 1, "cx": 1, "cy": 1}', "fx: '100' is not a number"),
    ],
)
def test_damaged_pandaset_folders_are_explained(pandaset: Path, tmp_path: Path, file: str, content: str, message: str) -> None:
    (pandaset / file).write_text(content)
    with pytest.raises(SourceError, match=message):
        IMPORTERS["pandaset"](pandaset, tmp_path / "out", "car-1", "drive-1")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for form in IMPORTERS:
        with pytest.raises(SourceError, match=r"is missing|holds neither|holds no|lacks"):
            IMPORTERS[form](tmp_path / "src", tmp_path / "out", "car-1", "drive-1")
        assert not (tmp_path / "out").exists()


def test_ids_and_occupied_folders_are_checked_first(pandaset: Path, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="vehicle id"):
        IMPORTERS["pandaset"](pandaset, tmp_path / "out", "Car 1", "drive-1")
    with pytest.raises(FleetError, match="not an empty folder"):
        IMPORTERS["pandaset"](pandaset, tmp_path, "car-1", "drive-1")


def test_radiate_keeps_stamps_payloads_and_oddities(radiate: Path, tmp_path: Path) -> None:
    result, rig = imported("radiate", radiate, tmp_path / "out")
    radar = [decode_image(message.data) for message in messages(result.folder, "radar")]
    assert [image.stamp_ns for image in radar] == [made.R0_NS + n * 243_700_000 for n in range(3)]
    assert bytes(radar[1].data) == (radiate / "Navtech_Polar" / "000002.png").read_bytes()
    assert radar[0].encoding == "png" and rig["radar"].modality is Modality.RADAR
    lidar = [decode_points(message.data) for message in messages(result.folder, "lidar")]
    assert [cloud.stamp_ns for cloud in lidar] == [made.R0_NS + n * 100_080_000 for n in (0, 1, 2, 4)]
    assert lidar[1].xyz_m().tolist() == [[1.5, 1.25, -0.5], [-2.0, 3.0, 0.125]]
    assert lidar[1].column("intensity").tolist() == [1, 255] and lidar[1].column("ring").tolist() == [17, 31]
    assert lidar[0].time_offset_ns() is None
    gnss = [message.data for message in messages(result.folder, "gnss")]
    late = made.R0_NS + 64_000_000_000
    assert [decode("sensor_msgs/msg/NavSatFix", data).stamp_ns for data in gnss] == [
        late, late, late + 50_000_000, late - 310_000_000,
    ]  # fmt: skip


def test_radiate_poses_are_metres_from_the_first_fix_with_the_sources_quaternion(radiate: Path, tmp_path: Path) -> None:
    result, _ = imported("radiate", radiate, tmp_path / "out")
    poses = [decode_pose(message.data).odom_SE3_ego for message in messages(result.folder, "pose")]
    np.testing.assert_allclose(poses[0].translation_m, np.zeros(3), atol=1e-9)
    # The series for a degree of latitude (Snyder, "Map Projections", 1987, p. 25), not the radii that the importer uses.
    latitude = np.radians(55.89)
    degree_m = 111_132.954 - 559.822 * np.cos(2 * latitude) + 1.175 * np.cos(4 * latitude)
    np.testing.assert_allclose(poses[1].translation_m, [0.0, degree_m / 1000, 0.0], atol=1e-3)
    np.testing.assert_allclose(poses[2].wxyz, [0.8, 0.0, 0.0, -0.6], atol=1e-12)


def test_radiate_reports_what_is_odd(radiate: Path, tmp_path: Path) -> None:
    result, _ = imported("radiate", radiate, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert losses(result) == [("lidar", 1), ("lidar", 1)]
    assert "velo_lidar: 1 files have no index row, so no stamp, and are left out: 000017" in findings
    assert "velo_lidar: 1 index rows have no file and are left out: 000021" in findings
    assert "velo_lidar: 200.2 ms pass before row 4, usually 100.1 ms" in findings
    assert "GPS_IMU_Twist: 1 of 4 frames repeat the stamp of another; kept" in findings
    assert "GPS_IMU_Twist: the clock steps back by 360.0 ms at row 4; kept" in findings
    assert "GPS_IMU_Twist: begins 63.5 s after the last frame of any other sensor: no frame has a pose" in findings


def test_radiate_says_who_begins_late_and_which_rates_were_measured(radiate: Path, tmp_path: Path) -> None:
    late = [made.index_row(n + 1, made.R0_NS + 683_100_000 + n * 66_750_000) for n in range(6)]
    (radiate / "zed_left.txt").write_text("\n".join(late) + "\n")
    result, rig = imported("radiate", radiate, tmp_path / "out")
    findings = "\n".join(result.findings)
    assert "zed_left: begins 683.1 ms after the first frame of all (Navtech_Polar)" in findings
    assert "zed_right: begins" not in findings and "velo_lidar: begins" not in findings
    assert (
        "Navtech_Polar: declared 4 Hz, measured 4.10 Hz" in findings
        and "zed_right: declared 15 Hz, measured 14.98 Hz" in findings
    )
    assert "GPS_IMU_Twist: 0 of" not in findings
    assert "(declared as not compensated)" in findings and not rig["lidar"].sync.compensated


def test_radiate_rig_follows_the_datasets_projection(radiate: Path, tmp_path: Path) -> None:
    _, rig = imported("radiate", radiate, tmp_path / "out")
    camera, lidar = rig["camera_left"], rig["lidar"]
    assert camera.ego_SE3_sensor is not None and lidar.ego_SE3_sensor is not None and camera.intrinsics is not None
    np.testing.assert_allclose(camera.ego_SE3_sensor.translation_m, [0.34, -0.07, 0.29])
    # x right, y forward, z up: the lens looks forward, tilted about its own x axis by the 10 degrees of R
    tilt = np.radians(10.0)
    np.testing.assert_allclose(camera.ego_SE3_sensor.rotation[:, 0], [1.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(np.abs(camera.ego_SE3_sensor.rotation[:, 2]), [0.0, np.cos(tilt), np.sin(tilt)], atol=1e-9)
    assert camera.ego_SE3_sensor.rotation[1, 2] > 0
    np.testing.assert_allclose(lidar.ego_SE3_sensor.apply(np.array([[0.0, 1.0, 0.0]])), [[1.6, -0.12, 0.25]], atol=1e-9)
    assert camera.intrinsics.distortion == (-0.18, 0.03, 0.001, 0.002, 0.0)
    assert rig.reference == "lidar" and rig.policy.publish_incomplete and not rig["radar"].sync.required


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("velo_lidar.txt", "Frame: 1 Time: 1574859771,7\n", "velo_lidar.txt, line 1"),
        ("velo_lidar.txt", "Frame: 000099 Time: 1574859771.7\n", "holds no frame that velo_lidar.txt names"),
        ("velo_lidar/000018.csv", "1,2,3\n", "3 columns instead of"),
        ("velo_lidar/000018.csv", "1,2,3,4,x\n", "is not a table of numbers"),
        ("velo_lidar/000018.csv", "1,2,3,400,1\n", "whole numbers from 0 to 255"),
        ("velo_lidar/000018.csv", "1,2,3,nan,1\n", "whole numbers from 0 to 255"),
        ("default-calib.yaml", made.CALIBRATION.replace("fx: 337.9", "fx: -1"), "fx, fy, cx, cy of -1, .* do not fit 64x48 px"),
        ("default-calib.yaml", "lidar_calib: [", "not a RADIATE calibration"),
        ("default-calib.yaml", "!!python/object/apply:os.system ['true']", "not a RADIATE calibration"),
        ("GPS_IMU_Twist/000001.txt", "55.8,-3.3\n", "holds '55.8,-3.3' instead of 3 numbers"),
        ("GPS_IMU_Twist/000001.txt", "55.8,-3.3,1\n", "line 5: is not 4 numbers"),
    ],
)
def test_damaged_radiate_folders_are_explained(radiate: Path, tmp_path: Path, file: str, content: str, message: str) -> None:
    (radiate / file).write_text(content)
    with pytest.raises(SourceError, match=message):
        IMPORTERS["radiate"](radiate, tmp_path / "out", "car-1", "drive-1")


def test_seconds_as_text_keep_every_digit() -> None:
    assert exact_ns(Decimal("1574859771.700975001")) == 1_574_859_771_700_975_001
    assert exact_ns(Decimal("1557539956.50018")) == 1_557_539_956_500_180_000
    assert exact_ns(1557539956) == 1_557_539_956_000_000_000


def test_microseconds_keep_their_fraction() -> None:
    assert exact_ns(1_532_402_927_647_951, 3) == 1_532_402_927_647_951_000
    assert exact_ns(Decimal("1556675185903083.2"), 3) == 1_556_675_185_903_083_200
    assert exact_ns(Decimal("1.0009"), 3) == 1_000
    assert exact_ns(Decimal("1." + "9" * 40)) == 1_999_999_999


@pytest.mark.parametrize("time", [True, None, "1.5", 1.5, Decimal("NaN"), Decimal("-1"), Decimal("1e30"), 10**12, [1]])
def test_what_is_not_a_time_is_refused(time: object) -> None:
    with pytest.raises(SourceError, match="time"):
        exact_ns(time)


def test_the_median_of_integers_is_an_integer() -> None:
    assert median_ns([3, 1, 2]) == 2
    assert median_ns([4, 1, 2, 3]) == 2
    assert median_ns([-5, -2]) == -4


def test_times_that_are_none_are_all_named_with_file_and_entry(pandaset: Path, tmp_path: Path) -> None:
    path = pandaset / "camera" / "front_camera" / "timestamps.json"
    path.write_text('[1557539956500.1, "soon", 1557539956.7, null, 1557539956.9]')
    with pytest.raises(SourceError) as caught:
        imported("pandaset", pandaset, tmp_path / "out")
    assert str(caught.value).splitlines() == [
        f"{path}: entry 0: 1557539956500.1 seconds is not a time between 1970 and 2096; it would be if it counted milliseconds",
        f"{path}: entry 1: 'soon' is not a time: a number was expected",
        f"{path}: entry 3: None is not a time: a number was expected",
    ]


def test_frames_numbered_otherwise_are_named_with_both_ranges(pandaset: Path, tmp_path: Path) -> None:
    for path in sorted((pandaset / "lidar").glob("*.parquet")):
        path.rename(path.with_name(f"{int(path.stem) + 50}.parquet"))
    with pytest.raises(SourceError, match=r"has stamps 00 to 04, the 5 files are 50 to 54, so none has a stamp"):
        imported("pandaset", pandaset, tmp_path / "out")
    for path in sorted((pandaset / "lidar").glob("*.parquet")):
        path.rename(path.with_name(f"{int(path.stem) - 50:02d}.parquet"))
    for path in sorted((pandaset / "camera" / "back_camera").glob("*.jpg")):
        path.rename(path.with_name(f"{int(path.stem) + 50}.jpg"))
    with pytest.raises(SourceError, match=r"back_camera: timestamps.json has stamps 00 to 04, the 5 files are 50 to 54"):
        imported("pandaset", pandaset, tmp_path / "out")


def test_sweeps_that_are_not_there_do_not_count_as_wrongly_paired(pandaset: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (pandaset / "lidar" / f"{number:02d}.parquet").unlink()
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    assert "camera_back: the nearest stamp alone would give 2 of 3 sweeps another one's image" in "\n".join(result.findings)


def test_a_stamp_out_of_order_does_not_count_as_all_images_behind_it_wrongly_paired(pandaset: Path, tmp_path: Path) -> None:
    path = pandaset / "camera" / "front_camera" / "timestamps.json"
    stamps = json.loads(path.read_text(), parse_float=Decimal)
    stamps[1] += 3600
    path.write_text("[" + ", ".join(map(str, stamps)) + "]")
    result, _ = imported("pandaset", pandaset, tmp_path / "out")
    assert "camera_front: the nearest stamp alone would give 1 of 5 sweeps another one's image" in "\n".join(result.findings)


@pytest.mark.parametrize("existed", [False, True])
def test_an_import_that_fails_leaves_nothing(pandaset: Path, tmp_path: Path, existed: bool) -> None:
    (pandaset / "lidar" / "04.parquet").write_text("the first four are written before this one is opened")
    out = tmp_path / "a" / "b"
    if existed:
        out.mkdir(parents=True)
    with pytest.raises(SourceError, match="is not a Parquet file"):
        imported("pandaset", pandaset, out)
    assert out.exists() == (tmp_path / "a").exists() == existed
    assert not existed or list(out.iterdir()) == []


def test_an_import_that_is_interrupted_leaves_nothing(pandaset: Path, tmp_path: Path) -> None:
    def interrupted(step: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        IMPORTERS["pandaset"](pandaset, tmp_path / "a" / "b", "car-1", "drive-1", progress=interrupted)
    assert not (tmp_path / "a").exists()


def test_an_import_into_a_folder_with_something_in_it_leaves_that_alone(pandaset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("precious")
    with pytest.raises(FleetError, match="not an empty folder"):
        imported("pandaset", pandaset, out)
    assert (out / "mine").read_text() == "precious"


def refused(form: str, src: Path, out: Path) -> list[str]:
    with pytest.raises(SourceError) as caught:
        imported(form, src, out)
    assert not out.exists()
    return str(caught.value).splitlines()


def test_every_faulty_row_of_a_pandaset_sequence_is_named_with_file_and_field(pandaset: Path, tmp_path: Path) -> None:
    gps, poses = pandaset / "meta" / "gps.json", pandaset / "lidar" / "poses.json"
    times, seen = pandaset / "lidar" / "timestamps.json", pandaset / "camera" / "back_camera" / "poses.json"
    rows = json.loads(gps.read_text())
    del rows[0]["lat"]
    rows[1]["long"], rows[2]["height"], rows[3], rows[4]["lat"] = None, float("nan"), "x", 91
    gps.write_text(json.dumps(rows))
    for path in (poses, seen):
        entries = json.loads(path.read_text())
        entries[1]["position"]["x"], entries[3]["heading"] = "a", dict.fromkeys("wxyz", 0)
        path.write_text(json.dumps(entries))
    stamps = json.loads(times.read_text(), parse_float=Decimal)
    times.write_text(f"[{stamps[0]}, {stamps[2]}, {stamps[1]}, {stamps[3]}, {stamps[3]}]")
    lines = refused("pandaset", pandaset, tmp_path / "out")
    assert [line.partition(": ")[0] for line in lines] == [
        str(path) for path in [times] * 2 + [poses] * 2 + [seen] * 2 + [gps] * 5
    ]
    later = "is not later than the entry before, {} ns: it does not ascend, so poses between its stamps are not defined"
    assert lines[0] == f"{times}: entry 2: {made.stamp_ns(1)} ns {later.format(made.stamp_ns(2))}"
    assert lines[1] == f"{times}: entry 4: {made.stamp_ns(3)} ns {later.format(made.stamp_ns(3))}"
    assert lines[2] == f"{poses}: entry 1 is not a pose: position.x: 'a' is not a number"
    assert lines[3].startswith(f"{poses}: entry 3 is not a pose: rotation is no unit quaternion")
    assert lines[6:] == [
        f"{gps}: entry 0: lat is missing",
        f"{gps}: entry 1: long: None is not a number",
        f"{gps}: entry 2: height: nan is not finite",
        f"{gps}: entry 3: lat is missing",
        f"{gps}: entry 4: the latitude 91 is beyond 90 degrees",
    ]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("x", ["a"] * 60, "the column x is string"),
        ("t_ns", [None] * 60, "the column t_ns is null"),
        ("t_ns", [-(2**63)] * 60, "more than 2.1 s away"),
        ("intensity", [0.5] * 60, "the column intensity is double"),
    ],
)
def test_pandaset_columns_of_another_kind_are_refused(
    pandaset: Path, tmp_path: Path, column: str, values: list[object], message: str
) -> None:
    path = pandaset / "lidar" / "02.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(values)), path)
    (line,) = refused("pandaset", pandaset, tmp_path / "out")
    assert "02.parquet" in line and message in line


HOSTILE = (None, True, -1, 10**400, float("nan"), "x", [], {}, [1], {"x": 1})


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON document with each of its keys, the containers' own included."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [pair for key in keys for pair in [(value, key), *leaves(value[key])]]


@pytest.mark.parametrize(
    "file",
    [
        "lidar/timestamps.json", "lidar/poses.json", "camera/front_camera/poses.json", "camera/front_camera/intrinsics.json",
        "meta/gps.json", "meta/timestamps.json",
    ],
)  # fmt: skip
def test_any_value_of_a_pandaset_document_is_imported_or_explained(pandaset: Path, tmp_path: Path, file: str) -> None:
    document = json.loads((pandaset / file).read_text())
    cut = document[:5] if isinstance(document, list) else document
    places = leaves(cut)[: 12 if isinstance(document, list) else None]
    for container, key in places:
        whole = container[key]
        for number, value in enumerate(HOSTILE):
            container[key] = value
            (pandaset / file).write_text(json.dumps(cut))
            try:
                imported("pandaset", pandaset, tmp_path / f"out-{number}")
            except SourceError as error:
                assert file.rpartition("/")[0] in str(error)
            else:
                shutil.rmtree(tmp_path / f"out-{number}")
        container[key] = whole


def test_every_faulty_row_of_a_radiate_sequence_is_named_with_file_and_line(radiate: Path, tmp_path: Path) -> None:
    radar, lidar, motion = radiate / "Navtech_Polar.txt", radiate / "velo_lidar.txt", radiate / "GPS_IMU_Twist"
    radar.write_text("Frame: 000001 Time: abc\n\nFrame: 000002 Time: 1574859771.7\ngarbage\n")
    lidar.write_text(lidar.read_text() + "Frame: 000023 Time: 9999999999.5\n")
    for number, line, content in ((1, 4, "0,0,0,0"), (2, 0, "nan,1,2"), (3, 0, "95.0,1,2"), (4, 5, "1,2"), (4, 6, "a,b,c")):
        path = motion / f"{number:06d}.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:line], content, *lines[line + 1 :]]))
    lines = refused("radiate", radiate, tmp_path / "out")
    assert lines[:3] == [
        f"{radar}, line 1: 'Frame: 000001 Time: abc' is not 'Frame: NNNNNN Time: SECONDS.FRACTION'",
        f"{radar}, line 4: 'garbage' is not 'Frame: NNNNNN Time: SECONDS.FRACTION'",
        f"{lidar}, line 6: Time: 9999999999 s is not a time between 1970 and 2096",
    ]
    assert lines[3].startswith(f"{motion / '000001.txt'}, line 5: rotation is no unit quaternion")
    assert lines[4:7] == [
        f"{motion / '000002.txt'}, line 1: holds 'nan,1,2' instead of 3 numbers",
        f"{motion / '000003.txt'}, line 1: the latitude 95 is beyond 90 degrees",
        f"{motion / '000004.txt'}, line 6: holds '1,2' instead of 3 numbers",
    ]
    assert lines[7].startswith(f"{motion / '000004.txt'}, line 7: is not 3 numbers") and len(lines) == 8


def test_every_line_that_is_no_point_is_named_in_all_sweeps(radiate: Path, tmp_path: Path) -> None:
    first, second = (radiate / "velo_lidar" / f"{number:06d}.csv" for number in (18, 19))
    first.write_text("1,2,3,4,5\n\n1,2,x,4,5\n1,2,3\n")
    second.write_text("1,2,3,400,5\nnan,2,3,4,5\n1e39,2,3,4,5\n1,2,3,4,5.5\n")
    assert refused("radiate", radiate, tmp_path / "out") == [
        f"{first}, line 3: is not a table of numbers: could not convert string to float: 'x'",
        f"{first}, line 4: 3 columns instead of x, y, z, intensity, ring",
        f"{second}, line 1: intensity and ring must be whole numbers from 0 to 255",
        f"{second}, line 3: a coordinate is beyond float32, which the points are stored as",
        f"{second}, line 4: intensity and ring must be whole numbers from 0 to 255",
    ]


def test_radiate_motion_files_without_an_index_are_lost(radiate: Path, tmp_path: Path) -> None:
    (radiate / "GPS_IMU_Twist.txt").unlink()
    result, _ = imported("radiate", radiate, tmp_path / "out")
    assert losses(result)[-1] == (None, 4)
    assert "GPS_IMU_Twist: not in the source, so there is no pose; 4 files have no index" in result.findings
