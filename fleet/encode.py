"""Encoders of the five message types that a sensor object may hold, as little-endian ROS 2 CDR.

For code that writes recordings: the fleet and the tests. In MCAP: profile `ros2`, message encoding `cdr`, schema encoding
`ros2msg` with `message_definition` as the schema's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore
from rosbags.typesys.stores import ros2_humble as ros

from sensors.decode.messages import FIX, IMAGE, IMU, ODOMETRY, POINT_CLOUD
from sensors.decode.points import PointField
from sensors.geometry import SE3
from sensors.time_units import NS_PER_S

MCAP_PROFILE = "ros2"
MESSAGE_ENCODING = "cdr"
SCHEMA_ENCODING = "ros2msg"

UNKNOWN_COVARIANCE = (-1.0, *[0.0] * 8)  # Imu.msg: "If you have no estimate ... set element 0 ... to -1"
MAX_SEC = 2**31 - 1  # builtin_interfaces/msg/Time.sec is int32


def message_definition(message_type: str) -> str:
    """The definition of a message type and of all types it uses, in the format `ros2msg` of MCAP.

    Raises:
        ValueError: ROS 2 Humble has no such type.
    """
    if message_type not in _typestore().fielddefs:
        raise ValueError(f"no ROS 2 Humble message type is called {message_type!r}")
    return _typestore().generate_msgdef(message_type, ros_version=2)[0]


def encode_points(
    stamp_ns: int,
    frame_id: str,
    fields: Sequence[PointField],
    data: bytes | bytearray | memoryview | npt.NDArray[Any],
    *,
    point_step: int | None = None,
    is_bigendian: bool = False,
    is_dense: bool = False,
) -> bytes:
    """Encode an unorganised cloud (height 1) whose points lie one after another in `data`.

    `data` may be a structured array: `encode_points(stamp_ns, frame_id, point_fields(points.dtype), points)`.
    `point_step` is the size of a point in bytes; by default the item size of a structured array, else the end of the
    last field.

    Raises:
        ValueError: A field extends beyond the point, the data is not a whole number of points, or the stamp does not fit.
    """
    if point_step is None:
        packed = max((field.offset + field.size for field in fields), default=0)
        point_step = data.dtype.itemsize if isinstance(data, np.ndarray) and data.dtype.names else packed
    raw = np.frombuffer(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data, dtype=np.uint8)
    outside = [field.name for field in fields if field.offset + field.size > point_step]
    if outside:
        raise ValueError(f"fields {', '.join(outside)} end beyond the point of {point_step} bytes")
    if point_step < 1 or raw.size % point_step:
        raise ValueError(f"{raw.size} bytes are not a whole number of points of {point_step} bytes")
    return _serialize(
        POINT_CLOUD,
        header=_header(stamp_ns, frame_id),
        height=1,
        width=raw.size // point_step,
        fields=[ros.sensor_msgs__msg__PointField(f.name, f.offset, int(f.datatype), f.count) for f in fields],
        is_bigendian=is_bigendian,
        point_step=point_step,
        row_step=raw.size,
        data=raw,
        is_dense=is_dense,
    )


def encode_image(stamp_ns: int, frame_id: str, encoding: str, data: bytes | memoryview) -> bytes:
    """Encode an already compressed image; `encoding` is `jpeg` or `png`.

    Raises:
        ValueError: Another encoding, or the stamp does not fit.
    """
    if encoding not in ("jpeg", "png"):
        raise ValueError(f"image encoding must be 'jpeg' or 'png', got {encoding!r}")
    raw = np.frombuffer(data, dtype=np.uint8)
    return _serialize(IMAGE, header=_header(stamp_ns, frame_id), format=encoding, data=raw)


def encode_pose(stamp_ns: int, odom_SE3_ego: SE3, frame_id: str = "odom", child_frame_id: str = "base_link") -> bytes:
    """Encode an ego pose as Odometry, with zero twist and zero (unknown) covariance.

    Raises:
        ValueError: The stamp does not fit.
    """
    x_m, y_m, z_m = (float(value) for value in odom_SE3_ego.translation_m)
    qw, qx, qy, qz = (float(value) for value in odom_SE3_ego.wxyz)
    pose = ros.geometry_msgs__msg__Pose(
        ros.geometry_msgs__msg__Point(x_m, y_m, z_m), ros.geometry_msgs__msg__Quaternion(x=qx, y=qy, z=qz, w=qw)
    )
    still = ros.geometry_msgs__msg__Twist(_vector((0.0, 0.0, 0.0)), _vector((0.0, 0.0, 0.0)))
    return _serialize(
        ODOMETRY,
        header=_header(stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=ros.geometry_msgs__msg__PoseWithCovariance(pose, np.zeros(36)),
        twist=ros.geometry_msgs__msg__TwistWithCovariance(still, np.zeros(36)),
    )


def encode_imu(
    stamp_ns: int,
    angular_velocity_rad_s: Sequence[float] | npt.NDArray[np.float64],
    linear_acceleration_m_s2: Sequence[float] | npt.NDArray[np.float64],
    frame_id: str = "imu",
) -> bytes:
    """Encode angular velocity (3,) and linear acceleration (3,), without an orientation estimate.

    Raises:
        ValueError: A vector has not three values, or the stamp does not fit.
    """
    return _serialize(
        IMU,
        header=_header(stamp_ns, frame_id),
        orientation=ros.geometry_msgs__msg__Quaternion(x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=np.array(UNKNOWN_COVARIANCE),
        angular_velocity=_vector(angular_velocity_rad_s),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=_vector(linear_acceleration_m_s2),
        linear_acceleration_covariance=np.zeros(9),
    )


def encode_fix(stamp_ns: int, latitude_deg: float, longitude_deg: float, altitude_m: float, frame_id: str = "gnss") -> bytes:
    """Encode a WGS 84 position with status "fix" (GPS) and unknown covariance.

    Raises:
        ValueError: The stamp does not fit.
    """
    status = ros.sensor_msgs__msg__NavSatStatus
    return _serialize(
        FIX,
        header=_header(stamp_ns, frame_id),
        status=status(status=status.STATUS_FIX, service=status.SERVICE_GPS),
        latitude=float(latitude_deg),
        longitude=float(longitude_deg),
        altitude=float(altitude_m),
        position_covariance=np.zeros(9),
        position_covariance_type=ros.sensor_msgs__msg__NavSatFix.COVARIANCE_TYPE_UNKNOWN,
    )


@cache
def _typestore() -> Typestore:
    return get_typestore(Stores.ROS2_HUMBLE)


def _serialize(message_type: str, **members: Any) -> bytes:
    store = _typestore()
    return bytes(store.serialize_cdr(store.types[message_type](**members), message_type, little_endian=True))


def _header(stamp_ns: int, frame_id: str) -> ros.std_msgs__msg__Header:
    sec, nanosec = divmod(int(stamp_ns), NS_PER_S)
    if not 0 <= sec <= MAX_SEC:
        raise ValueError(f"stamp {stamp_ns} ns does not fit a ROS time, which ends at {MAX_SEC} s")
    return ros.std_msgs__msg__Header(ros.builtin_interfaces__msg__Time(sec, nanosec), frame_id)


def _vector(values: Sequence[float] | npt.NDArray[np.float64]) -> ros.geometry_msgs__msg__Vector3:
    x, y, z = (float(value) for value in values)
    return ros.geometry_msgs__msg__Vector3(x, y, z)
