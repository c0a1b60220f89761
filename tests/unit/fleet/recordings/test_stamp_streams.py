"""Stamps of whole recordings, independent of the container."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from fleet.encode import encode_imu, encode_points
from fleet.errors import SourceError
from fleet.recordings.stamp_streams import StampStream, stamp_streams
from sensors.decode.points import point_fields
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync
from tests.unit.fleet.whole_recordings import (
    LOG_NS,
    STAMPS_NS,
    expected_log_ns,
    expected_stamps_ns,
    write_mcap,
    write_ros1_bag,
    write_sqlite,
)
from tests.unit.sensors.container.sqlite_bags import write_db3
from tests.unit.sensors.decode import ros1_messages as made

SYNC = Sync(Stamp.MIDDLE, 0, 50_000_000, 25_000_000, required=False)
XYZ = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")])


def by_name(streams: tuple[StampStream, ...]) -> dict[str, StampStream]:
    return {stream.sensor: stream for stream in streams}


def rig(**topics: str) -> Rig:
    kinds = {"top": Modality.LIDAR, "front": Modality.CAMERA, "body": Modality.IMU}
    return Rig("r", "top", tuple(Sensor(name, kinds[name], 10.0, SYNC, topic=topic) for name, topic in topics.items()))


@pytest.mark.parametrize("write", [write_mcap, write_ros1_bag, write_sqlite])
@pytest.mark.parametrize("named", [True, False])
def test_every_container_gives_the_same_streams(write: Any, named: bool, tmp_path: Path) -> None:
    """The container is detected by its content: a misleading name changes nothing."""
    path = write(tmp_path)
    if not named and path.is_file():
        path = shutil.move(path, tmp_path / "recording.dat")
    streams, notes = stamp_streams(Path(path), None)
    assert [stream.sensor for stream in streams] == ["camera_front", "imu", "lidar_top", "odom"]
    assert [stream.modality for stream in streams] == [Modality.CAMERA, Modality.IMU, Modality.LIDAR, Modality.POSE]
    for name, topic in (("camera_front", "/camera/front"), ("imu", "/imu"), ("lidar_top", "/lidar/top"), ("odom", "/odom")):
        stream = by_name(streams)[name]
        assert stream.stamps_ns.dtype == stream.log_ns.dtype == np.int64
        assert stream.stamps_ns.tolist() == expected_stamps_ns(topic)
        assert stream.log_ns.tolist() == expected_log_ns(topic)
    assert [note for note in notes if "left out" in note] == [
        note for note in notes if note.startswith("/chatter (std_msgs/msg/String")
    ]
    assert len(notes) == 1


def test_a_rig_chooses_names_and_topics(tmp_path: Path) -> None:
    streams, notes = stamp_streams(write_ros1_bag(tmp_path), rig(top="/lidar/top", front="/camera/rear", body="/imu"))
    assert [(stream.sensor, stream.modality) for stream in streams] == [("top", Modality.LIDAR), ("body", Modality.IMU)]
    findings = "\n".join(notes)
    assert "front: the recording has no message of it" in findings
    assert "/camera/front (sensor_msgs/msg/Image, ros1): 4 messages left out, the rig names no sensor with this topic" in findings


def test_a_rig_without_topics_is_matched_by_the_names_of_sensors(tmp_path: Path) -> None:
    own = Rig("r", "lidar", (Sensor("lidar", Modality.LIDAR, 10.0, SYNC), Sensor("imu", Modality.IMU, 100.0, SYNC)))
    path = write_db3(
        tmp_path / "a.db3",
        [(1, 1, LOG_NS, encode_imu(STAMPS_NS, (0, 0, 0), (0, 0, 0)))],
        [(1, "/imu", "sensor_msgs/msg/Imu", "cdr", "")],
    )
    streams, _ = stamp_streams(path, own)
    assert [(stream.sensor, stream.stamps_ns.tolist()) for stream in streams] == [("imu", [STAMPS_NS])]


def test_a_topic_of_another_modality_is_left_out_and_reported(tmp_path: Path) -> None:
    wrong = Rig(
        "r", "top", (Sensor("top", Modality.LIDAR, 10.0, SYNC, topic="/imu"), Sensor("b", Modality.IMU, 1.0, SYNC, topic="/x"))
    )
    with pytest.raises(
        SourceError, match=r"/imu \(sensor_msgs/msg/Imu, ros1\): 8 messages left out, the rig says that it is a lidar"
    ):
        stamp_streams(write_ros1_bag(tmp_path), wrong)


def test_two_sensors_of_one_topic_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="top and front have the same topic '/lidar/top'"):
        stamp_streams(write_ros1_bag(tmp_path), rig(top="/lidar/top", front="/lidar/top"))


def test_unset_and_unreadable_stamps_are_reported(tmp_path: Path) -> None:
    rows = [
        (1, 1, LOG_NS, encode_imu(0, (0, 0, 0), (0, 0, 0))),
        (2, 1, LOG_NS + 5, encode_imu(STAMPS_NS, (0, 0, 0), (0, 0, 0))),
        (3, 1, LOG_NS + 9, b"\0\1\0"),
    ]
    streams, notes = stamp_streams(write_db3(tmp_path / "a.db3", rows), None)
    assert streams[0].stamps_ns.tolist() == [LOG_NS, STAMPS_NS]
    assert notes == (
        "imu: 1 stamps were never set (0); the log time is taken",
        "imu: 1 messages have no readable stamp and are left out",
    )


def test_damage_is_a_note_and_what_is_whole_is_given(tmp_path: Path) -> None:
    path = write_mcap(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    streams, notes = stamp_streams(path, None)
    whole = expected_stamps_ns("/imu")
    found = by_name(streams)["imu"].stamps_ns.tolist()
    assert 0 < len(found) < len(whole) and found == whole[: len(found)]
    assert notes[0].startswith("all.mcap: truncated at ")
    assert any("messages were salvaged from a chunk that is cut" in note for note in notes)


def test_a_bag_folder_is_read_in_the_order_of_its_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    for number in (0, 1, 2, 9, 10):
        write_db3(folder / f"a_{number}.db3", [(1, 1, LOG_NS + number, encode_imu(STAMPS_NS + number, (0, 0, 0), (0, 0, 0)))])
    by_number, notes = stamp_streams(folder, None)
    assert by_number[0].stamps_ns.tolist() == [STAMPS_NS + n for n in (0, 1, 2, 9, 10)]
    assert notes == ("metadata.yaml is missing; files taken by number",)
    names = ["bag/a_2.db3", "a_0.db3", "a_7.db3"]
    (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  relative_file_paths: {names}\n")
    named, notes = stamp_streams(folder, None)
    assert named[0].stamps_ns.tolist() == [STAMPS_NS + 2, STAMPS_NS]
    assert "metadata.yaml names a_7.db3, which is missing; its messages are missing too" in notes
    assert [note for note in notes if note.endswith("is not named by metadata.yaml and is left out")] == [
        f"a_{number}.db3 is not named by metadata.yaml and is left out" for number in (1, 10, 9)
    ]


def test_files_that_are_compressed_as_a_whole_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a_0.db3.zstd").write_bytes(zstandard.compress(b"SQLite format 3"))
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {relative_file_paths: [a_0.db3.zstd]}")
    with pytest.raises(SourceError, match=r"a_0\.db3\.zstd is a file compressed with zstd as a whole; decompress it first"):
        stamp_streams(tmp_path, None)


@pytest.mark.parametrize(
    "metadata",
    [
        "rosbag2_bagfile_information: {relative_file_paths: []}",
        "rosbag2_bagfile_information: {relative_file_paths: [a.db3, a.db3]}",
        "rosbag2_bagfile_information: {relative_file_paths: 7}",
        "rosbag2_bagfile_information: {relative_file_paths: [../../etc/passwd]}",
        "- just a list",
        "!!python/object/apply:os.system ['true']",
        "a: [" * 2000,
        "\x00",
    ],
)
def test_metadata_that_is_none_is_refused(metadata: str, tmp_path: Path) -> None:
    write_db3(tmp_path / "a.db3")
    (tmp_path / "metadata.yaml").write_text(metadata)
    with pytest.raises(SourceError, match=r"metadata\.yaml"):
        stamp_streams(tmp_path, None)


def test_what_is_not_a_recording_is_refused_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "empty.bag").touch()
    (tmp_path / "some.mcap").write_bytes(b"\xd4\xc3\xb2\xa1" + b"\0" * 40)
    for path, message in (
        (tmp_path / "absent.mcap", "is missing; name an MCAP file"),
        (tmp_path / "empty.bag", "is empty; was the recording copied completely"),
        (tmp_path / "some.mcap", "is a pcap; network packets of a sensor are not read here"),
        (tmp_path / "nothing", "holds neither metadata.yaml nor a file"),
    ):
        if path.name == "nothing":
            path.mkdir()
        with pytest.raises(SourceError, match=message):
            stamp_streams(path, None)


def test_a_write_ahead_log_beside_a_database_is_reported(tmp_path: Path) -> None:
    path = write_db3(tmp_path / "a.db3", [(1, 1, LOG_NS, encode_imu(STAMPS_NS, (0, 0, 0), (0, 0, 0)))])
    (tmp_path / "a.db3-wal").write_bytes(b"rows")
    streams, notes = stamp_streams(path, None)
    assert len(streams[0].stamps_ns) == 1
    assert "a.db3-wal beside it holds messages that are not read" in notes[0]


def test_a_recording_without_a_topic_of_use_names_its_types(tmp_path: Path) -> None:
    path = write_db3(
        tmp_path / "a.db3", [(1, 1, LOG_NS, b"\0\1\0\0")], [(1, "/packets", "velodyne_msgs/msg/VelodyneScan", "cdr", "")]
    )
    with pytest.raises(SourceError) as error:
        stamp_streams(path, None)
    assert "/packets (velodyne_msgs/msg/VelodyneScan, cdr): 1 messages left out, there is no decoder for this type" in str(
        error.value
    )
    assert "name the topics in a rig (--rig)" in str(error.value)
    broken = write_db3(tmp_path / "c.db3", [(1, 1, LOG_NS, b"\0\1\0")])
    with pytest.raises(SourceError, match="imu: 1 messages have no readable stamp"):
        stamp_streams(broken, None)
    with pytest.raises(SourceError, match="holds no message"):
        stamp_streams(write_db3(tmp_path / "b.db3"), None)


def test_names_made_of_topics_are_ids_and_different(tmp_path: Path) -> None:
    topics = ["/A b/ü", "/a_b", "///", "/" + "x" * 90, "/" + "x" * 91, "/Radar/points"]
    points = encode_points(STAMPS_NS, "l", point_fields(XYZ), np.ones(2, XYZ))
    path = write_db3(
        tmp_path / "a.db3",
        [(n, n, LOG_NS, points) for n in range(1, len(topics) + 1)],
        [(n, topic, made.POINT_CLOUD, "cdr", "") for n, topic in enumerate(topics, start=1)],
    )
    streams, _ = stamp_streams(path, None)
    assert [stream.sensor for stream in streams] == sorted(["a_b", "a_b_2", "sensor", "x" * 63, "x" * 61 + "_2", "radar_points"])
    assert by_name(streams)["radar_points"].modality is Modality.RADAR
    assert by_name(streams)["a_b"].modality is Modality.LIDAR
