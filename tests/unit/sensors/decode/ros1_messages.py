"""ROS 1 messages and bags, written by `rosbags`, and the same messages as that package converts them to CDR."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
IMAGE = "sensor_msgs/msg/CompressedImage"
RAW_IMAGE = "sensor_msgs/msg/Image"
IMU = "sensor_msgs/msg/Imu"
FIX = "sensor_msgs/msg/NavSatFix"
ODOMETRY = "nav_msgs/msg/Odometry"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"
TRANSFORM_STAMPED = "geometry_msgs/msg/TransformStamped"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
STRING = "std_msgs/msg/String"

STAMP_NS = 1_700_000_000_123_456_789


@cache
def typestore(distribution: Stores) -> Typestore:
    """Of a ROS distribution, and tf2's message, which `rosbags` does not bring."""
    store = get_typestore(distribution)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", TRANSFORMS))
    return store


def noetic() -> Typestore:
    return typestore(Stores.ROS1_NOETIC)


def make(kind: str, /, **members: Any) -> Any:
    return noetic().types[kind](**members)


def header(stamp_ns: int = STAMP_NS, frame_id: str = "base", seq: int = 7) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return make(
        "std_msgs/msg/Header", seq=seq, stamp=make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec), frame_id=frame_id
    )


def xyz(kind: str, *values: float) -> Any:
    names = "xyzw"[: len(values)]
    return make(f"geometry_msgs/msg/{kind}", **dict(zip(names, values, strict=True)))


def pose() -> Any:
    return make(
        "geometry_msgs/msg/Pose", position=xyz("Point", 1.5, -2.5, 3.5), orientation=xyz("Quaternion", 0.0, 0.0, 0.6, 0.8)
    )


def numbers(count: int, start: float = 0.5) -> Any:
    return np.arange(count, dtype=np.float64) + start


def cloud(stamp_ns: int = STAMP_NS, frame_id: str = "lidar") -> Any:
    points = np.array([(1, 2, 3, 10), (0, 0, 0, 20), (4, 5, 6, 90_000_000)], dtype="<f4,<f4,<f4,<u4")
    members = [("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("t", 12, 6)]
    fields = [make("sensor_msgs/msg/PointField", name=n, offset=o, datatype=d, count=1) for n, o, d in members]
    return make(
        POINT_CLOUD,
        header=header(stamp_ns, frame_id),
        height=1,
        width=3,
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=48,
        data=np.frombuffer(points.tobytes(), np.uint8),
        is_dense=True,
    )


def raw_image(stamp_ns: int, encoding: str, pixels: Any, step: int | None = None) -> Any:
    height, width = pixels.shape[:2]
    data = np.frombuffer(pixels.tobytes(), np.uint8)
    step = step or data.size // height
    return make(
        RAW_IMAGE,
        header=header(stamp_ns, "camera"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data,
    )


def compressed(stamp_ns: int, form: str, data: bytes) -> Any:
    return make(IMAGE, header=header(stamp_ns, "camera"), format=form, data=np.frombuffer(data, np.uint8))


def imu(stamp_ns: int = STAMP_NS) -> Any:
    return make(
        IMU,
        header=header(stamp_ns, "imu"),
        orientation=xyz("Quaternion", 0.0, 0.0, 0.0, 1.0),
        orientation_covariance=numbers(9),
        angular_velocity=xyz("Vector3", 0.1, 0.2, 0.3),
        angular_velocity_covariance=numbers(9, 10),
        linear_acceleration=xyz("Vector3", 1.1, 2.2, 9.8),
        linear_acceleration_covariance=numbers(9, 20),
    )


def fix(stamp_ns: int = STAMP_NS) -> Any:
    return make(
        FIX,
        header=header(stamp_ns, "gnss"),
        status=make("sensor_msgs/msg/NavSatStatus", status=-1, service=3),
        latitude=48.1,
        longitude=11.5,
        altitude=519.0,
        position_covariance=numbers(9),
        position_covariance_type=2,
    )


def odometry(stamp_ns: int = STAMP_NS) -> Any:
    twist = make("geometry_msgs/msg/Twist", linear=xyz("Vector3", 1.0, 2.0, 3.0), angular=xyz("Vector3", 4.0, 5.0, 6.0))
    return make(
        ODOMETRY,
        header=header(stamp_ns, "odom"),
        child_frame_id="base_link",
        pose=make("geometry_msgs/msg/PoseWithCovariance", pose=pose(), covariance=numbers(36)),
        twist=make("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=numbers(36, 50)),
    )


def pose_stamped(stamp_ns: int = STAMP_NS) -> Any:
    return make(POSE_STAMPED, header=header(stamp_ns, "map"), pose=pose())


def pose_with_covariance(stamp_ns: int = STAMP_NS) -> Any:
    covered = make("geometry_msgs/msg/PoseWithCovariance", pose=pose(), covariance=numbers(36))
    return make(POSE_WITH_COVARIANCE, header=header(stamp_ns, "map"), pose=covered)


def transform_stamped(stamp_ns: int = STAMP_NS) -> Any:
    moved = make(
        "geometry_msgs/msg/Transform", translation=xyz("Vector3", 1.5, -2.5, 3.5), rotation=xyz("Quaternion", 0.0, 0.0, 0.6, 0.8)
    )
    return make(TRANSFORM_STAMPED, header=header(stamp_ns, "map"), child_frame_id="car", transform=moved)


def transforms(*places: tuple[str, str, tuple[float, ...], tuple[float, ...]]) -> Any:
    """(parent, child, x y z, qx qy qz qw) of each."""
    found = [
        make(
            TRANSFORM_STAMPED,
            header=header(STAMP_NS, parent),
            child_frame_id=child,
            transform=make(
                "geometry_msgs/msg/Transform", translation=xyz("Vector3", *place_m), rotation=xyz("Quaternion", *xyzw)
            ),
        )
        for parent, child, place_m, xyzw in places
    ]
    return make(TRANSFORMS, transforms=found)


def camera_info(
    frame_id: str = "camera", model: str = "plumb_bob", distortion: tuple[float, ...] = (0.1, -0.2, 0.0, 0.01, 0.0)
) -> Any:
    return make(
        CAMERA_INFO,
        header=header(STAMP_NS, frame_id),
        height=6,
        width=8,
        distortion_model=model,
        D=np.array(distortion),
        K=np.array([10.0, 0.0, 4.0, 0.0, 11.0, 3.0, 0.0, 0.0, 1.0]),
        R=numbers(9),
        P=numbers(12),
        binning_x=0,
        binning_y=0,
        roi=make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def serialized(message: Any) -> bytes:
    return bytes(noetic().serialize_ros1(message, message.__msgtype__))


def as_cdr(message: Any) -> bytes:
    """What `rosbags` makes of the message in ROS 2."""
    return bytes(typestore(Stores.ROS2_HUMBLE).ros1_to_cdr(serialized(message), message.__msgtype__))


def write_bag(
    path: Path, messages: list[tuple[str, Any, int]], compression: str = "none", chunk_bytes: int | None = None
) -> Path:
    """A bag of (topic, message, log time)."""
    writer = Writer(path)
    if compression != "none":
        writer.set_compression(writer.CompressionFormat[compression.upper()])
    if chunk_bytes is not None:
        writer.chunk_threshold = chunk_bytes
    with writer:
        connections: dict[str, Any] = {}
        for topic, message, log_ns in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.__msgtype__, typestore=noetic())
            writer.write(connections[topic], log_ns, serialized(message))
    return path
