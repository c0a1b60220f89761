"""The nuScenes importer and the PCD reader on real files, which are not part of the repository."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import SourceError
from fleet.importers.nuscenes.importer import import_drive
from fleet.importers.nuscenes.tables import choose_scene, find_layout, read_rows
from fleet.importers.source import ImportResult, exact_ns
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.images import inspect_image
from sensors.decode.messages import decode_image, decode_points, decode_pose
from sensors.decode.pcd import read_pcd
from sensors.rig import Rig, Stamp
from tests.real_data import DATA

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs real recordings: SCENELAKE_TEST_DATA names their folder; not part of the repository"
)
DELAYS_MS = {
    "cam_front_left": -43.1,
    "cam_front": -35.5,
    "cam_front_right": -27.6,
    "cam_back_right": -20.1,
    "cam_back": -10.4,
    "cam_back_left": -0.5,
}


def source(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not among the real recordings")
    return folder


@pytest.fixture(scope="module")
def keyframe(tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    return import_drive(source("nuscenes_keyframe"), tmp_path_factory.mktemp("nuscenes") / "drive", "car-1", "keyframe")


def the_message(result: ImportResult, sensor: str) -> bytes:
    (path,) = result.folder.path.glob(f"*/{sensor}/*.mcap")
    with path.open("rb") as stream:
        (message,) = scan(stream)
    assert isinstance(message, StoredMessage)
    return bytes(message.data)


def test_the_keyframe_has_one_frame_of_each_sensor_at_the_microsecond_of_its_file_name(keyframe: ImportResult) -> None:
    assert keyframe.folder.manifest is not None
    assert {entry.sensor: entry.frame_count for entry in keyframe.folder.manifest.objects} == dict.fromkeys(
        [*DELAYS_MS, "lidar_top", "pose"], 1
    )
    assert decode_points(the_message(keyframe, "lidar_top")).stamp_ns == 1_532_402_927_647_951_000
    assert decode_image(the_message(keyframe, "cam_front")).stamp_ns == 1_532_402_927_612_460_000
    assert not any("document's stamp" in finding for finding in keyframe.findings), "float seconds and names agree to the µs"


def test_the_keyframes_lidar_is_the_file(keyframe: ImportResult) -> None:
    cloud = decode_points(the_message(keyframe, "lidar_top"))
    (path,) = source("nuscenes_keyframe").glob("*.pcd.bin")
    assert bytes(cloud.data) == path.read_bytes() and cloud.num_points == 34_688
    assert set(np.unique(cloud.column("ring"))) == set(range(32)) and cloud.column("intensity").max() <= 255
    assert "LIDAR_TOP: 8274 of 34688 points are nearer than 1 m (the vehicle itself); kept" in keyframe.findings


def test_the_keyframes_images_are_the_files(keyframe: ImportResult) -> None:
    for sensor in DELAYS_MS:
        image = decode_image(the_message(keyframe, sensor))
        (path,) = source("nuscenes_keyframe").glob(f"*__{sensor.upper()}__*.jpg")
        assert bytes(image.data) == path.read_bytes()
        info = inspect_image(image.data)
        assert (info.encoding, info.width_px, info.height_px) == ("jpeg", 1600, 900)


def test_the_keyframes_rig_has_the_measured_delays_and_mountings(keyframe: ImportResult) -> None:
    rig = Rig.from_dict(json.loads((keyframe.folder.path / "calibration.json").read_bytes()))
    document = json.loads((source("nuscenes_keyframe") / "calibration_and_pose.json").read_text())
    assert rig.reference == "lidar_top" and rig["lidar_top"].sync.compensated and rig["lidar_top"].sync.stamp is Stamp.END
    for sensor, delay_ms in DELAYS_MS.items():
        camera = rig[sensor]
        assert camera.sync.expected_delay_ns / 1e6 == pytest.approx(delay_ms, abs=0.05) and camera.sync.stamp is Stamp.START
        assert camera.ego_SE3_sensor is not None and camera.intrinsics is not None
        entry = document["images"][sensor.upper()]
        np.testing.assert_allclose(camera.ego_SE3_sensor.matrix, entry["cam2ego"], atol=1e-6)
        assert [camera.intrinsics.fx_px, camera.intrinsics.cx_px] == [entry["cam2img"][0][0], entry["cam2img"][0][2]]
    pose = decode_pose(the_message(keyframe, "pose"))
    np.testing.assert_allclose(pose.odom_SE3_ego.matrix, document["ego2global"], atol=1e-6)
    assert pose.odom_SE3_ego.translation_m[2] == 0.0
    assert any(finding.startswith("lidar2cam: places cameras up to 0.400 m (CAM_FRONT_LEFT)") for finding in keyframe.findings)


def test_lyfts_tables_are_read_and_the_absence_of_every_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        import_drive(source("lyft_tables"), tmp_path / "out", "car-1", "lyft")
    message = str(caught.value)
    for expected in (
        "none of the 10 files that the tables name for scene host-a101-lidar0-1240710366399037786-1240710391298976894",
        "beside them lie 3 files that no row names (lidar/host-a017_lidar1_1236118886501000046.bin",
        "should have 126 keyframes, 1 are in the table",
        "its first and last keyframe is not in the table sample",
        "sample: 2 links (prev, next) lead to rows that are not there",
        "sample_data: 20 of 20 links (prev, next) lead to rows that are not there",
        "stamps: 10 of 10 are written as float µs, 3 with a fraction: a float of this size has steps of 250 ns",
        "stamps: 10 of 10 file names end in ns since the GPS epoch (1980-01-06, no leap seconds), up to 34 ns",
        "ego_pose: 7 of 10 shots have a pose with another stamp than theirs, up to 103.1 ms away",
        "ego_pose: 6 poses differ from another with the same stamp, by up to 1.26 m",
        "LIDAR_TOP: 1 of 1 rows name a file that is not there: host-a101_lidar1_1240710385903083166.bin",
    ):
        assert expected in message
    assert not (tmp_path / "out").exists()


def test_lyfts_float_stamps_keep_the_digits_that_are_written() -> None:
    layout = find_layout(source("lyft_tables"))
    stamps = sorted(exact_ns(row["timestamp"], 3) for row in read_rows(layout.table("sample_data")))
    assert stamps[0] == 1_556_675_185_800_000_000 and stamps[-1] == 1_556_675_185_903_083_200
    assert choose_scene(layout, None).log == "a101, 2019-05-01, Palo Alto"


@pytest.mark.parametrize(
    ("name", "points", "body", "tail_bytes"),
    [
        ("pjlab_radar/radar2lidar/lidar.pcd", 94_816, "binary_compressed", 3_870),
        ("pjlab_radar/top_center_lidar/2021-10-26-16-21-29-468.pcd", 80_787, "binary_compressed", 0),
        ("nebula_ros2_db3/velodyne/vlp16/1673400472138016708.pcd", 14_831, "binary", 0),
    ],
)
def test_real_pcd_files_end_where_their_headers_say(name: str, points: int, body: str, tail_bytes: int) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the real recordings")
    found = read_pcd(path.read_bytes())
    assert (found.header.num_points, found.header.body, found.tail_bytes) == (points, body, tail_bytes)
    cloud = found.cloud(0, "lidar")
    reach_m = np.linalg.norm(cloud.xyz_m(), axis=1)
    assert np.isfinite(reach_m).all() and 5 < reach_m.max() < 250
    if "timestamp" in cloud.names:
        seconds = cloud.column("timestamp")
        assert (np.diff(seconds) >= 0).all() and seconds[-1] - seconds[0] == pytest.approx(0.0999, abs=0.001)
        assert 55 < cloud.column("ring").max() <= 63
    else:
        np.testing.assert_allclose(reach_m, cloud.column("distance"), rtol=1e-3, atol=1e-2)


def test_a_compressed_sweep_ends_at_the_time_in_its_name() -> None:
    """Names are the end of the sweep in UTC+8, cut to milliseconds; the last point's own time lies within it."""
    paths = sorted((DATA / "pjlab_radar" / "top_center_lidar").glob("*.pcd"))
    if not paths:
        pytest.skip("pjlab_radar is not among the real recordings")
    for path in paths:
        date, milliseconds = path.stem.rsplit("-", 1)
        named_s = datetime.strptime(f"{date} +0800", "%Y-%m-%d-%H-%M-%S %z").timestamp() + int(milliseconds) / 1000
        seconds = read_pcd(path.read_bytes()).cloud(0, "lidar").column("timestamp")
        assert seconds[-1] == pytest.approx(named_s, abs=0.0025)
