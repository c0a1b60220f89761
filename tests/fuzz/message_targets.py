"""Targets of the sensor core: messages, as ROS 2 and ROS 1 write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from sensors.decode.camera_info import CAMERA_INFO, decode_camera_info
from sensors.decode.messages import (
    FIX,
    IMU,
    ODOMETRY,
    decode_fix,
    decode_image,
    decode_imu,
    decode_points,
    decode_pose,
    peek_stamp_ns,
)
from sensors.decode.ros1 import ROS1_TYPES, peek_ros1_stamp_ns, ros1_to_cdr
from sensors.decode.transforms import TRANSFORMS, decode_transforms
from sensors.errors import DecodeError
from tests.fuzz import recordings
from tests.fuzz.mutation import with_tokens
from tests.fuzz.target import Target, proportional
from tests.unit.sensors.decode import ros1_messages


def _points(data: bytes, _: Path) -> str:
    cloud = decode_points(data)
    assert len(cloud.data) == cloud.num_points * cloud.point_step
    for name in cloud.names:
        assert len(cloud.column(name)) == cloud.num_points
    words = [f"{len(cloud.fields)} fields, {min(cloud.num_points, 9)} points, big {cloud.is_bigendian}"]
    if {"x", "y", "z"} <= set(cloud.names):
        invalid, xyz_m = cloud.invalid(), cloud.xyz_m()
        expected = ~np.isfinite(xyz_m).all(axis=1) | (xyz_m == 0).all(axis=1)
        assert (invalid == expected).all()
        offsets_ns = cloud.time_offset_ns()
        assert offsets_ns is None or (len(offsets_ns) == cloud.num_points and offsets_ns.dtype == np.int64)
        words.append("timed" if offsets_ns is not None else "untimed")
    else:
        offsets_ns = cloud.time_offset_ns()
    return ", ".join(words)


def _image_message(data: bytes, _: Path) -> str:
    image = decode_image(data)
    assert len(image.data) <= len(data)
    return image.encoding


@cache
def _typestore() -> Any:
    return get_typestore(Stores.ROS2_HUMBLE)


def _as_others_read(data: bytes, message_type: str) -> Any:
    """The message as `rosbags` reads it; None where it insists on the terminating zero of a string, which is redundant."""
    try:
        return _typestore().deserialize_cdr(data, message_type)
    except SerdeError as error:
        assert "string" in str(error)
        return None


def _same(ours: Iterable[float], theirs: Iterable[float]) -> None:
    assert np.array_equal(np.array(list(ours)), np.array(list(theirs)), equal_nan=True)


def _odometry(data: bytes, _: Path) -> str:
    """Another implementation reads every accepted message to the same values."""
    sample = decode_pose(data)
    theirs = _as_others_read(data, ODOMETRY)
    if theirs is None:
        return "alone"
    position = theirs.pose.pose.position
    _same(sample.odom_SE3_ego.translation_m, (position.x, position.y, position.z))
    assert sample.stamp_ns == theirs.header.stamp.sec * 10**9 + theirs.header.stamp.nanosec
    return f"pose, frame of {len(theirs.header.frame_id) > 0}"


def _imu(data: bytes, _: Path) -> str:
    sample = decode_imu(data)
    theirs = _as_others_read(data, IMU)
    if theirs is None:
        return "alone"
    turn, push = theirs.angular_velocity, theirs.linear_acceleration
    _same(sample.angular_velocity_rad_s + sample.linear_acceleration_m_s2, (turn.x, turn.y, turn.z, push.x, push.y, push.z))
    return "imu"


def _fix(data: bytes, _: Path) -> str:
    sample = decode_fix(data)
    theirs = _as_others_read(data, FIX)
    if theirs is None:
        return "alone"
    _same((sample.latitude_deg, sample.longitude_deg, sample.altitude_m), (theirs.latitude, theirs.longitude, theirs.altitude))
    assert sample.status == theirs.status.status
    return "fix"


def _ros1_seeds() -> list[bytes]:
    place = ("base", "lidar", (1.0, 2.0, 3.0), (0.0, 0.0, 0.6, 0.8))
    messages = (
        *(ros1_messages.cloud(), ros1_messages.imu(), ros1_messages.fix(), ros1_messages.odometry()),
        *(ros1_messages.transforms(place, place), ros1_messages.camera_info()),
    )
    types = sorted(ROS1_TYPES)
    return [bytes((types.index(one.__msgtype__),)) + ros1_messages.serialized(one) for one in messages]


def _ros1(data: bytes, _: Path) -> str:
    """The first byte names the type. A transcoded message decodes, or is refused, like the ROS 2 message that it became."""
    message_type = sorted(ROS1_TYPES)[data[0] % len(ROS1_TYPES)] if data else IMU
    cdr = ros1_to_cdr(message_type, data[1:])
    if message_type == TRANSFORMS:  # which alone has no header of its own
        assert all(math.isfinite(value) for found in decode_transforms(cdr) for value in found.parent_SE3_child.translation_m)
        return message_type
    if message_type == CAMERA_INFO:
        lens = decode_camera_info(cdr)
        assert (lens.intrinsics is None) == bool(lens.reason)
    stamp_ns = peek_ros1_stamp_ns(data[1:])
    assert peek_stamp_ns(cdr) == stamp_ns
    return message_type


def _peek(data: bytes, _: Path) -> str:
    stamp_ns = peek_stamp_ns(data)
    assert -(2**31) * 10**9 <= stamp_ns < 2**31 * 10**9
    return "negative" if stamp_ns < 0 else "stamp"


def _message(name: str, seeds: Callable[[], list[bytes]], run: Callable[[bytes, Path], str], **more: Any) -> Target:
    return Target(f"messages.{name}", seeds, run, (DecodeError,), **more)


TARGETS = (
    _message("points", recordings.point_messages, _points, memory_bytes=proportional(160)),
    _message("image", recordings.image_messages, _image_message, mutate=with_tokens(b"png", b"jpeg", b"\xff\xd8\xff")),
    _message("odometry", recordings.pose_messages, _odometry),
    _message("imu", recordings.imu_messages, _imu),
    _message("fix", recordings.fix_messages, _fix),
    _message("peek", lambda: [*recordings.imu_messages(), *recordings.fix_messages()], _peek),
    _message("ros1", _ros1_seeds, _ros1, memory_bytes=proportional(8)),
)
