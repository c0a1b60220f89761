"""Decoders of the ROS 2 messages that a sensor object may hold.

They read CDR in place: image and point data are views of the message that was passed in, and keep it alive.
Message definitions: ROS 2 Humble, `common_interfaces`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from sensors.decode.cdr import (
    ENCAPSULATION_BYTES,
    LITTLE_ENDIAN,
    MAX_FORMS,
    MAX_REMEMBERED_BYTES,
    Bytes,
    CdrReader,
    Parsed,
    Repeated,
)
from sensors.decode.images import EncodedImage, image_encoding
from sensors.decode.points import Datatype, PointCloud, PointField
from sensors.errors import DecodeError, UnknownTypeError
from sensors.geometry import SE3, finite, unit_quaternion
from sensors.rig import Modality
from sensors.time_units import NS_PER_S

STAMP_BYTES = 8


class PosePlaces:
    """Known positions of the pose, by the length of the message and the bytes before the pose.

    Everything else in the message has a fixed size, so what is true of one message's lengths is true of every message that is
    as long and names the same frames in the same byte order.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[struct.Struct, bytes, bytes]] = {}

    def values(self, cdr: Bytes) -> tuple[float, ...] | None:
        """The seven numbers of the pose as stored; None if no earlier message had this form."""
        known = self._known.get(len(cdr))
        if known is None:
            return None
        layout, encapsulation, names = known
        found = layout.unpack_from(cdr)
        return found[2:] if found[0] == encapsulation and found[1] == names else None

    def remember(self, cdr: Bytes, at: int, order: str) -> None:
        """A message that decodes, whose pose begins at byte `at` and is in this byte order (`<` or `>`)."""
        names_at = ENCAPSULATION_BYTES + STAMP_BYTES
        if at - names_at > MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= MAX_FORMS:
            self._known.clear()
        layout = struct.Struct(f"{order}{ENCAPSULATION_BYTES}s{STAMP_BYTES}x{at - names_at}s7d")
        self._known[len(cdr)] = (layout, bytes(cdr[:ENCAPSULATION_BYTES]), bytes(cdr[names_at:at]))


POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
IMAGE = "sensor_msgs/msg/CompressedImage"
ODOMETRY = "nav_msgs/msg/Odometry"
IMU = "sensor_msgs/msg/Imu"
FIX = "sensor_msgs/msg/NavSatFix"

MESSAGE_TYPES: Mapping[Modality, tuple[str, ...]] = MappingProxyType(
    {
        Modality.LIDAR: (POINT_CLOUD,),
        Modality.CAMERA: (IMAGE,),
        Modality.RADAR: (POINT_CLOUD, IMAGE),
        Modality.POSE: (ODOMETRY,),
        Modality.IMU: (IMU,),
        Modality.GNSS: (FIX,),
    }
)

MAX_FIELDS = 128
LITTLE_HEAD = struct.Struct("<H2xiI")  # encapsulation, seconds and nanoseconds of the stamp
CDR_LE = LITTLE_ENDIAN << 8  # the encapsulation as it is read there
COVARIANCE_6X6 = 36
COVARIANCE_3X3 = 9


@dataclass(frozen=True, slots=True)
class PoseSample:
    """Where the ego frame was in the odometry frame."""

    stamp_ns: int
    odom_SE3_ego: SE3


@dataclass(frozen=True, slots=True)
class ImuSample:
    """Angular velocity and linear acceleration in the sensor's frame, x y z."""

    stamp_ns: int
    angular_velocity_rad_s: tuple[float, float, float]
    linear_acceleration_m_s2: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class FixSample:
    """A WGS 84 position. `status` is `NavSatStatus.status`: -1 no fix, 0 fix, 1 and 2 augmented."""

    stamp_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    status: int


Decoded: TypeAlias = PointCloud | EncodedImage | PoseSample | ImuSample | FixSample


def peek_stamp_ns(cdr: Bytes) -> int:
    """The stamp of a message that begins with a `std_msgs/msg/Header`, as all of `MESSAGE_TYPES` do.

    Reads 12 bytes and nothing else. Negative before 1970, as ROS allows.

    Raises:
        DecodeError: The encapsulation is no CDR, the message is shorter, or its nanoseconds exceed 999,999,999.
    """
    if len(cdr) >= LITTLE_HEAD.size:
        # The encapsulation that every recorder writes; the checks of `CdrReader` would only repeat this one.
        encapsulation, sec, nanosec = LITTLE_HEAD.unpack_from(cdr)
        if encapsulation == CDR_LE and nanosec < NS_PER_S:
            return int(sec * NS_PER_S + nanosec)
    return _stamp_ns(CdrReader(cdr[: LITTLE_HEAD.size]))


def decode(message_type: str, cdr: Bytes) -> Decoded:
    """Decode a message of any of `MESSAGE_TYPES`.

    Raises:
        UnknownTypeError: The message has another type.
        DecodeError: It does not decode.
    """
    if message_type not in _DECODERS:
        raise UnknownTypeError(f"no decoder knows {message_type!r}; the types are {', '.join(sorted(_DECODERS))}")
    return _DECODERS[message_type](cdr)


def message_header(reader: CdrReader, memory: MessageMemory | None = None) -> tuple[int, str]:
    """Stamp (ns) and frame of the `std_msgs/msg/Header` at the reader's position; `memory` as in `decode_points`.

    Raises:
        DecodeError: The message ends before, or the stamp's nanoseconds exceed 999,999,999.
    """
    return _stamp_ns(reader), _read(reader, _frame_id, None if memory is None else memory.frame_id)


def decode_points(cdr: Bytes, memory: MessageMemory | None = None) -> PointCloud:
    """Decode a `sensor_msgs/msg/PointCloud2`, whose fields may be in any order and byte order.

    `data` of the result is a view of `cdr`, unless the rows of an organised cloud are padded, which costs a copy. With the
    `memory` of messages decoded before, the parts that repeat are not parsed again, and `fields` is the same object.

    Raises:
        DecodeError: The message is cut short, or its sizes contradict each other.
    """
    reader = CdrReader(cdr)
    stamp_ns, frame_id = message_header(reader, memory)
    height, width = reader.u32("height"), reader.u32("width")
    form = _read(reader, _point_form, None if memory is None else memory.point_form)
    row_step = reader.u32("row_step")
    data = reader.byte_sequence("data")
    reader.boolean("is_dense")
    reader.finish()
    if row_step * height != len(data):
        raise DecodeError(
            f"{height} rows of {row_step} bytes make {row_step * height}, but there are {len(data)} bytes of points"
        )
    if width * form.point_step > row_step and height:
        size = width * form.point_step
        raise DecodeError(f"{width} points of {form.point_step} bytes make {size}, but a row has {row_step} bytes")
    num_points = height * width
    if num_points and form.point_step == 0:
        raise DecodeError(f"{num_points} points of 0 bytes")
    if num_points * form.point_step != len(data):
        data = _without_padding(data, height, row_step, width * form.point_step)
    return PointCloud(stamp_ns, frame_id, num_points, form.fields, form.point_step, form.is_bigendian, data)


def decode_image(cdr: Bytes, memory: MessageMemory | None = None) -> EncodedImage:
    """Decode a `sensor_msgs/msg/CompressedImage`, but not the image in it (see `images.inspect_image`).

    `encoding` is what the message's `format` says (`jpeg`, `png`, or the long form of `compressed_image_transport`),
    or, where it names neither, what the data begins with.

    Raises:
        DecodeError: The message is cut short, or the image is neither JPEG nor PNG.
    """
    reader = CdrReader(cdr)
    stamp_ns = _stamp_ns(reader)
    frame_id, name = _read(reader, _image_head, None if memory is None else memory.image_head)
    data = reader.byte_sequence("data")
    reader.finish()
    return EncodedImage(stamp_ns, frame_id, image_encoding(name, data), data)


def decode_pose(cdr: Bytes) -> PoseSample:
    """Decode the pose of a `nav_msgs/msg/Odometry`; covariances and twist are ignored.

    Raises:
        DecodeError: The message is cut short, or the pose is not finite or its quaternion no unit quaternion.
    """
    stamp_ns, translation_m, wxyz = _pose(cdr)
    try:
        return PoseSample(stamp_ns, SE3.from_wxyz(translation_m, wxyz))
    except ValueError as error:
        raise DecodeError(f"the pose at {stamp_ns} ns {error}") from error


def pose_values(cdr: Bytes, memory: MessageMemory | None = None) -> tuple[int, tuple[float, ...]]:
    """The result of `decode_pose` as numbers: the stamp (ns), and x y z in metres, qw qx qy qz.

    Raises:
        DecodeError: As `decode_pose`.
    """
    stamp_ns, translation_m, wxyz = _pose(cdr, memory)
    try:
        return stamp_ns, (*finite(translation_m), *unit_quaternion(wxyz))
    except ValueError as error:
        raise DecodeError(f"the pose at {stamp_ns} ns {error}") from error


def decode_imu(cdr: Bytes, memory: MessageMemory | None = None) -> ImuSample:
    """Decode a `sensor_msgs/msg/Imu`; orientation and covariances are ignored.

    Raises:
        DecodeError: The message is cut short.
    """
    reader = CdrReader(cdr)
    stamp_ns, _ = message_header(reader, memory)
    reader.skip_doubles(4 + COVARIANCE_3X3, "orientation")
    wx, wy, wz = reader.doubles(3, "angular velocity")
    reader.skip_doubles(COVARIANCE_3X3, "angular velocity covariance")
    ax, ay, az = reader.doubles(3, "linear acceleration")
    reader.skip_doubles(COVARIANCE_3X3, "linear acceleration covariance")
    reader.finish()
    return ImuSample(stamp_ns, (wx, wy, wz), (ax, ay, az))


def decode_fix(cdr: Bytes, memory: MessageMemory | None = None) -> FixSample:
    """Decode a `sensor_msgs/msg/NavSatFix`; the covariance is ignored.

    Raises:
        DecodeError: The message is cut short.
    """
    reader = CdrReader(cdr)
    stamp_ns, _ = message_header(reader, memory)
    status = reader.i8("status")
    reader.u16("service")
    latitude_deg, longitude_deg, altitude_m = reader.doubles(3, "position")
    reader.skip_doubles(COVARIANCE_3X3, "position covariance")
    reader.u8("position covariance type")
    reader.finish()
    return FixSample(stamp_ns, latitude_deg, longitude_deg, altitude_m, status)


_DECODERS: Mapping[str, Callable[[Bytes], Decoded]] = MappingProxyType(
    {POINT_CLOUD: decode_points, IMAGE: decode_image, ODOMETRY: decode_pose, IMU: decode_imu, FIX: decode_fix}
)


def _stamp_ns(reader: CdrReader) -> int:
    sec, nanosec = reader.i32("stamp seconds"), reader.u32("stamp nanoseconds")
    if nanosec >= NS_PER_S:
        raise DecodeError(f"the stamp has {nanosec} nanoseconds, a second has {NS_PER_S}")
    return sec * NS_PER_S + nanosec


def _pose(cdr: Bytes, memory: MessageMemory | None = None) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    values = memory.poses.values(cdr) if memory is not None else None
    if values is not None:
        stamp_ns = peek_stamp_ns(cdr)
    else:
        reader = CdrReader(cdr)
        stamp_ns, _ = message_header(reader)
        reader.string("child_frame_id")
        values = reader.doubles(7, "pose")
        at = len(cdr) - reader.remaining - 8 * len(values)
        reader.skip_doubles(COVARIANCE_6X6 + 6 + COVARIANCE_6X6, "covariances and twist")
        reader.finish()
        if memory is not None:
            memory.poses.remember(cdr, at, reader.order)
    x_m, y_m, z_m, qx, qy, qz, qw = values
    return stamp_ns, (x_m, y_m, z_m), (qw, qx, qy, qz)


class _PointForm(NamedTuple):
    """How the points of a cloud are laid out."""

    fields: tuple[PointField, ...]
    is_bigendian: bool
    point_step: int


def _point_form(reader: CdrReader) -> _PointForm:
    count = reader.u32("number of fields")
    if count > MAX_FIELDS:
        raise DecodeError(f"the cloud has {count} fields, the limit is {MAX_FIELDS}")
    fields = tuple(_field(reader) for _ in range(count))
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise DecodeError(f"the cloud has a field twice: {', '.join(names)}")
    form = _PointForm(fields, reader.boolean("is_bigendian"), reader.u32("point_step"))
    for field in fields:
        if field.offset + field.size > form.point_step:
            raise DecodeError(
                f"field {field.name!r} ends at byte {field.offset + field.size} of a point of {form.point_step} bytes"
            )
    return form


def _field(reader: CdrReader) -> PointField:
    name = reader.string("field name")
    offset, datatype, count = reader.u32("field offset"), reader.u8("field datatype"), reader.u32("field count")
    if datatype not in Datatype.__members__.values():
        raise DecodeError(f"field {name!r} has datatype {datatype}; PointField knows 1 to 8")
    if count == 0:
        raise DecodeError(f"field {name!r} has 0 values")
    return PointField(name, offset, Datatype(datatype), count)


def _frame_id(reader: CdrReader) -> str:
    return reader.string("frame_id")


def _image_head(reader: CdrReader) -> tuple[str, str]:
    return reader.string("frame_id"), reader.string("format")


class MessageMemory:
    """The parts that messages of the same sensors repeat, each parsed once while its bytes stay the same.

    Owned by one decoding loop and not thread-safe. Its size is bounded, whatever the messages contain.
    """

    def __init__(self) -> None:
        self.frame_id = Repeated(_frame_id)
        self.image_head = Repeated(_image_head)
        self.point_form = Repeated(_point_form)
        self.poses = PosePlaces()


def _read(reader: CdrReader, parse: Callable[[CdrReader], Parsed], known: Repeated[Parsed] | None) -> Parsed:
    return parse(reader) if known is None else reader.repeated(known)


def _without_padding(data: memoryview, height: int, row_step: int, row_bytes: int) -> memoryview:
    if row_bytes == 0:
        return data[:0]
    return memoryview(b"".join(data[row * row_step : row * row_step + row_bytes] for row in range(height)))
