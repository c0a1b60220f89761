"""Decoders against the project's encoders, against rosbags in the other byte order, and against hostile bytes."""

from __future__ import annotations

import math
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from fleet.encode import encode_fix, encode_image, encode_imu, encode_points, encode_pose, message_definition
from sensors.decode.images import EncodedImage
from sensors.decode.messages import (
    FIX,
    IMAGE,
    IMU,
    MESSAGE_TYPES,
    ODOMETRY,
    POINT_CLOUD,
    FixSample,
    ImuSample,
    PoseSample,
    decode,
    decode_image,
    decode_points,
    decode_pose,
    peek_stamp_ns,
)
from sensors.decode.points import Datatype, PointCloud, PointField, point_fields
from sensors.errors import DecodeError, UnknownTypeError
from sensors.geometry import SE3
from sensors.rig import Modality

STORE = get_typestore(Stores.ROS2_HUMBLE)
STAMP_NS = 1_700_000_000_123_456_789
STAMPS = st.integers(0, 2**31 * 10**9 - 1)
FRAMES = st.text(max_size=30).filter(lambda text: "\0" not in text)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
POINT = np.dtype(
    {
        "names": ["x", "y", "z", "t", "ring"],
        "formats": ["<f4", "<f4", "<f4", "<u4", "u1"],
        "offsets": [0, 4, 8, 16, 24],
        "itemsize": 32,
    }
)


@st.composite
def structured(draw: st.DrawFn) -> np.ndarray[Any, np.dtype[Any]]:
    kinds = st.sampled_from([kind.dtype.newbyteorder("<") for kind in Datatype])
    members = draw(st.lists(st.tuples(kinds, st.integers(1, 3)), min_size=1, max_size=6))
    dtype = np.dtype([(f"f{i}", kind, (count,)) if count > 1 else (f"f{i}", kind) for i, (kind, count) in enumerate(members)])
    raw = draw(st.binary(min_size=0, max_size=dtype.itemsize * 4))
    return np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype=dtype)


@given(STAMPS, FRAMES, structured())
def test_points_survive_the_way(stamp_ns: int, frame_id: str, points: np.ndarray[Any, np.dtype[Any]]) -> None:
    cdr = encode_points(stamp_ns, frame_id, point_fields(points.dtype), points)
    cloud = decode_points(cdr)
    assert (cloud.stamp_ns, cloud.frame_id, cloud.num_points, cloud.is_bigendian) == (stamp_ns, frame_id, len(points), False)
    assert cloud.fields == point_fields(points.dtype)
    assert bytes(cloud.data) == points.tobytes()
    assert points.dtype.names is not None
    for name in points.dtype.names:
        assert cloud.column(name).tobytes() == points[name].tobytes()
    assert peek_stamp_ns(cdr) == stamp_ns


@given(STAMPS, FRAMES, st.sampled_from(["jpeg", "png"]), st.binary(max_size=200))
def test_an_image_survives_the_way(stamp_ns: int, frame_id: str, encoding: str, data: bytes) -> None:
    cdr = encode_image(stamp_ns, frame_id, encoding, data)
    assert decode_image(cdr) == EncodedImage(stamp_ns, frame_id, encoding, memoryview(data))  # type: ignore[arg-type]
    assert peek_stamp_ns(cdr) == stamp_ns


@given(STAMPS, st.tuples(FINITE, FINITE, FINITE), st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1))
def test_a_pose_survives_the_way(stamp_ns: int, translation_m: tuple[float, ...], rotation: tuple[float, ...]) -> None:
    unit = np.array(rotation) / math.hypot(*rotation)
    pose = SE3.from_wxyz(translation_m, unit)
    sample = decode_pose(encode_pose(stamp_ns, pose))
    assert sample.stamp_ns == stamp_ns
    assert sample.odom_SE3_ego.translation_m.tolist() == list(translation_m)
    np.testing.assert_allclose(sample.odom_SE3_ego.wxyz, pose.wxyz, rtol=0, atol=1e-15)


@given(STAMPS, st.tuples(FINITE, FINITE, FINITE), st.tuples(FINITE, FINITE, FINITE))
def test_an_imu_sample_survives_the_way(stamp_ns: int, rates: tuple[float, ...], accelerations: tuple[float, ...]) -> None:
    assert decode(IMU, encode_imu(stamp_ns, rates, accelerations)) == ImuSample(stamp_ns, rates, accelerations)  # type: ignore[arg-type]


@given(STAMPS, FINITE, FINITE, FINITE)
def test_a_fix_survives_the_way(stamp_ns: int, latitude_deg: float, longitude_deg: float, altitude_m: float) -> None:
    cdr = encode_fix(stamp_ns, latitude_deg, longitude_deg, altitude_m)
    assert decode(FIX, cdr) == FixSample(stamp_ns, latitude_deg, longitude_deg, altitude_m, status=0)


def encoded() -> dict[str, bytes]:
    points = np.zeros(3, dtype=POINT)
    points["x"], points["ring"] = [1, 2, 3], [7, 8, 9]
    return {
        POINT_CLOUD: encode_points(STAMP_NS, "lidar", point_fields(POINT), points),
        IMAGE: encode_image(STAMP_NS, "camera", "jpeg", b"\xff\xd8\xff data"),
        ODOMETRY: encode_pose(STAMP_NS, SE3.from_wxyz((1, 2, 3), (0.5, 0.5, 0.5, -0.5))),
        IMU: encode_imu(STAMP_NS, (0.1, 0.2, 0.3), (1, 2, 9.81)),
        FIX: encode_fix(STAMP_NS, 48.1, 11.5, 520.0),
    }


def as_bigendian(message_type: str, cdr: bytes) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.deserialize_cdr(cdr, message_type), message_type, little_endian=False))


@pytest.mark.parametrize("message_type", encoded())
def test_big_endian_messages_say_the_same(message_type: str) -> None:
    little = encoded()[message_type]
    big = as_bigendian(message_type, little)
    assert big != little
    assert peek_stamp_ns(big) == peek_stamp_ns(little) == STAMP_NS
    one, other = decode(message_type, little), decode(message_type, big)
    if isinstance(one, PointCloud) and isinstance(other, PointCloud):
        assert (one.fields, one.num_points, one.data) == (other.fields, other.num_points, other.data)
    else:
        assert one == other


@pytest.mark.parametrize("message_type", encoded())
def test_a_cut_message_is_refused_wherever_it_is_cut(message_type: str) -> None:
    cdr = encoded()[message_type]
    for cut in range(len(cdr)):
        with pytest.raises(DecodeError):
            decode(message_type, cdr[:cut])
    decode(message_type, cdr + b"\0\0\0")
    with pytest.raises(DecodeError, match="longer than its lengths say"):
        decode(message_type, cdr + b"\0\0\0\0")


@pytest.mark.parametrize("message_type", encoded())
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_decodes_or_raises_decode_error(message_type: str, data: st.DataObject) -> None:
    cdr = bytearray(encoded()[message_type])
    for _ in range(data.draw(st.integers(1, 4))):
        cdr[data.draw(st.integers(0, len(cdr) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(message_type, bytes(cdr))
        if isinstance(decoded, PointCloud):
            for name in decoded.names:
                assert len(decoded.column(name)) == decoded.num_points
    except DecodeError:
        pass


def test_points_and_images_are_views_of_the_message() -> None:
    messages = encoded()
    cloud, image = decode_points(messages[POINT_CLOUD]), decode_image(messages[IMAGE])
    assert cloud.data.obj is messages[POINT_CLOUD]
    assert image.data.obj is messages[IMAGE]
    assert cloud.data.readonly
    assert not cloud.column("x").flags.writeable


def cloud_message(**changes: Any) -> bytes:
    """A cloud of 2 rows of 3 points of 16 bytes (x at 0, y at 4, z at 8), with some members changed."""
    store = STORE.types
    fields = [store["sensor_msgs/msg/PointField"](name, offset, 7, 1) for name, offset in (("x", 0), ("y", 4), ("z", 8))]
    header = store["std_msgs/msg/Header"](store["builtin_interfaces/msg/Time"](1, 2), "lidar")
    members: dict[str, Any] = {
        "height": 2,
        "width": 3,
        "fields": fields,
        "is_bigendian": False,
        "point_step": 16,
        "row_step": 48,
        "data": np.arange(96, dtype=np.uint8),
        "is_dense": True,
    } | changes
    message = store["sensor_msgs/msg/PointCloud2"](header=header, **members)
    return bytes(STORE.serialize_cdr(message, POINT_CLOUD, little_endian=True))


def field(name: str, offset: int, datatype: int, count: int) -> list[Any]:
    return [STORE.types["sensor_msgs/msg/PointField"](name, offset, datatype, count)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_step": 47}, "2 rows of 47 bytes make 94, but there are 96"),
        ({"width": 4}, "4 points of 16 bytes make 64, but a row has 48"),
        ({"height": 2**32 - 1, "width": 2**32 - 1}, "4294967295 rows"),
        ({"point_step": 11}, "field 'z' ends at byte 12 of a point of 11 bytes"),
        ({"fields": field("x", 2**32 - 1, 7, 1)}, "ends at byte 4294967299"),
        ({"fields": field("x", 0, 8, 2**32 - 1)}, "ends at byte 34359738360"),
        ({"fields": field("x", 0, 9, 1)}, "datatype 9"),
        ({"fields": field("x", 0, 0, 1)}, "datatype 0"),
        ({"fields": field("x", 0, 7, 0)}, "0 values"),
        ({"fields": field("x", 0, 7, 1) * 2}, "twice"),
        ({"fields": field("x", 0, 1, 1) * 129}, "129 fields, the limit is 128"),
        ({"fields": field("n" * 5000, 0, 1, 1)}, "takes 5001 bytes, the limit is 4096"),
        ({"fields": [], "point_step": 0}, "6 points of 0 bytes"),
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused_with_the_numbers(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_points(cloud_message(**changes))


def test_padding_at_the_end_of_rows_is_removed() -> None:
    cloud = decode_points(cloud_message(width=2))
    assert cloud.num_points == 4
    assert bytes(cloud.data) == bytes(range(32)) + bytes(range(48, 80))


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 0, "width": 0, "row_step": 0, "data": np.empty(0, np.uint8)},
        {"height": 1, "width": 0, "row_step": 0, "data": np.empty(0, np.uint8)},
        {"width": 0},
        {"height": 0, "row_step": 48, "data": np.empty(0, np.uint8)},
        {"height": 0, "width": 0, "row_step": 0, "point_step": 0, "fields": [], "data": np.empty(0, np.uint8)},
    ],
)
def test_a_cloud_without_points_is_a_cloud(changes: dict[str, Any]) -> None:
    cloud = decode_points(cloud_message(**changes))
    assert (cloud.num_points, len(cloud.data)) == (0, 0)
    for name in cloud.names:
        assert cloud.column(name).shape == (0,)


@pytest.mark.parametrize("member", ["frame_id", "fields", "data"])
def test_a_claimed_length_allocates_nothing(member: str) -> None:
    cdr = bytearray(cloud_message())
    at = {"frame_id": 12, "fields": 32, "data": len(cdr) - 97 - 4}[member]
    assert struct.unpack_from("<I", cdr, at)[0] in (6, 3, 96)
    cdr[at : at + 4] = b"\xff" * 4
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode_points(bytes(cdr))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def header(sec: int, nanosec: int, order: str) -> bytes:
    return bytes([0, int(order == "<"), 0, 0]) + struct.pack(f"{order}iI", sec, nanosec)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("sec", "nanosec", "stamp_ns"),
    [
        (0, 0, 0),
        (1, 5, 1_000_000_005),
        (2**31 - 1, 999_999_999, 2_147_483_647_999_999_999),
        (-1, 999_999_999, -1),
        (-(2**31), 0, -(2**31) * 10**9),
    ],
)
def test_a_stamp_is_read_from_the_first_twelve_bytes(order: str, sec: int, nanosec: int, stamp_ns: int) -> None:
    assert peek_stamp_ns(header(sec, nanosec, order)) == stamp_ns
    assert peek_stamp_ns(memoryview(header(sec, nanosec, order) + b"rest")) == stamp_ns


@pytest.mark.parametrize(
    ("cdr", "message"),
    [
        (header(1, 10**9, "<"), "1000000000 nanoseconds"),
        (header(1, 2**32 - 1, ">"), "4294967295 nanoseconds"),
        (header(1, 2, "<")[:11], "stamp nanoseconds takes 4 bytes"),
        (b"\x00\x01\x00", "3 bytes lacks its encapsulation"),
        (b"", "0 bytes lacks"),
        (b"\x00\x03\x00\x00" + b"\0" * 8, "0x00 0x03"),
        (b"\x01\x00\x00\x00" + b"\0" * 8, "0x01 0x00"),
    ],
)
def test_a_stamp_that_is_none_is_refused(cdr: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        peek_stamp_ns(cdr)


@pytest.mark.parametrize(
    ("name", "data", "encoding"),
    [
        ("jpeg", b"", "jpeg"),
        ("jpg", b"", "jpeg"),
        ("PNG", b"", "png"),
        ("bgr8; jpeg compressed bgr8", b"", "jpeg"),
        ("16UC1; png compressed ", b"", "png"),
        ("", b"\xff\xd8\xff\xe0", "jpeg"),
        ("mono8", b"\x89PNG\r\n\x1a\n", "png"),
    ],
)
def test_the_encoding_of_an_image(name: str, data: bytes, encoding: str) -> None:
    store = STORE.types
    header = store["std_msgs/msg/Header"](store["builtin_interfaces/msg/Time"](1, 2), "cam")
    message = store[IMAGE](header=header, format=name, data=np.frombuffer(data, np.uint8))
    assert decode_image(bytes(STORE.serialize_cdr(message, IMAGE))).encoding == encoding


def test_an_image_of_no_known_encoding_is_refused() -> None:
    cdr = encode_image(1, "cam", "jpeg", b"RIFF....WEBP").replace(b"jpeg", b"webp")
    with pytest.raises(DecodeError, match="neither JPEG nor PNG"):
        decode_image(cdr)


def edit_pose(**members: float) -> bytes:
    message: Any = STORE.deserialize_cdr(encoded()[ODOMETRY], ODOMETRY)
    for name, value in members.items():
        target = message.pose.pose.orientation if name.startswith("q") else message.pose.pose.position
        object.__setattr__(target, name.removeprefix("q"), value)
    return bytes(STORE.serialize_cdr(message, ODOMETRY))


@pytest.mark.parametrize(
    ("cdr", "message"),
    [
        (edit_pose(qw=0, qx=0, qy=0, qz=0), "no unit quaternion"),
        (edit_pose(qw=0.51), "no unit quaternion"),
        (edit_pose(x=math.nan), "not finite"),
        (edit_pose(qz=math.inf), "not finite"),
    ],
)
def test_a_pose_that_is_none_is_refused(cdr: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_pose(cdr)


def test_every_type_of_every_modality_has_a_decoder_and_no_other_type_has() -> None:
    messages = encoded()
    assert set(MESSAGE_TYPES) == set(Modality)
    assert {name for names in MESSAGE_TYPES.values() for name in names} == set(messages)
    assert {type(decode(name, cdr)) for name, cdr in messages.items()} == {
        PointCloud,
        EncodedImage,
        PoseSample,
        ImuSample,
        FixSample,
    }
    with pytest.raises(UnknownTypeError, match="sensor_msgs/msg/Image"):
        decode("sensor_msgs/msg/Image", b"")


@pytest.mark.parametrize("message_type", encoded())
def test_message_definitions_describe_the_bytes(message_type: str) -> None:
    """A reader that uses only the definition in the file decodes the encoders' output."""
    definition = message_definition(message_type)
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, message_type))
    message: Any = store.deserialize_cdr(encoded()[message_type], message_type)
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: message_definition("no/msg/Such"), "no/msg/Such"),
        (lambda: encode_image(0, "f", "webp", b""), "webp"),
        (lambda: encode_fix(2**31 * 10**9, 0, 0, 0), "2147483648000000000 ns does not fit"),
        (lambda: encode_fix(-1, 0, 0, 0), "-1 ns does not fit"),
        (
            lambda: encode_points(0, "f", [PointField("x", 0, Datatype.FLOAT32)], b"12345"),
            "5 bytes are not a whole number of points of 4",
        ),
        (lambda: encode_points(0, "f", [PointField("x", 2, Datatype.FLOAT32)], b"1234", point_step=4), "fields x end beyond"),
        (lambda: encode_points(0, "f", [], b""), "points of 0 bytes"),
        (lambda: point_fields(np.dtype("f4")), "no structured type"),
        (lambda: point_fields(np.dtype([("x", "f2")])), "member x is float16"),
    ],
)
def test_encoders_refuse_what_would_not_decode(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


TABLES = st.lists(
    st.tuples(st.sampled_from(("x", "y", "ring", "intensity")), st.integers(0, 3), st.sampled_from(list(Datatype))),
    max_size=3,
    unique_by=lambda field: field[0],
)


@given(st.lists(st.tuples(TABLES, st.sampled_from(("", "a", "lidar"))), min_size=2, max_size=8))
def test_a_remembered_table_of_fields_is_that_of_the_message(clouds: list[tuple[list[tuple[str, int, Datatype]], str]]) -> None:
    for table, frame_id in clouds:
        fields = tuple(PointField(name, offset, datatype) for name, offset, datatype in table)
        step = max((field.offset + field.size for field in fields), default=1)
        found = decode_points(encode_points(1, frame_id, fields, bytes(2 * step), point_step=step))
        assert (found.fields, found.num_points, found.frame_id) == (fields, 2, frame_id)
