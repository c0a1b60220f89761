"""Third-party recordings: the result of each import, and refusals by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fleet.errors import SourceError
from fleet.importers.registry import IMPORTERS
from fleet.importers.source import ImportResult
from fleet.recordings.files import recording_files
from fleet.recordings.stamp_streams import stamp_streams
from sensors.container.recorded import Recorded
from sensors.decode.images import inspect_image
from sensors.decode.messages import decode_image, decode_points
from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Stamp
from tests.real_data import DATA
from tests.unit.fleet.landed_drives import messages

ROOT = Path(__file__).resolve().parents[3]
OUSTER = DATA / "mcap_ros1_ouster" / "test.mcap"
VLP16 = DATA / "nebula_ros2_db3" / "velodyne" / "vlp16" / "1673400471837873222"
ARS548 = DATA / "nebula_ros2_db3" / "continental" / "ars548" / "1708578204"
PCAP = DATA / "ouster_pcap" / "OS-0-32-U1_v2.2.0_1024x10.pcap"

pytestmark = pytest.mark.skipif(
    not OUSTER.is_file(), reason=f"needs real recordings in {DATA} (not part of the repository; SCENELAKE_TEST_DATA names them)"
)


@pytest.fixture(scope="module")
def ouster(tmp_path_factory: pytest.TempPathFactory) -> ImportResult:
    return IMPORTERS["recording"](OUSTER, tmp_path_factory.mktemp("ouster") / "drive", "car-1", "ouster")


def test_the_ouster_recording_gives_two_clouds_images_and_imu(ouster: ImportResult) -> None:
    assert ouster.folder.manifest is not None
    assert {entry.sensor: entry.frame_count for entry in ouster.folder.manifest.objects} == {
        "os1_cloud_node_points": 2,
        "os1_cloud_node_imu": 17,
        "img_node_range_image": 2,
        "img_node_noise_image": 2,
        "img_node_intensity_image": 2,
    }


def test_the_ouster_points_are_counted_and_timed(ouster: ImportResult) -> None:
    clouds = [decode_points(message.data) for message in messages(ouster.folder, "os1_cloud_node_points")]
    assert [(cloud.num_points, cloud.point_step) for cloud in clouds] == [(131_072, 48), (131_072, 48)]
    assert [round(float(cloud.invalid().mean()), 2) for cloud in clouds] == [0.65, 0.65]
    assert (clouds[1].stamp_ns - clouds[0].stamp_ns) / 1e6 == pytest.approx(99.118, abs=0.001)
    times = clouds[0].time_offset_ns()
    assert times is not None
    assert times.min() == 0 and times.max() / 1e6 == pytest.approx(99.95, abs=0.01)
    assert (
        "os1_cloud_node_points: 170619 of 262144 points (65%) have no position ((0,0,0) or not finite); kept" in ouster.findings
    )


def test_the_ouster_images_are_png_of_the_recorded_size(ouster: ImportResult) -> None:
    for name in ("range", "noise", "intensity"):
        info = inspect_image(decode_image(messages(ouster.folder, f"img_node_{name}_image")[0].data).data)
        assert (info.encoding, info.width_px, info.height_px) == ("png", 2048, 64)


def test_the_ouster_clocks_are_distinguished(ouster: ImportResult) -> None:
    findings = "\n".join(ouster.findings)
    assert "log times lie 4,758,204.0 s (55.1 days) after the stamps of os1_cloud_node_points" in findings
    assert "os1_cloud_node_imu: stamps are 1,588,073,416.2 s (18380.5 days) behind those of os1_cloud_node_points" in findings
    assert "another clock; kept as they are, so none of its frames match" in findings


def test_everything_left_out_of_the_ouster_recording_is_counted(ouster: ImportResult) -> None:
    left_out = {line.split(" ")[0]: int(line.split(": ")[1].split(" ")[0]) for line in ouster.findings if "left out" in line}
    assert left_out == {
        "/os1_node/lidar_packets": 206,
        "/os1_node/imu_packets": 17,
        "/rosout": 12,
        "/rosout_agg": 12,
    }
    assert sum(left_out.values()) + 2 + 17 + 6 + 1 == 273, "and one message of /tf_static, which is read"


def test_the_ouster_rig_is_inferred(ouster: ImportResult) -> None:
    rig = Rig.from_dict(json.loads((ouster.folder.path / "calibration.json").read_text()))
    lidar = rig["os1_cloud_node_points"]
    assert rig.reference == lidar.name
    assert (lidar.modality, lidar.sync.stamp, lidar.topic) == (Modality.LIDAR, Stamp.START, "/os1_cloud_node/points")
    assert rig["os1_cloud_node_imu"].rate_hz == pytest.approx(100.0, abs=0.01)


def test_the_ouster_sensors_are_where_the_maker_says(ouster: ImportResult) -> None:
    """Ouster, Software User Manual, "Coordinate Frames": lidar_to_sensor_transform and imu_to_sensor_transform."""
    rig = Rig.from_dict(json.loads((ouster.folder.path / "calibration.json").read_text()))
    lidar, imu = (rig[name].ego_SE3_sensor for name in ("os1_cloud_node_points", "os1_cloud_node_imu"))
    assert lidar == SE3.from_wxyz((0.0, 0.0, 0.03618), (0.0, 0.0, 0.0, 1.0))
    assert imu == SE3.from_wxyz((0.006253, -0.011775, 0.007645), (1.0, 0.0, 0.0, 0.0))
    assert (
        "calibration: mountings in the frame 'os1_sensor', from /tf_static: os1_cloud_node_imu, os1_cloud_node_points"
        in ouster.findings
    )


def test_stamps_of_the_ouster_recording() -> None:
    streams, notes = stamp_streams(OUSTER, None)
    by_name = {stream.sensor: stream for stream in streams}
    assert {name: len(stream.stamps_ns) for name, stream in by_name.items()}["os1_cloud_node_imu"] == 17
    lag_ns = by_name["os1_cloud_node_points"].log_ns - by_name["os1_cloud_node_points"].stamps_ns
    assert np.all(lag_ns // 10**9 == 4_758_204)
    assert sum("left out" in note for note in notes) == 5


@pytest.mark.parametrize(
    ("path", "names"),
    [(VLP16, "/velodyne_packets (velodyne_msgs/msg/VelodyneScan, cdr): 4"), (ARS548, "(nebula_msgs/msg/NebulaPackets, cdr): 2")],
)
def test_raw_packets_are_refused_by_name(path: Path, names: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        IMPORTERS["recording"](path, tmp_path / "out", "car-1", "drive-1")
    assert f"{names} messages left out, there is no decoder for this type" in str(error.value)
    assert "record the drivers' decoded topics" in str(error.value)


def test_the_rows_of_the_packet_bags_are_read() -> None:
    (file,), notes = recording_files(VLP16)
    items = list(file.read())
    assert notes == ()
    assert [(item.log_ns, len(item.data)) for item in items if isinstance(item, Recorded)] == [
        (1673400471837873222, 183648),
        (1673400471937957440, 183648),
        (1673400472038371929, 183648),
        (1673400472138016708, 182432),
    ]


def test_a_pcap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match="is a pcap; network packets of a sensor are not read here: record the driver's decoded"
    ):
        IMPORTERS["recording"](PCAP, tmp_path / "out", "car-1", "drive-1")
