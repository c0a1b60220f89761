"""Converts a recorded message to a frame of the landing layout: one of its types, as CDR, with a stamp."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleet.encode import encode_image, encode_pose
from fleet.mcap_writer import RecordedFrame
from sensors.container.recorded import ROS1, Recorded
from sensors.decode.cdr import CdrReader
from sensors.decode.messages import IMAGE, ODOMETRY, message_header, peek_stamp_ns
from sensors.decode.raw_image import RAW_IMAGE, decode_raw_image
from sensors.decode.ros1 import POSE_STAMPED, POSE_WITH_COVARIANCE, TRANSFORM_STAMPED, ros1_to_cdr
from sensors.errors import DecodeError
from sensors.geometry import SE3
from sensors.time_units import NS_PER_S

POSES = (POSE_STAMPED, POSE_WITH_COVARIANCE, TRANSFORM_STAMPED)
LANDED_AS: Mapping[str, str] = MappingProxyType({RAW_IMAGE: IMAGE, **dict.fromkeys(POSES, ODOMETRY)})
"""The types that are converted to another type."""

STAMP_AT = 4  # behind the encapsulation


@dataclass(frozen=True, slots=True)
class Landed:
    """A frame, and whether its stamp was never set (0) and is the log time instead."""

    frame: RecordedFrame
    unset: bool


def landed(message: Recorded) -> Landed:
    """The frame of a message of a supported type.

    ROS 1 becomes CDR with the same values. Raw images become PNG with the same pixels. A pose without velocity becomes
    Odometry with zero twist. Everything else is unchanged, byte for byte, whether it decodes or not.

    Raises:
        DecodeError: The message has no readable stamp, or one before 1970, or cannot be converted.
    """
    cdr = ros1_to_cdr(message.message_type, message.data) if message.encoding == ROS1 else bytes(message.data)
    stamp_ns = peek_stamp_ns(cdr)
    if stamp_ns < 0:
        raise DecodeError(f"the stamp is {stamp_ns} ns, before 1970")
    if message.message_type == RAW_IMAGE:
        raw = decode_raw_image(cdr)
        cdr = encode_image(stamp_ns, raw.frame_id, "png", raw.png())
    elif message.message_type in POSES:
        cdr = _odometry(message.message_type, cdr)
    if stamp_ns == 0:
        return Landed(RecordedFrame(message.log_ns, message.log_ns, _stamped(cdr, message.log_ns)), unset=True)
    return Landed(RecordedFrame(stamp_ns, message.log_ns, cdr), unset=False)


def _odometry(message_type: str, cdr: bytes) -> bytes:
    reader = CdrReader(cdr)
    stamp_ns, frame_id = message_header(reader)
    child_frame_id = reader.string("child_frame_id") if message_type == TRANSFORM_STAMPED else "base_link"
    x_m, y_m, z_m, qx, qy, qz, qw = reader.doubles(7, "pose")
    try:
        return encode_pose(stamp_ns, SE3.from_wxyz((x_m, y_m, z_m), (qw, qx, qy, qz)), frame_id, child_frame_id)
    except ValueError as error:
        raise DecodeError(f"the pose at {stamp_ns} ns {error}") from error


def _stamped(cdr: bytes, stamp_ns: int) -> bytes:
    """The same message with another stamp in its header."""
    layout = struct.Struct("<iI" if cdr[1] else ">iI")
    try:
        stamp = layout.pack(*divmod(stamp_ns, NS_PER_S))
    except struct.error as error:
        raise DecodeError(f"the log time {stamp_ns} ns does not fit a ROS time") from error
    return cdr[:STAMP_AT] + stamp + cdr[STAMP_AT + layout.size :]
