"""Transcoding of ROS 1 messages to their ROS 2 counterparts.

The types below have the same members in both, in the same order. ROS 1 writes them packed and little-endian, with strings
that have no terminating zero and a sequence number in front of a header's stamp (http://wiki.ros.org/msg); CDR aligns each
member to its size. So a message is transcoded member by member, and no value changes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from sensors.decode.camera_info import CAMERA_INFO, MAX_COEFFICIENTS
from sensors.decode.cdr import ENCAPSULATION_BYTES, LONGEST_STRING_BYTES, Bytes
from sensors.decode.messages import FIX, IMAGE, IMU, MAX_FIELDS, ODOMETRY, POINT_CLOUD
from sensors.decode.raw_image import RAW_IMAGE
from sensors.decode.transforms import MAX_TRANSFORMS, TRANSFORMS
from sensors.errors import DecodeError, UnknownTypeError
from sensors.time_units import NS_PER_S

POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseWithCovarianceStamped"
TRANSFORM_STAMPED = "geometry_msgs/msg/TransformStamped"

CDR_LE = b"\0\1\0\0"
MAX_SEC = 2**31 - 1  # builtin_interfaces/msg/Time.sec is int32, ROS 1 counts in uint32
STAMP = struct.Struct("<III")  # seq, seconds, nanoseconds
_U32 = struct.Struct("<I")


class Scalar(NamedTuple):
    """`values` numbers of `size` bytes each, one after the other."""

    size: int
    values: int


class Array(NamedTuple):
    """A variable-length array of `what`, at most `most` long; each element has these members."""

    what: str
    most: int
    members: tuple[Member, ...]


HEADER, STRING, BYTES = "header", "string", "bytes"
Member: TypeAlias = str | Scalar | Array

_FIELD = (STRING, Scalar(4, 1), Scalar(1, 1), Scalar(4, 1))
_TRANSFORM = (HEADER, STRING, Scalar(8, 7))
ROS1_TYPES: Mapping[str, tuple[Member, ...]] = MappingProxyType(
    {
        POINT_CLOUD: (
            HEADER,
            Scalar(4, 2),
            Array("fields", MAX_FIELDS, _FIELD),
            Scalar(1, 1),
            Scalar(4, 2),
            BYTES,
            Scalar(1, 1),
        ),
        IMAGE: (HEADER, STRING, BYTES),
        RAW_IMAGE: (HEADER, Scalar(4, 2), STRING, Scalar(1, 1), Scalar(4, 1), BYTES),
        IMU: (HEADER, Scalar(8, 37)),
        FIX: (HEADER, Scalar(1, 1), Scalar(2, 1), Scalar(8, 12), Scalar(1, 1)),
        ODOMETRY: (HEADER, STRING, Scalar(8, 85)),
        POSE_STAMPED: (HEADER, Scalar(8, 7)),
        POSE_WITH_COVARIANCE: (HEADER, Scalar(8, 43)),
        TRANSFORM_STAMPED: _TRANSFORM,
        TRANSFORMS: (Array("transforms", MAX_TRANSFORMS, _TRANSFORM),),
        CAMERA_INFO: (
            HEADER,
            Scalar(4, 2),
            STRING,
            Array("coefficients", MAX_COEFFICIENTS, (Scalar(8, 1),)),
            Scalar(8, 9 + 9 + 12),
            Scalar(4, 6),
            Scalar(1, 1),
        ),
    }
)


def ros1_to_cdr(message_type: str, message: Bytes) -> bytes:
    """A ROS 1 message of any of `ROS1_TYPES` (names as in ROS 2), as little-endian CDR; only `Header.seq` is dropped.

    Memory grows with the message, never with a length in it.

    Raises:
        UnknownTypeError: Of another type.
        DecodeError: The message ends before its members do, goes on behind them, or has a stamp that ROS 2 cannot hold.
    """
    if message_type not in ROS1_TYPES:
        raise UnknownTypeError(f"no ROS 1 layout is known for {message_type!r}; the types are {', '.join(sorted(ROS1_TYPES))}")
    transcoder = _Transcoder(message)
    transcoder.write(ROS1_TYPES[message_type])
    return transcoder.finish()


def peek_ros1_stamp_ns(message: Bytes) -> int:
    """The stamp of a ROS 1 message that begins with a header, as all but `TRANSFORMS` do. Reads 12 bytes and nothing else.

    Raises:
        DecodeError: The message is shorter, or its nanoseconds exceed 999,999,999.
    """
    if len(message) < STAMP.size:
        raise DecodeError(f"a ROS 1 message of {len(message)} bytes has no whole header")
    _, sec, nanosec = STAMP.unpack_from(message)
    if nanosec >= NS_PER_S:
        raise DecodeError(f"the stamp has {nanosec} nanoseconds, a second has {NS_PER_S}")
    return int(sec * NS_PER_S + nanosec)


class _Transcoder:
    def __init__(self, message: Bytes) -> None:
        self._in = memoryview(message)
        self._at = 0
        self._out = bytearray(CDR_LE)

    def write(self, members: tuple[Member, ...]) -> None:
        for member in members:
            if isinstance(member, Scalar):
                self._put(self._take(member.size * member.values, f"{member.values} values of {member.size} bytes"), member.size)
            elif isinstance(member, Array):
                self._array(member)
            elif member == HEADER:
                self._header()
            elif member == STRING:
                self._string()
            else:
                length = self._length("a sequence of bytes")
                self._put(_U32.pack(length), 4)
                self._out += self._take(length, "a sequence of bytes")

    def finish(self) -> bytes:
        if self._at != len(self._in):
            left = len(self._in) - self._at
            raise DecodeError(f"{left} bytes follow the message's last member: it is longer than its lengths say")
        return bytes(self._out)

    def _array(self, sequence: Array) -> None:
        count = self._length(f"a sequence of {sequence.what}")
        if count > sequence.most:
            raise DecodeError(f"the message has {count} {sequence.what}, the limit is {sequence.most}")
        self._put(_U32.pack(count), 4)
        for _ in range(count):
            self.write(sequence.members)

    def _header(self) -> None:
        stamp_ns = peek_ros1_stamp_ns(self._take(STAMP.size, "header"))
        sec, nanosec = divmod(stamp_ns, NS_PER_S)
        if sec > MAX_SEC:
            raise DecodeError(f"the stamp has {sec} seconds, ROS 2 ends at {MAX_SEC}")
        self._put(_U32.pack(sec) + _U32.pack(nanosec), 4)
        self._string()

    def _string(self) -> None:
        length = self._length("a string")
        if length > LONGEST_STRING_BYTES:
            raise DecodeError(f"a string takes {length} bytes, the limit is {LONGEST_STRING_BYTES}")
        self._put(_U32.pack(length + 1), 4)
        self._out += self._take(length, "a string")
        self._out.append(0)

    def _length(self, what: str) -> int:
        return int(_U32.unpack(self._take(_U32.size, f"length of {what}"))[0])

    def _take(self, count: int, what: str) -> memoryview:
        start, end = self._at, self._at + count
        if end > len(self._in):
            raise DecodeError(f"{what} takes {count} bytes at byte {start} of a message of {len(self._in)}")
        self._at = end
        return self._in[start:end]

    def _put(self, values: Bytes, alignment: int) -> None:
        self._out += bytes(-(len(self._out) - ENCAPSULATION_BYTES) % alignment)
        self._out += values
