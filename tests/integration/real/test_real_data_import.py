"""The importers on real recordings, which are not part of the repository: numbers as measured on the source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleet.drive_folder import DriveFolder
from fleet.errors import SourceError
from fleet.importers.registry import IMPORTERS
from fleet.importers.source import ImportResult
from sensors.clocks.clock import clock_report
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.images import inspect_image
from sensors.decode.messages import decode_image, decode_points, decode_pose, peek_stamp_ns
from sensors.geometry import SE3
from sensors.match.nearest import match_nearest
from sensors.motion.deskew import compensate
from sensors.rig import Rig, Stamp
from tests.real_data import DATA

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs real recordings: SCENELAKE_TEST_DATA names their folder; not part of the repository"
)


def imported(name: str, source: str, tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    folder = DATA / source
    if not folder.is_dir():
        pytest.skip(f"{source} is not among the real recordings")
    return IMPORTERS[name](folder, tmp_path_factory.mktemp(name) / "drive", "car-1", name)


@pytest.fixture(scope="module")
def pandaset(tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    return imported("pandaset", "pandaset_002", tmp_path_factory)


@pytest.fixture(scope="module")
def radiate(tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    return imported("radiate", "radiate_tiny_foggy", tmp_path_factory)


def messages(folder: DriveFolder, sensor: str) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    for path in sorted(folder.path.glob(f"*/{sensor}/*.mcap")):
        with path.open("rb") as stream:
            for item in scan(stream):
                assert isinstance(item, StoredMessage), item
                found.append(item)
    return found


def stamps(folder: DriveFolder, sensor: str) -> list[int]:
    return [peek_stamp_ns(message.data) for message in messages(folder, sensor)]


def rig_of(folder: DriveFolder) -> Rig:
    return Rig.from_dict(json.loads((folder.path / "calibration.json").read_bytes()))


def test_pandaset_counts(pandaset: ImportResult) -> None:
    assert pandaset.folder.manifest is not None
    counts = {entry.sensor: entry.frame_count for entry in pandaset.folder.manifest.objects}
    assert len(counts) == 9 and set(counts.values()) == {10}


def test_pandaset_delays_are_the_measured_ones(pandaset: ImportResult) -> None:
    rig = rig_of(pandaset.folder)
    measured_ms = {
        "camera_front": -49.86,
        "camera_front_left": -60.66,
        "camera_front_right": -39.07,
        "camera_left": -81.23,
        "camera_right": -18.56,
        "camera_back": -99.92,
    }
    for name, delay_ms in measured_ms.items():
        assert rig[name].sync.expected_delay_ns / 1e6 == pytest.approx(delay_ms, abs=0.01)
        offsets = np.array(stamps(pandaset.folder, name)) - np.array(stamps(pandaset.folder, "lidar"))
        assert np.abs(offsets / 1e6 - delay_ms).max() < 0.1


def test_pandaset_matches_image_i_with_sweep_i_for_every_camera(pandaset: ImportResult) -> None:
    rig, anchors = rig_of(pandaset.folder), np.array(stamps(pandaset.folder, "lidar"))
    for sensor in rig.sensors:
        if sensor.name.startswith("camera_"):
            terms = sensor.sync
            found = match_nearest(anchors, stamps(pandaset.folder, sensor.name), terms.expected_delay_ns, terms.tolerance_ns)
            assert found.index.tolist() == list(range(10))
            assert np.abs(found.residual_ns).max() < 100_000


def test_pandaset_stamps_are_the_written_digits(pandaset: ImportResult) -> None:
    assert stamps(pandaset.folder, "lidar")[:3] == [1557539956500022000, 1557539956600033000, 1557539956700054000]
    assert stamps(pandaset.folder, "camera_front")[0] == 1557539956450180000
    report = clock_report(stamps(pandaset.folder, "lidar"), stamps(pandaset.folder, "lidar"), 10.0)
    assert 100.0e6 < report.period_p50_ns < 100.06e6 and report.gaps == 0


def test_pandaset_point_times_end_at_the_stamp(pandaset: ImportResult) -> None:
    clouds = [decode_points(message.data) for message in messages(pandaset.folder, "lidar")]
    assert clouds[0].num_points == 166_768
    assert all(164_700 < cloud.num_points < 166_900 for cloud in clouds)
    spans = []
    for cloud in clouds:
        offsets, ids = cloud.time_offset_ns(), cloud.column("lidar_id")
        assert offsets is not None
        spans.append([(offsets[ids == lidar].min() / 1e6, offsets[ids == lidar].max() / 1e6) for lidar in (0, 1)])
    for spinning, _ in spans:
        assert spinning == pytest.approx((-101.4, 1.5), abs=0.1)
    assert spans[0][1] == pytest.approx((-13.6, 85.0), abs=0.1)
    assert spans[1][1] == pytest.approx((-113.6, -15.0), abs=0.1)
    assert spans[9][1] == pytest.approx((-137.3, -38.8), abs=0.1)


def test_pandaset_points_return_to_the_published_world(pandaset: ImportResult) -> None:
    poses = [decode_pose(message.data) for message in messages(pandaset.folder, "pose")]
    samples = np.array([[*pose.odom_SE3_ego.translation_m, *pose.odom_SE3_ego.wxyz] for pose in poses])
    pose_stamps = [pose.stamp_ns for pose in poses]
    for frame in (0, 4, 9):
        cloud = decode_points(messages(pandaset.folder, "lidar")[frame].data)
        offsets = cloud.time_offset_ns()
        assert offsets is not None
        moved = compensate(
            cloud.xyz_m(), offsets, cloud.stamp_ns, cloud.stamp_ns, pose_stamps, samples, SE3.identity(), 150_000_000
        )
        table = pq.read_table(DATA / "pandaset_002" / "lidar" / f"{frame:02d}.parquet").to_pandas()
        world = poses[frame].odom_SE3_ego.apply(moved.xyz_m)
        np.testing.assert_allclose(world, table[["x", "y", "z"]].to_numpy(), atol=1e-3)


def test_pandaset_images_are_whole_and_unchanged(pandaset: ImportResult) -> None:
    for message in messages(pandaset.folder, "camera_back")[:2]:
        image = decode_image(message.data)
        info = inspect_image(image.data)
        assert (info.encoding, info.width_px, info.height_px) == ("jpeg", 1920, 1080)
    first = decode_image(messages(pandaset.folder, "camera_left")[0].data)
    assert bytes(first.data) == (DATA / "pandaset_002" / "camera" / "left_camera" / "00.jpg").read_bytes()


def test_pandaset_cameras_look_where_their_names_say(pandaset: ImportResult) -> None:
    rig = rig_of(pandaset.folder)
    directions = {
        "front": (0.0, 1.0),
        "front_left": (-0.85, 0.53),
        "front_right": (0.85, 0.53),
        "left": (-1.0, 0.0),
        "right": (1.0, 0.0),
        "back": (0.0, -1.0),
    }
    for name, (right, forward) in directions.items():
        mounting = rig[f"camera_{name}"].ego_SE3_sensor
        assert mounting is not None
        assert mounting.rotation[:2, 2] == pytest.approx((right, forward), abs=0.04)
        assert 1.5 < mounting.translation_m[2] < 1.85


def test_pandaset_findings_name_the_pickle_beside_it(pandaset: ImportResult) -> None:
    assert "lidar_original: 1 pickle(s), not opened" in pandaset.findings
    assert any(finding.startswith("lidar 1: point times -13.6 to +85.0 ms in the first frame") for finding in pandaset.findings)


def test_pandaset_findings_say_where_nearest_alone_would_pair_wrongly(pandaset: ImportResult) -> None:
    """Beyond half a period of delay the next image is nearer to the stamp: back, left and front_left."""
    wrong = {
        finding.split(":")[0] for finding in pandaset.findings if "the nearest stamp alone would give 9 of 10 sweeps" in finding
    }
    assert wrong == {"camera_back", "camera_left", "camera_front_left"}
    anchors = stamps(pandaset.folder, "lidar")
    assert match_nearest(anchors, stamps(pandaset.folder, "camera_back"), 0, 50_000_000).index.tolist()[:9] == list(range(1, 10))


def test_pandaset_states_what_its_points_are(pandaset: ImportResult) -> None:
    findings = "\n".join(pandaset.findings)
    assert not rig_of(pandaset.folder)["lidar"].sync.compensated and "(declared as not compensated)" in findings
    assert "in steps of 256 ns: the source has them as float seconds" in findings
    assert "127466 of 1658818 lie outside of the poses and took their frame's pose" in findings
    assert not any("repeat" in finding or "steps back" in finding or "pass before" in finding for finding in pandaset.findings)


def test_the_published_pickle_is_refused(pandaset: ImportResult, tmp_path: Path) -> None:
    source = tmp_path / "002"
    source.mkdir()
    (source / "lidar").symlink_to(DATA / "pandaset_002" / "lidar_original")
    with pytest.raises(SourceError, match=r"00\.pkl\.gz .* is a pickle: opening one runs code"):
        IMPORTERS["pandaset"](source, tmp_path / "out", "car-1", "drive-1")


def test_radiate_counts(radiate: ImportResult) -> None:
    assert radiate.folder.manifest is not None
    assert {entry.sensor: entry.frame_count for entry in radiate.folder.manifest.objects} == {
        "radar": 10,
        "lidar": 23,
        "camera_left": 23,
        "camera_right": 23,
        "gnss": 120,
        "imu": 120,
        "pose": 120,
    }


def test_radiate_periods_are_the_measured_ones(radiate: ImportResult) -> None:
    limits_ms = {"radar": (232.9, 252.1), "lidar": (100.07, 100.10)}
    for sensor, (low, high) in limits_ms.items():
        periods_ms = np.diff(stamps(radiate.folder, sensor)) / 1e6
        assert periods_ms.min() == pytest.approx(low, abs=0.1) and periods_ms.max() == pytest.approx(high, abs=0.1)
    camera_ms = np.diff(stamps(radiate.folder, "camera_left")) / 1e6
    assert camera_ms[0] == pytest.approx(133.6, abs=0.1)
    assert camera_ms[1:].min() == pytest.approx(66.7, abs=0.1) and camera_ms[1:].max() == pytest.approx(66.9, abs=0.1)


def test_radiate_starts_are_as_late_as_in_the_source(radiate: ImportResult) -> None:
    radar, camera, gnss = (stamps(radiate.folder, sensor)[0] for sensor in ("radar", "camera_left", "gnss"))
    assert (camera - radar) / 1e6 == pytest.approx(683.1, abs=0.1)
    assert (gnss - radar) / 1e9 == pytest.approx(64.0, abs=0.1)
    assert stamps(radiate.folder, "lidar")[0] == 1574859771700975000


def test_radiate_lidar_finds_image_and_radar_within_50_ms_as_measured(radiate: ImportResult) -> None:
    lidar = stamps(radiate.folder, "lidar")
    camera = match_nearest(lidar, stamps(radiate.folder, "camera_left"), 0, 50_000_000).index >= 0
    radar = match_nearest(lidar, stamps(radiate.folder, "radar"), 0, 50_000_000).index >= 0
    assert (camera.sum(), radar.sum(), (camera & radar).sum()) == (15, 10, 6)


def test_radiate_gps_clock_faults_are_kept(radiate: ImportResult) -> None:
    gnss = stamps(radiate.folder, "gnss")
    steps_ms = np.diff(gnss) / 1e6
    assert len(set(gnss)) == 60
    assert steps_ms[27] == pytest.approx(-360.2, abs=0.1)
    assert steps_ms[49] == pytest.approx(460.6, abs=0.1)


def test_radiate_payloads(radiate: ImportResult) -> None:
    radar = decode_image(messages(radiate.folder, "radar")[0].data)
    info = inspect_image(radar.data)
    assert (info.encoding, info.width_px, info.height_px) == ("png", 400, 576)
    assert inspect_image(decode_image(messages(radiate.folder, "camera_right")[0].data).data).width_px == 672
    cloud = decode_points(messages(radiate.folder, "lidar")[0].data)
    rows = (DATA / "radiate_tiny_foggy" / "velo_lidar" / "000018.csv").read_text().splitlines()
    first = np.array([float(value) for value in rows[0].split(",")])
    np.testing.assert_allclose(cloud.xyz_m()[0], first[:3], atol=1e-6)
    assert (int(cloud.column("intensity")[0]), int(cloud.column("ring")[0])) == (int(first[3]), int(first[4]))
    assert all(19_800 < decode_points(message.data).num_points < 22_000 for message in messages(radiate.folder, "lidar"))
    assert cloud.time_offset_ns() is None


def test_radiate_findings_name_every_oddity(radiate: ImportResult) -> None:
    findings = "\n".join(radiate.findings)
    for expected in (
        "velo_lidar: 2 files have no index row, so no stamp, and are left out: 000016, 000017",
        "zed_left: 133.6 ms pass before row 2",
        "GPS_IMU_Twist: 60 of 120 frames repeat the stamp of another; kept",
        "GPS_IMU_Twist: the clock steps back by 360.2 ms at row 29; kept",
        "GPS_IMU_Twist: 460.6 ms pass before row 51, usually 50.0 ms; as the clock also steps back",
        "GPS_IMU_Twist: 60 of 120 samples repeat stamp and position of the one before; kept",
        "zed_left: begins 726.8 ms after the first frame of all (velo_lidar)",
        "Navtech_Polar: declared 4 Hz, measured 4.11 Hz",
        "velo_lidar: declared 10 Hz, measured 9.99 Hz",
        "stamps: which instant they mean is not stated by the source; taken as the end of each measurement",
        "ego: the radar's frame (x right, y forward, z up)",
        "GPS_IMU_Twist: begins 61.8 s after the last frame of any other sensor: no frame has a pose",
    ):
        assert expected in findings


def test_radiate_declares_no_compensation_and_no_delay(radiate: ImportResult) -> None:
    rig = rig_of(radiate.folder)
    assert not any(sensor.sync.compensated for sensor in rig.sensors)
    assert {sensor.sync.stamp for sensor in rig.sensors} == {Stamp.END}
    assert {sensor.sync.expected_delay_ns for sensor in rig.sensors} == {0}
