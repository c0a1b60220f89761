"""ROS 1 messages become the CDR that `rosbags` makes of them, byte for byte, and hostile ones an error."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.decode.messages import decode_fix, decode_imu, decode_points, decode_pose
from sensors.decode.ros1 import ROS1_TYPES, peek_ros1_stamp_ns, ros1_to_cdr
from sensors.errors import DecodeError, UnknownTypeError
from tests.unit.sensors.decode import ros1_messages as made

MESSAGES: dict[str, Callable[[], Any]] = {
    made.POINT_CLOUD: made.cloud,
    made.IMAGE: lambda: made.compressed(made.STAMP_NS, "jpeg", b"\xff\xd8\xff 13 bytes"),
    made.RAW_IMAGE: lambda: made.raw_image(made.STAMP_NS, "mono8", np.arange(15, dtype=np.uint8).reshape(3, 5)),
    made.IMU: made.imu,
    made.FIX: made.fix,
    made.ODOMETRY: made.odometry,
    made.POSE_STAMPED: made.pose_stamped,
    made.POSE_WITH_COVARIANCE: made.pose_with_covariance,
    made.TRANSFORM_STAMPED: made.transform_stamped,
    made.TRANSFORMS: lambda: made.transforms(
        ("base", "lidar", (1.0, 2.0, 3.0), (0.0, 0.0, 0.6, 0.8)), ("lidar", "cam", (0.0, 0.5, 0.0), (0.0, 0.0, 0.0, 1.0))
    ),
    made.CAMERA_INFO: made.camera_info,
}


def test_every_type_is_tested() -> None:
    assert set(MESSAGES) == set(ROS1_TYPES)


@pytest.mark.parametrize("name", MESSAGES)
def test_the_result_is_that_of_rosbags(name: str) -> None:
    message = MESSAGES[name]()
    assert ros1_to_cdr(name, made.serialized(message)) == made.as_cdr(message)


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "abcd", "lidar/ähnlich"])
def test_alignment_follows_the_length_of_strings(frame_id: str) -> None:
    message = made.cloud(frame_id=frame_id)
    assert ros1_to_cdr(made.POINT_CLOUD, made.serialized(message)) == made.as_cdr(message)


def test_values_arrive() -> None:
    cloud = decode_points(ros1_to_cdr(made.POINT_CLOUD, made.serialized(made.cloud())))
    assert (cloud.stamp_ns, cloud.frame_id, cloud.num_points) == (made.STAMP_NS, "lidar", 3)
    assert cloud.xyz_m().tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]
    assert cloud.column("t").tolist() == [10, 20, 90_000_000]
    imu = decode_imu(ros1_to_cdr(made.IMU, made.serialized(made.imu())))
    assert (imu.angular_velocity_rad_s, imu.linear_acceleration_m_s2) == ((0.1, 0.2, 0.3), (1.1, 2.2, 9.8))
    fix = decode_fix(ros1_to_cdr(made.FIX, made.serialized(made.fix())))
    assert (fix.latitude_deg, fix.longitude_deg, fix.altitude_m, fix.status) == (48.1, 11.5, 519.0, -1)
    pose = decode_pose(ros1_to_cdr(made.ODOMETRY, made.serialized(made.odometry())))
    assert pose.odom_SE3_ego.translation_m.tolist() == [1.5, -2.5, 3.5]
    assert pose.odom_SE3_ego.wxyz == pytest.approx([0.8, 0, 0, 0.6])


@pytest.mark.parametrize("name", MESSAGES)
def test_a_cut_anywhere_and_a_byte_too_many_are_errors(name: str) -> None:
    data = made.serialized(MESSAGES[name]())
    for cut in range(len(data)):
        with pytest.raises(DecodeError, match="of a message of"):
            ros1_to_cdr(name, data[:cut])
    with pytest.raises(DecodeError, match="1 bytes follow"):
        ros1_to_cdr(name, data + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(MESSAGES)), st.data())
def test_damage_is_an_error_or_passes_but_nothing_else(name: str, draw: st.DataObject) -> None:
    data = bytearray(made.serialized(MESSAGES[name]()))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        cdr = ros1_to_cdr(name, bytes(data))
    except DecodeError:
        return
    assert len(cdr) <= 2 * len(data) + 64


def test_hostile_lengths_allocate_nothing() -> None:
    head = struct.pack("<III", 0, 1, 2) + struct.pack("<I", 1) + b"f"
    hostile = [
        struct.pack("<III", 0, 1, 2) + struct.pack("<I", 2**32 - 1),
        head + struct.pack("<II", 1, 1) + struct.pack("<I", 2**32 - 1),
        head + struct.pack("<II", 1, 1) + struct.pack("<I", 128) + struct.pack("<I", 2**31),
        head + struct.pack("<II", 1, 1) + struct.pack("<I", 0) + b"\0" + struct.pack("<II", 1, 1) + struct.pack("<I", 2**32 - 1),
    ]
    tracemalloc.start()
    try:
        for data in hostile:
            with pytest.raises(DecodeError):
                ros1_to_cdr(made.POINT_CLOUD, data)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_stamps() -> None:
    assert peek_ros1_stamp_ns(made.serialized(made.imu())) == made.STAMP_NS
    assert peek_ros1_stamp_ns(struct.pack("<III", 9, 2**32 - 1, 5)) == (2**32 - 1) * 10**9 + 5
    with pytest.raises(DecodeError, match="1000000000 nanoseconds"):
        peek_ros1_stamp_ns(struct.pack("<III", 0, 0, 10**9))
    with pytest.raises(DecodeError, match="11 bytes has no whole header"):
        peek_ros1_stamp_ns(b"\0" * 11)
    late = bytearray(made.serialized(made.imu()))
    late[4:8] = struct.pack("<I", 2**31)
    with pytest.raises(DecodeError, match="ROS 2 ends at 2147483647"):
        ros1_to_cdr(made.IMU, bytes(late))


def test_another_type_is_named() -> None:
    with pytest.raises(UnknownTypeError, match=r"'std_msgs/msg/String'; the types are geometry_msgs/msg/PoseStamped"):
        ros1_to_cdr(made.STRING, b"")
