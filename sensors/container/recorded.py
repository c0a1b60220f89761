"""The contents common to all containers (messages and faults, within limits), and detection of the container's kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sensors.container.allowance import Allowance
from sensors.container.compression import MAX_RAW_BYTES, ZSTD_MAGIC
from sensors.container.mcap_records import MAGIC as MCAP_MAGIC
from sensors.errors import UnknownKindError


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Allocation limits of the reader: for one record as stored, one chunk uncompressed, one definition record, the names in
    it, and how many schemas and channels there may be. `allowance`: what the whole file may make of its bytes, if it is bounded.
    """

    record_bytes: int = MAX_RAW_BYTES
    chunk_raw_bytes: int = MAX_RAW_BYTES
    definition_bytes: int = 1024 * 1024
    name_bytes: int = 1024
    definitions: int = 4096
    allowance: Allowance | None = None


class ContainerFaultKind(StrEnum):
    """The kinds of flaw in a container."""

    TRUNCATED = "truncated"
    CRC = "crc"
    CORRUPT = "corrupt"
    LIMIT = "limit"
    NOT_MCAP = "not_mcap"


@dataclass(frozen=True, slots=True)
class ContainerFault:
    """A flaw, and the file offset of the record that has it."""

    offset: int
    kind: ContainerFaultKind
    message: str


class StoredMessage(NamedTuple):
    """A message and the location of its bytes.

    The bytes [chunk_offset, chunk_offset + chunk_bytes) of the file, decompressed to `chunk_raw_bytes` bytes, hold the
    message at [message_offset, message_offset + message_bytes). A message outside of any chunk is its own chunk, with
    compression '' and message_offset 0. `log_ns` is the recorder's time. `data` (read-only) keeps the whole chunk alive.
    `topic`, `message_type` and `message_encoding` are '' where the file does not define the channel. `salvaged`: the message
    comes from a chunk that the file's end has cut; it cannot be fetched and verified by its location.
    """

    topic: str
    message_type: str
    message_encoding: str
    log_ns: int
    chunk_offset: int
    chunk_bytes: int
    compression: str
    chunk_raw_bytes: int
    message_offset: int
    message_bytes: int
    data: memoryview
    salvaged: bool = False


CDR, ROS1 = "cdr", "ros1"
DETECTION_BYTES = 16

BAG_MAGIC = b"#ROSBAG V2.0\n"
SQLITE_MAGIC = b"SQLite format 3\0"
_REFUSED = (
    (b"#ROSBAG V", "is a ROS bag of a format before 2.0; convert it with `rosbag fix`"),
    (ZSTD_MAGIC, "is a file compressed with zstd as a whole; decompress it first: `zstd -d FILE`"),
    (b"\x1f\x8b", "is compressed with gzip as a whole; decompress it first: `gzip -d FILE`"),
    (b"\xa1\xb2\xc3\xd4", "is a pcap"),
    (b"\xd4\xc3\xb2\xa1", "is a pcap"),
    (b"\xa1\xb2\x3c\x4d", "is a pcap"),
    (b"\x4d\x3c\xb2\xa1", "is a pcap"),
    (b"\x0a\x0d\x0d\x0a", "is a pcapng"),
)
_PACKETS = "; network packets of a sensor are not read here: record the driver's decoded messages (PointCloud2) as MCAP or a bag"


class RecordingKind(StrEnum):
    """A container of whole recordings."""

    MCAP = "mcap"
    ROSBAG1 = "rosbag1"
    SQLITE = "sqlite3"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message: its topic, its type as ROS 2 spells it (`pkg/msg/Name`), its serialisation and when it was logged.

    `encoding` is `cdr`, `ros1` or another that the container declares; it, `topic` and `message_type` are '' where the
    container does not declare them. `data` (read-only) may be a view of a whole chunk, which it keeps alive. `salvaged`:
    from a chunk that the end of the file has cut, so that no checksum covers it.
    """

    topic: str
    message_type: str
    encoding: str
    log_ns: int
    data: memoryview
    salvaged: bool = False


def recording_kind(head: bytes) -> RecordingKind:
    """Which container a file is, by its first `DETECTION_BYTES` bytes; its name does not matter.

    Raises:
        UnknownKindError: Not a supported container; the message names the actual format, if recognised, and the remedy.
    """
    for magic, kind in (
        (MCAP_MAGIC, RecordingKind.MCAP),
        (BAG_MAGIC, RecordingKind.ROSBAG1),
        (SQLITE_MAGIC, RecordingKind.SQLITE),
    ):
        if head.startswith(magic):
            return kind
    if not head:
        raise UnknownKindError("is empty; was the recording copied completely?")
    for magic, words in _REFUSED:
        if head.startswith(magic):
            raise UnknownKindError(words + (_PACKETS if "pcap" in words else ""))
    raise UnknownKindError(
        f"begins with {head[:8]!r}, which is no MCAP file, ROS 1 bag or ROS 2 SQLite bag; convert it to MCAP, for example with "
        "`mcap convert` or `ros2 bag convert`"
    )


def ros2_type(name: str) -> str:
    """A message type as ROS 2 spells it: `sensor_msgs/Imu` becomes `sensor_msgs/msg/Imu`."""
    package, slash, rest = name.partition("/")
    return f"{package}/msg/{rest}" if slash and "/" not in rest else name
