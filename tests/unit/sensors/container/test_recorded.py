"""Containers are distinguished by their first bytes."""

from __future__ import annotations

import pytest

from sensors.container.recorded import DETECTION_BYTES, RecordingKind, recording_kind, ros2_type
from sensors.errors import UnknownKindError


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89MCAP0\r\n\x01", RecordingKind.MCAP),
        (b"#ROSBAG V2.0\nabc", RecordingKind.ROSBAG1),
        (b"SQLite format 3\0", RecordingKind.SQLITE),
    ],
)
def test_kinds(head: bytes, kind: RecordingKind) -> None:
    assert recording_kind(head) is kind
    assert recording_kind(head[:DETECTION_BYTES]) is kind


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "is empty; was the recording copied completely"),
        (b"#ROSBAG V1.2\n", "format before 2.0; convert it with `rosbag fix`"),
        (b"\x28\xb5\x2f\xfd123", "zstd -d FILE"),
        (b"\x1f\x8b\x08", "gzip -d FILE"),
        (b"\xd4\xc3\xb2\xa1\x02\0", "is a pcap; network packets of a sensor are not read here"),
        (b"\xa1\xb2\x3c\x4d\0\x02", "is a pcap;"),
        (b"\x0a\x0d\x0d\x0a1234", "is a pcapng;"),
        (b"PK\x03\x04 zip", "begins with b'PK"),
        (b"\x89MCAP1\r\n", "convert it to MCAP"),
        (b"SQLite", "begins with b'SQLite'"),
    ],
)
def test_what_is_not_read_is_named_with_the_next_step(head: bytes, message: str) -> None:
    with pytest.raises(UnknownKindError) as error:
        recording_kind(head)
    assert message in str(error.value)


def test_types_are_spelt_as_in_ros2() -> None:
    assert ros2_type("sensor_msgs/Imu") == "sensor_msgs/msg/Imu"
    assert ros2_type("sensor_msgs/msg/Imu") == "sensor_msgs/msg/Imu"
    assert ros2_type("foxglove.Log") == "foxglove.Log"
    assert ros2_type("") == ""
