"""The importer `recording`: equal drives from every container, values unchanged, and nothing left out silently."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer
from PIL import Image

from fleet.encode import encode_image, encode_imu, encode_points, encode_pose
from fleet.errors import FleetError, SourceError
from fleet.importers.registry import IMPORTERS, RIG_IMPORTERS
from fleet.importers.source import ImportResult
from fleet.recordings.topics import MAX_SENSORS
from sensors.decode.messages import decode_image, decode_imu, decode_points, decode_pose, peek_stamp_ns
from sensors.decode.points import point_fields
from sensors.decode.ros1 import ros1_to_cdr
from sensors.geometry import SE3
from sensors.rig import Intrinsics, Modality, Rig, Sensor, Stamp, Sync, TimeBase
from tests.unit.fleet.landed_drives import messages
from tests.unit.fleet.whole_recordings import (
    LOG_NS,
    PIXELS,
    STAMPS_NS,
    expected_log_ns,
    expected_stamps_ns,
    message,
    write_mcap,
    write_ros1_bag,
    write_sqlite,
)
from tests.unit.fleet.whole_recordings import messages as whole_messages
from tests.unit.sensors.container.sqlite_bags import write_db3
from tests.unit.sensors.decode import ros1_messages as made

TOPICS = {"lidar_top": "/lidar/top", "camera_front": "/camera/front", "imu": "/imu", "odom": "/odom"}
SYNC = Sync(Stamp.END, 1_000_000, 40_000_000, 25_000_000, required=True)
TIMED = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<i4")])
JPEG = b"\xff\xd8\xff\xe0 no picture"


def imported(src: Path, out: Path, rig: Rig | None = None) -> tuple[ImportResult, Rig]:
    result = RIG_IMPORTERS["recording"](src, out, "car-1", "drive-1", rig=rig)
    return result, Rig.from_dict(json.loads((out / "calibration.json").read_text()))


def written(folder: Path, rows: list[tuple[str, str, int, bytes]]) -> Path:
    """A database of (topic, type, log time, CDR)."""
    topics = list(dict.fromkeys((topic, kind) for topic, kind, _, _ in rows))
    return write_db3(
        folder / "a.db3",
        [(n, topics.index((topic, kind)) + 1, log_ns, cdr) for n, (topic, kind, log_ns, cdr) in enumerate(rows, start=1)],
        [(n, topic, kind, "cdr", "") for n, (topic, kind) in enumerate(topics, start=1)],
    )


def cloud(stamp_ns: int, times: tuple[int, ...] = (0, 50_000_000, 99_000_000)) -> bytes:
    points = np.array([(1, 2, 3, times[0]), (0, 0, 0, times[1]), (4, 5, 6, times[2])], TIMED)
    return encode_points(stamp_ns, "lidar", point_fields(TIMED), points)


def png() -> bytes:
    stream = BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("write", [write_mcap, write_ros1_bag, write_sqlite])
def test_every_container_gives_the_same_drive(write: Any, tmp_path: Path) -> None:
    result, rig = imported(write(tmp_path), tmp_path / "out")
    assert {sensor.name: sensor.topic for sensor in rig.sensors} == TOPICS
    assert rig.reference == "lidar_top"
    for sensor, topic in TOPICS.items():
        found = messages(result.folder, sensor)
        assert [peek_stamp_ns(m.data) for m in found] == expected_stamps_ns(topic)
        assert [m.log_ns for m in found] == expected_log_ns(topic)
    for sensor in ("lidar_top", "imu", "odom"):
        first = message(TOPICS[sensor], expected_stamps_ns(TOPICS[sensor])[0])
        assert bytes(messages(result.folder, sensor)[0].data) == made.as_cdr(first)
    image = decode_image(messages(result.folder, "camera_front")[2].data)
    with Image.open(BytesIO(image.data)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), PIXELS)


def test_two_imports_of_one_recording_are_equal(tmp_path: Path) -> None:
    src = write_ros1_bag(tmp_path)
    for out in ("a", "b"):
        imported(src, tmp_path / out)
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_inferred_rig_says_what_it_is(tmp_path: Path) -> None:
    result, rig = imported(write_ros1_bag(tmp_path), tmp_path / "out")
    assert rig.rig_id == "inferred"
    assert {sensor.name: (sensor.modality, sensor.rate_hz, sensor.sync.stamp) for sensor in rig.sensors} == {
        "camera_front": (Modality.CAMERA, 10.0, Stamp.MIDDLE),
        "imu": (Modality.IMU, 20.0, Stamp.MIDDLE),
        "lidar_top": (Modality.LIDAR, 10.0, Stamp.START),
        "odom": (Modality.POSE, 10.0, Stamp.MIDDLE),
    }
    assert all(s.ego_SE3_sensor is None and s.intrinsics is None and not s.sync.required for s in rig.sensors)
    assert rig["lidar_top"].sync.tolerance_ns == 50_000_000
    findings = "\n".join(result.findings)
    for expected in (
        "no rig was given, so one was inferred: sensors from topics, modality from message type and name, reference lidar_top",
        "camera_front: its lens is unknown, set it with --rig: there is no CameraInfo of its frame beside its images",
        "lidar_top: its mounting is unknown, set it with --rig: no /tf_static contains its frame 'lidar'",
        "camera_front: what its stamp denotes is not in the recording; taken as the middle of the measurement",
        "lidar_top: by its point times, its stamp is the start of the sweep",
        "lidar_top: 4 frames, 10.00 Hz from /lidar/top (sensor_msgs/msg/PointCloud2, ros1)",
        "lidar_top: 4 of 12 points (33%) have no position ((0,0,0) or not finite); kept",
        "lidar_top: point times in 't', +0.00 to +90.00 ms from the stamp in the first cloud",
        "camera_front: png, 8 x 6 px",
        "ROS 1 messages were written as ROS 2 CDR: values are unchanged, Header.seq is dropped",
        "raw images were written as PNG with the same pixels: camera_front",
        "/chatter (std_msgs/msg/String, ros1): 2 messages left out, there is no decoder for this type",
    ):
        assert expected in findings
    assert "another clock" not in findings


def test_a_given_rig_is_written_as_it_is(tmp_path: Path) -> None:
    given = Rig(
        "car-7",
        "top",
        (
            Sensor("top", Modality.LIDAR, 10.0, SYNC, SE3.identity(), topic="/lidar/top"),
            Sensor("rear", Modality.CAMERA, 10.0, SYNC, topic="/camera/rear"),
        ),
    )
    result, rig = imported(write_sqlite(tmp_path), tmp_path / "out", given)
    assert rig.to_dict() == given.to_dict()
    assert [path.name for path in (tmp_path / "out" / "lidar").iterdir()] == ["top"]
    assert not (tmp_path / "out" / "camera").exists()
    findings = "\n".join(result.findings)
    assert "rear: the recording has no message of it" in findings
    assert "/camera/front (sensor_msgs/msg/Image, cdr): 4 messages left out, the rig names no sensor with this topic" in findings
    assert "inferred" not in findings


@pytest.mark.parametrize(
    ("times", "stamp"),
    [((0, 1, 99_000_000), Stamp.START), ((-99_000_000, 1, 1_000), Stamp.END), ((-50_000_000, 1, 50_000_000), Stamp.MIDDLE)],
)
def test_point_times_show_what_the_stamp_of_a_lidar_denotes(times: Any, stamp: Stamp, tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS + n, cloud(STAMPS_NS + n * 100_000_000, times)) for n in range(3)]
    _, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert rig["l"].sync.stamp is stamp


def test_times_that_go_back_as_points_are_stored_do_not_show_what_the_stamp_denotes(tmp_path: Path) -> None:
    points = np.array([(8, n, 3, -1_000_000 * n) for n in range(96)], TIMED)
    stamps_ns = [STAMPS_NS + n * 100_000_000 for n in range(3)]
    clouds = [encode_points(stamp_ns, "lidar", point_fields(TIMED), points) for stamp_ns in stamps_ns]
    rows = [("/l", made.POINT_CLOUD, LOG_NS + n, cdr) for n, cdr in enumerate(clouds)]
    result, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert rig["l"].sync.stamp is Stamp.MIDDLE
    assert "l: what its stamp denotes is not in the recording" in "\n".join(result.findings)


PLACES = (
    ("base_link", "lidar", (1.0, 0.0, 2.0), (0.0, 0.0, 0.6, 0.8)),
    ("base_link", "mast", (0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0)),
    ("mast", "camera", (0.5, 0.0, 0.0), (0.0, 0.0, 0.6, 0.8)),
)


def calibrated(folder: Path, *places: Any, **info: Any) -> Path:
    messages = [("/tf_static", made.transforms(*places), LOG_NS), ("/camera/camera_info", made.camera_info(**info), LOG_NS)]
    return made.write_bag(folder / "all.bag", [*messages, *whole_messages()])


def test_places_and_lenses_of_the_recording_are_in_the_rig(tmp_path: Path) -> None:
    result, rig = imported(calibrated(tmp_path, *PLACES), tmp_path / "out")
    turned = (0.8, 0.0, 0.0, 0.6)
    assert rig["lidar_top"].ego_SE3_sensor == SE3.from_wxyz((1.0, 0.0, 2.0), turned)
    assert rig["camera_front"].ego_SE3_sensor == SE3.from_wxyz((0.5, 0.0, 1.0), turned)
    assert rig["camera_front"].intrinsics == Intrinsics(8, 6, 10.0, 11.0, 4.0, 3.0, (0.1, -0.2, 0.0, 0.01, 0.0))
    assert (rig["imu"].ego_SE3_sensor, rig["odom"].ego_SE3_sensor) == (None, None)
    findings = "\n".join(result.findings)
    assert "calibration: mountings in the frame 'base_link', from /tf_static: camera_front, lidar_top" in findings
    assert "calibration: lenses from CameraInfo: camera_front" in findings
    assert "imu: its mounting is unknown, set it with --rig: no /tf_static contains its frame 'imu'" in findings
    assert "tf_static (" not in findings, "what is read is not left out"


def test_calibration_that_changes_in_the_recording_is_reported_with_both_values(tmp_path: Path) -> None:
    again = made.transforms(("base_link", "lidar", (1.0, 0.0, 1.8), (0.0, 0.0, 0.6, 0.8)))

    def wide() -> Any:
        info = made.camera_info()
        info.width = 16
        return info

    infos = [made.camera_info(), wide(), wide()]
    changes = [("/tf_static", made.transforms(*PLACES), LOG_NS), ("/tf_static", again, LOG_NS + 1)]
    changes += [("/camera/camera_info", info, LOG_NS + number) for number, info in enumerate(infos)]
    result, rig = imported(made.write_bag(tmp_path / "all.bag", [*changes, *whole_messages()]), tmp_path / "out")
    notes = "\n".join(result.findings)
    assert (
        "calibration: the recording contradicts itself about the frame 'lidar': it is first at 1.000 0.000 2.000 m in "
        "'base_link', then at 1.000 0.000 1.800 m: moved by 0.200 m and turned by 0.00°; the latter was taken"
    ) in notes
    assert rig["lidar_top"].ego_SE3_sensor == SE3.from_wxyz((1.0, 0.0, 1.8), (0.8, 0.0, 0.0, 0.6))
    assert "camera_front: the recording contradicts itself about its lens: 8 x 6 px" in notes
    assert "and 16 x 6 px" in notes
    assert "(2 messages); the former was taken" in notes
    assert rig["camera_front"].intrinsics is not None
    assert rig["camera_front"].intrinsics.width_px == 8


def test_an_unusable_calibration_is_reported_and_not_guessed(tmp_path: Path) -> None:
    apart = (
        ("rack", "lidar", (1.0, 0.0, 2.0), (0.0, 0.0, 0.6, 0.8)),
        ("base_link", "camera", (1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
    )
    result, rig = imported(calibrated(tmp_path, *apart, model="equidistant"), tmp_path / "out")
    assert (rig["lidar_top"].ego_SE3_sensor, rig["camera_front"].intrinsics) == (None, None)
    findings = "\n".join(result.findings)
    assert (
        "lidar_top: its mounting is unknown, set it with --rig: /tf_static does not connect its frame 'lidar' with 'base_link'"
        in findings
    )
    assert "camera_front: its lens is unknown, set it with --rig: its CameraInfo has distortion 'equidistant'" in findings


def test_places_are_read_after_a_lens_of_the_same_namespace(tmp_path: Path) -> None:
    """A recording of one camera has `/camera_info` and `/tf_static` side by side."""
    info = made.as_cdr(made.camera_info(frame_id="/camera"))
    places = made.as_cdr(made.transforms(("base_link", "camera", (1.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0))))
    rows = [("/camera_info", made.CAMERA_INFO, LOG_NS, info), ("/tf_static", made.TRANSFORMS, LOG_NS + 1, places)]
    rows.append(("/image", made.IMAGE, LOG_NS + 2, encode_image(STAMPS_NS, "camera", "png", png())))
    _, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert rig["image"].ego_SE3_sensor == SE3.from_wxyz((1.0, 0.0, 2.0), (1.0, 0.0, 0.0, 0.0))
    assert rig["image"].intrinsics is not None


def test_more_calibration_than_a_vehicle_has_is_counted_as_left_out(tmp_path: Path) -> None:
    rows = [(f"/c{n}/camera_info", made.CAMERA_INFO, LOG_NS, b"\0\1\0\0") for n in range(2 * MAX_SENSORS + 3)]
    result, _ = imported(written(tmp_path, [("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS)), *rows]), tmp_path / "out")
    assert sum("a message does not decode" in finding for finding in result.findings) == 2 * MAX_SENSORS
    assert (
        sum("camera_info (sensor_msgs/msg/CameraInfo, cdr): 1 messages left out" in finding for finding in result.findings) == 3
    )


def test_a_lens_of_another_frame_is_of_another_camera(tmp_path: Path) -> None:
    result, rig = imported(calibrated(tmp_path, *PLACES, frame_id="camera_rear"), tmp_path / "out")
    assert rig["camera_front"].intrinsics is None
    assert any("there is no CameraInfo of its frame beside its images" in finding for finding in result.findings)


def test_without_poses_places_are_given_in_what_all_frames_lie_in(tmp_path: Path) -> None:
    static_transforms = made.as_cdr(made.transforms(("os_sensor", "lidar", (0.0, 0.0, 0.038), (0.0, 0.0, 1.0, 0.0))))
    broken = static_transforms[:-9]
    rows = [("/tf_static", made.TRANSFORMS, LOG_NS, static_transforms), ("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS))]
    rows += [("/other/tf_static", made.TRANSFORMS, LOG_NS, broken)] * 3
    result, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert rig["l"].ego_SE3_sensor == SE3.from_wxyz((0.0, 0.0, 0.038), (0.0, 0.0, 0.0, 1.0))
    findings = "\n".join(result.findings)
    assert "calibration: mountings in the frame 'os_sensor', from /tf_static: l" in findings
    assert findings.count("/other/tf_static: a message does not decode") == 1


def test_a_rig_that_is_given_is_not_asked_of_the_recording(tmp_path: Path) -> None:
    sensor = Sensor("lidar_top", Modality.LIDAR, 10.0, SYNC, topic="/lidar/top")
    result, rig = imported(calibrated(tmp_path, *PLACES), tmp_path / "out", Rig("mine", "lidar_top", (sensor,)))
    assert rig["lidar_top"].ego_SE3_sensor is None
    assert any(
        finding.startswith("/tf_static (tf2_msgs/msg/TFMessage, ros1): 1 messages left out") for finding in result.findings
    )


def test_another_clock_and_late_log_times_are_reported_and_kept(tmp_path: Path) -> None:
    boot_ns, late_ns = 1_622_000_000_000, STAMPS_NS + 55 * 86400 * 10**9
    rows = [("/l", made.POINT_CLOUD, late_ns + n * 10**8, cloud(STAMPS_NS + n * 10**8)) for n in range(3)]
    rows += [("/i", made.IMU, late_ns + n * 10**8, encode_imu(boot_ns + n * 10**8, (0, 0, 0), (0, 0, 0))) for n in range(3)]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert [peek_stamp_ns(m.data) for m in messages(result.folder, "i")] == [boot_ns + n * 10**8 for n in range(3)]
    findings = "\n".join(result.findings)
    assert "log times lie 4,752,000.0 s (55.0 days) after the stamps of l: played back and recorded again" in findings
    assert (
        "i: stamps are 1,699,998,378.1 s (19675.9 days) behind those of l (they begin at 1622000000000 ns): another clock"
        in findings
    )


def test_a_rig_that_lost_the_gps_week_is_named(tmp_path: Path) -> None:
    late_ns = STAMPS_NS + 619_315_200 * 10**9
    rows = [("/l", made.POINT_CLOUD, late_ns + n * 10**8, cloud(STAMPS_NS + n * 10**8)) for n in range(3)]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert "stamped by another clock (1024 weeks: a rollover of the GPS week number); both are kept" in "\n".join(result.findings)


def test_a_stamp_that_was_never_set_becomes_the_log_time(tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS, cloud(0)), ("/l", made.POINT_CLOUD, LOG_NS + 10**8, cloud(STAMPS_NS + 10**8))]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    first, second = messages(result.folder, "l")
    assert peek_stamp_ns(first.data) == LOG_NS
    assert bytes(first.data) == cloud(LOG_NS)
    assert bytes(second.data) == cloud(STAMPS_NS + 10**8)
    assert "l: 1 of 2 stamps were never set (0); the log time stands in their place" in result.findings


def test_poses_without_velocity_become_odometry(tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS))]
    for topic, pose in (("/a", made.pose_stamped()), ("/b", made.pose_with_covariance()), ("/c", made.transform_stamped())):
        rows.append((topic, pose.__msgtype__, LOG_NS, ros1_to_cdr(pose.__msgtype__, made.serialized(pose))))
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    at = SE3.from_wxyz((1.5, -2.5, 3.5), (0.8, 0.0, 0.0, 0.6))
    for sensor, child in (("a", "base_link"), ("b", "base_link"), ("c", "car")):
        (found,) = messages(result.folder, sensor)
        assert bytes(found.data) == encode_pose(made.STAMP_NS, at, "map", child)
        assert decode_pose(found.data).stamp_ns == made.STAMP_NS
    assert "poses were written as Odometry with zero twist, without their covariance: a, b, c" in result.findings


def test_frames_that_do_not_decode_are_kept_and_unwritable_ones_are_reported(tmp_path: Path) -> None:
    float_image = made.raw_image(STAMPS_NS, "32FC1", np.zeros((2, 2), np.float32))
    rows = [
        ("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS)),
        ("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS + 10**8)[:-7]),
        ("/c", made.IMAGE, LOG_NS, encode_image(STAMPS_NS, "c", "jpeg", JPEG)),
        ("/d", made.RAW_IMAGE, LOG_NS, ros1_to_cdr(made.RAW_IMAGE, made.serialized(float_image))),
        ("/l", made.POINT_CLOUD, LOG_NS, b"\0\1\0\0\1"),
    ]
    result, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert [bytes(m.data) for m in messages(result.folder, "l")] == [rows[0][3], rows[1][3]]
    assert [bytes(m.data) for m in messages(result.folder, "c")] == [rows[2][3]]
    assert sorted(sensor.name for sensor in rig.sensors) == ["c", "l"]
    findings = "\n".join(result.findings)
    assert "l: 1 of 2 frames do not decode and are kept as they are: " in findings
    assert "l: 1 messages cannot be converted and are left out: stamp seconds takes 4 bytes" in findings
    assert "c: 1 of 1 frames do not decode and are kept as they are: " in findings
    assert "d: 1 messages cannot be converted and are left out: image encoding '32FC1' is not read" in findings
    assert "c: one frame has no rate; 1.0 Hz is declared" in findings


def test_duplicate_and_backward_stamps_are_reported(tmp_path: Path) -> None:
    steps = [0, 100, 100, 50, 200]
    rows = [("/l", made.POINT_CLOUD, LOG_NS + n, cloud(STAMPS_NS + step * 10**6)) for n, step in enumerate(steps)]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert "l: 1 of 5 frames repeat the stamp of another; kept" in result.findings
    assert "l: stamps step back 1 times, by 50.0 ms at most; kept" in result.findings


def test_a_long_recording_is_cut_into_objects(tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS + n * 25 * 10**9)) for n in range(7)]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert result.folder.manifest is not None
    objects = [(entry.start_ns, entry.frame_count) for entry in result.folder.manifest.objects]
    assert objects == [(STAMPS_NS, 3), (STAMPS_NS + 75 * 10**9, 3), (STAMPS_NS + 150 * 10**9, 1)]
    assert len(messages(result.folder, "l")) == 7


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path, size = tmp_path / "long.mcap", 250_000
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=1 << 20, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="test")
        schema = writer.register_schema(made.IMAGE, "ros2msg", b"")
        channels = [writer.register_channel(f"/camera{n}", "cdr", schema) for n in range(3)]
        for number in range(200):
            stamp_ns = STAMPS_NS + number * 10**8
            writer.add_message(channels[number % 3], stamp_ns, encode_image(stamp_ns, "c", "jpeg", JPEG + bytes(size)), stamp_ns)
        writer.finish()  # type: ignore[no-untyped-call]
    tracemalloc.start()
    try:
        result, _ = imported(path, tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 200 * size
    assert peak < 20 * 2**20  # of 50 MB: two chunks of the source, and one open chunk (some copies of it) of three writers
    assert result.folder.manifest is not None
    assert sum(entry.frame_count for entry in result.folder.manifest.objects) == 200


def test_a_cut_recording_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    path = write_mcap(tmp_path)
    path.write_bytes(path.read_bytes()[:4000])
    result, _ = imported(path, tmp_path / "out")
    assert result.findings[0].startswith("all.mcap: truncated at ")
    assert "messages were salvaged from a chunk that is cut; no checksum covers them" in result.findings[1]
    assert 0 < len(messages(result.folder, "imu")) < 8


def test_a_recording_to_build_no_scene_of_is_refused(tmp_path: Path) -> None:
    rows = [("/i", made.IMU, LOG_NS, encode_imu(STAMPS_NS, (0, 0, 0), (0, 0, 0)))]
    with pytest.raises(SourceError, match=r"neither lidar nor camera nor radar, only /i \(sensor_msgs/msg/Imu\)"):
        imported(written(tmp_path, rows), tmp_path / "out")


def test_a_recording_of_which_nothing_can_be_written_says_why(tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS, b"\0\1\0\0\1")] * 3
    with pytest.raises(
        SourceError, match="holds no usable topic: l: 3 messages cannot be converted: stamp seconds takes 4 bytes"
    ):
        imported(written(tmp_path, rows), tmp_path / "out")


def test_refusals_come_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SourceError, match="is missing"):
        IMPORTERS["recording"](tmp_path / "absent.mcap", out, "car-1", "drive-1")
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(FleetError, match="not an empty folder"):
        IMPORTERS["recording"](write_ros1_bag(tmp_path), out, "car-1", "drive-1")


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    src = write_ros1_bag(tmp_path)
    steps: list[tuple[str, int, int]] = []
    IMPORTERS["recording"](src, tmp_path / "out", "car-1", "drive-1", lambda *step: steps.append(step))
    size = src.stat().st_size
    assert steps[-1] == ("all.bag", size, size)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


def test_values_survive_from_ros1_to_the_drive(tmp_path: Path) -> None:
    result, _ = imported(write_ros1_bag(tmp_path, "bz2"), tmp_path / "out")
    points = decode_points(messages(result.folder, "lidar_top")[1].data)
    assert points.xyz_m().tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]
    assert points.invalid().tolist() == [False, True, False]
    assert decode_imu(messages(result.folder, "imu")[0].data).linear_acceleration_m_s2 == (1.1, 2.2, 9.8)


def test_the_rate_of_a_radar_that_sends_rows_is_that_of_its_scans(tmp_path: Path) -> None:
    rows = [
        ("/radar", made.POINT_CLOUD, STAMPS_NS + at, cloud(STAMPS_NS + at))
        for at in (scan * 66_000_000 + row * 309_000 for scan in range(9) for row in range(64))
    ]
    result, rig = imported(written(tmp_path, rows), tmp_path / "out")
    assert rig["radar"].rate_hz == pytest.approx(1e9 / 66e6, abs=0.01)
    assert rig["radar"].sync.tolerance_ns == 33_000_000
    assert any("radar: messages come in bursts of 64, 0.309 ms apart: rows of one scan" in word for word in result.findings)


def test_a_recording_without_topics_of_use_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no usable topic"):
        imported(written(tmp_path, [("/chatter", "std_msgs/msg/String", LOG_NS, b"\0\1\0\0")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_without_huffman_tables_are_said_and_kept(tmp_path: Path) -> None:
    stream = BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(stream, "JPEG")
    whole = stream.getvalue()
    bare, at = bytearray(whole[:2]), 2
    while whole[at + 1] != 0xDA:
        size = 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        bare += b"" if whole[at + 1] == 0xC4 else whole[at : at + size]
        at += size
    images = [bytes(bare) + whole[at:], whole, bytes(bare) + whole[at:]]
    rows = [
        ("/cam", made.IMAGE, LOG_NS + n, encode_image(STAMPS_NS + n * 10**8, "c", "jpeg", data)) for n, data in enumerate(images)
    ]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert any("cam: 2 of 3 images have no Huffman tables and are no complete JPEG files" in word for word in result.findings)
    assert [bytes(decode_image(found.data).data) for found in messages(result.folder, "cam")] == images


def test_the_frame_of_messages_that_do_not_decode_is_known(tmp_path: Path) -> None:
    rows = [("/cam", made.IMAGE, LOG_NS, encode_image(STAMPS_NS, "front", "jpeg", b"\0\0\0\1gB").replace(b"jpeg", b"h264"))]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    words = "\n".join(result.findings)
    assert "its messages name no frame" not in words and "the message calls it 'h264'" in words


def test_what_is_lost_stands_in_the_manifest(tmp_path: Path) -> None:
    rows = [
        ("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS)),
        ("/l", made.POINT_CLOUD, LOG_NS + 1, b"\0\1\0\0\1"),
        ("/l", made.POINT_CLOUD, LOG_NS + 2, cloud(STAMPS_NS + 10**8)),
    ]
    sensors = tuple(Sensor(name, Modality.LIDAR, 10.0, SYNC, topic=topic) for name, topic in (("top", "/l"), ("rear", "/r")))
    result, _ = imported(written(tmp_path, rows), tmp_path / "out", Rig("r", "top", sensors))
    assert result.folder.manifest is not None
    assert [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses] == [("top", 1), ("rear", None)]


def losses(result: ImportResult) -> list[tuple[str | None, int | None]]:
    assert result.folder.manifest is not None
    return [(loss.sensor, loss.frames) for loss in result.folder.manifest.losses]


def test_frames_of_a_topic_that_changes_its_type_are_lost(tmp_path: Path) -> None:
    """As in the files of a split bag, when a driver was set from compressed to raw images between them."""
    cloud_row = ("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS))
    chatter = ("/chatter", "std_msgs/msg/String", LOG_NS, b"\0\1\0\0\1")
    images = [
        ("/camera", made.IMAGE, LOG_NS + number, encode_image(STAMPS_NS + number * 10**8, "camera", "png", png()))
        for number in range(3)
    ]
    raw = [("/camera", "sensor_msgs/msg/Image", LOG_NS + 10 + number, b"\0\1\0\0") for number in range(2)]
    src = written(tmp_path, [cloud_row, chatter, *images, *raw])
    result, _ = imported(src, tmp_path / "out")
    assert losses(result) == [("camera", 2)]
    words = "/camera (sensor_msgs/msg/Image, cdr): 2 messages left out, the topic has another type or encoding already"
    assert result.folder.manifest is not None and result.folder.manifest.losses[0].message == words
    assert result.findings.count(words) == 1


def test_a_sensor_whose_topic_has_only_messages_of_another_kind_has_lost_them(tmp_path: Path) -> None:
    rows = [("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS)), ("/r", made.IMU, LOG_NS, b"\0\1\0\0")]
    sensors = tuple(Sensor(name, Modality.LIDAR, 10.0, SYNC, topic=topic) for name, topic in (("top", "/l"), ("rear", "/r")))
    result, _ = imported(written(tmp_path, rows), tmp_path / "out", Rig("r", "top", sensors))
    assert losses(result) == [("rear", 1)]


def test_frames_of_more_sensors_than_a_rig_holds_are_lost(tmp_path: Path) -> None:
    rows = [(f"/l{n}", made.POINT_CLOUD, LOG_NS + n, cloud(STAMPS_NS)) for n in range(MAX_SENSORS + 2)]
    result, _ = imported(written(tmp_path, rows), tmp_path / "out")
    assert losses(result) == [(None, 1), (None, 1)]


def test_a_damaged_recording_may_have_lost_anything(tmp_path: Path) -> None:
    path = write_mcap(tmp_path)
    path.write_bytes(path.read_bytes()[:4000])
    result, _ = imported(path, tmp_path / "out")
    assert result.folder.manifest is not None
    first = result.folder.manifest.losses[0]
    assert (first.sensor, first.frames) == (None, None) and "truncated at" in first.message


def test_the_sweep_of_a_single_cloud_is_held_against_the_rate_of_the_rig(tmp_path: Path) -> None:
    src = written(tmp_path, [("/l", made.POINT_CLOUD, LOG_NS, cloud(STAMPS_NS, (0, 90_000_000, 250_000_000)))])
    rig = Rig("r", "top", (Sensor("top", Modality.LIDAR, 10.0, SYNC, topic="/l"),))
    result, _ = imported(src, tmp_path / "out", rig)
    assert any("the point times span 250 ms, 2.5 of the sensor's period of 100 ms" in word for word in result.findings)
    unknown, _ = imported(src, tmp_path / "out2")
    assert not any("they cannot be used for motion compensation" in word for word in unknown.findings)


def stamped(folder: Path, stamps_ns: list[int], log_ns: list[int]) -> Path:
    folder.mkdir()
    rows = [
        ("/lidar/top", "sensor_msgs/msg/PointCloud2", logged_ns, cloud(stamp_ns))
        for stamp_ns, logged_ns in zip(stamps_ns, log_ns, strict=True)
    ]
    return written(folder, rows)


def test_a_simulators_time_base_is_declared_and_said(tmp_path: Path) -> None:
    stamps = [52_610_000_000 + 100_000_000 * number for number in range(20)]
    src = stamped(tmp_path / "bag", stamps, [stamp + 112_000_000 for stamp in stamps])
    result, rig = imported(src, tmp_path / "out")
    assert rig.time_base is TimeBase.OTHER
    assert any("reads as 1970-01-01" in word and "so the rig says `time_base: other`" in word for word in result.findings)
    given = replace(rig, time_base=TimeBase.UTC)
    result, kept = imported(src, tmp_path / "again", given)
    assert kept.time_base is TimeBase.UTC
    assert any("the pipeline refuses them (CLK005) unless the rig has `time_base: other`" in word for word in result.findings)


def test_a_clock_that_was_never_set_is_no_time_base(tmp_path: Path) -> None:
    stamps = [52_610_000_000 + 100_000_000 * number for number in range(20)]
    result, rig = imported(stamped(tmp_path / "bag", stamps, [LOG_NS + stamp for stamp in stamps]), tmp_path / "out")
    assert rig.time_base is TimeBase.UTC
    assert any("its clock was never set (CLK005, CLK007)" in word for word in result.findings)


def test_stamps_that_do_not_fit_are_counted_and_do_not_stretch_the_drive(tmp_path: Path) -> None:
    true = [LOG_NS + 100_000_000 * number for number in range(30)]
    stamps = [*true]
    stamps[7], stamps[20] = true[5], LOG_NS + 10**17
    result, _ = imported(stamped(tmp_path / "bag", stamps, [stamp + 112_000_000 for stamp in true]), tmp_path / "out")
    manifest = result.folder.manifest
    assert manifest is not None
    assert (manifest.start_ns, manifest.end_ns) == (true[0], true[-1])
    (word,) = (word for word in result.findings if "do not fit the others" in word)
    assert f"lidar_top: 2 of 30 stamps do not fit the others, the first is {true[5]} ns (frame 7 by log time)" in word


def test_stamps_fit_whatever_the_order_in_the_file(tmp_path: Path) -> None:
    true = [LOG_NS + 100_000_000 * number for number in range(40)]
    order = [*range(1, 40, 3), *range(2, 40, 3), *range(0, 40, 3)]
    sound = stamped(tmp_path / "sound", [true[n] for n in order], [true[n] + 112_000_000 for n in order])
    result, _ = imported(sound, tmp_path / "a")
    assert not any("do not fit the others" in word for word in result.findings)
    wild = {**dict(enumerate(true)), 20: 5}
    result, rig = imported(
        stamped(tmp_path / "wild", [wild[n] for n in order], [true[n] + 112_000_000 for n in order]), tmp_path / "b"
    )
    (word,) = (word for word in result.findings if "do not fit the others" in word)
    assert "lidar_top: 1 of 40 stamps do not fit the others, the first is 5 ns (frame 20 by log time)" in word
    assert rig.time_base is TimeBase.UTC and not any("begin at" in word for word in result.findings)
