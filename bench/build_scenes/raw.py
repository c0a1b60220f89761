"""Reading a raw drive as a careful user would: each object hashed once, each frame known by its place in the file.

Needs numpy alone, so that every contender can use it in its own environment. It trusts the file: uncompressed chunks, one
channel, complete records; checksums inside the container are not checked. Formats: https://mcap.dev/spec, and CDR (OMG
DDS-RTPS 2.3, section 10) of `sensor_msgs/msg/CompressedImage`, `PointCloud2` and `nav_msgs/msg/Odometry`.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MAGIC_BYTES = 8
RECORD = struct.Struct("<BQ")
CHUNK = struct.Struct("<QQQII")  # start, end, raw bytes, CRC, length of the compression's name
MESSAGE_OP, CHUNK_OP, DATA_END_OP = 0x05, 0x06, 0x0F
MESSAGE_HEAD_BYTES = 22
CDR_HEAD_BYTES = 4
KEYFRAME_CELL_NS = 500_000_000
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RawSensor:
    """A sensor whose frames belong to a scene: nearest to the anchor + `delay_ns`, at most `tolerance_ns` away."""

    name: str
    modality: str
    delay_ns: int
    tolerance_ns: int


@dataclass(frozen=True, slots=True)
class RawRig:
    """The reference sensor, and the others in the rig's order."""

    reference: str
    others: tuple[RawSensor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All sensors of a scene, the reference first."""
        return (self.reference, *(sensor.name for sensor in self.others))


@dataclass(frozen=True, slots=True, eq=False)
class ObjectIndex:
    """One raw object: its SHA-256, and stamp, offset and length of the payload of each frame, (N,) int64."""

    path: str
    sensor: str
    sha256: str
    stamps_ns: Ints
    offsets: Ints
    lengths: Ints


def read_rig(drive: Path) -> RawRig:
    """The sync terms of `calibration.json`."""
    document = json.loads((drive / "calibration.json").read_bytes())
    others = tuple(
        RawSensor(entry["name"], entry["modality"], entry["sync"]["expected_delay_ns"], entry["sync"]["tolerance_ns"])
        for entry in document["sensors"]
        if entry["modality"] in ("lidar", "camera", "radar") and entry["name"] != document["reference"]
    )
    return RawRig(document["reference"], others)


def raw_objects(drive: Path) -> list[Path]:
    """All sensor files, largest first, which keeps several workers busy to the end."""
    return sorted(drive.glob("*/*/*.mcap"), key=lambda path: (-path.stat().st_size, path))


def anchors_of(stamps_ns: Ints, mode: str) -> Ints:
    """The anchors among the reference sensor's ascending stamps: all, or the first of each cell of 500 ms since 1970."""
    if mode == "sweep":
        return stamps_ns
    _, first = np.unique(stamps_ns // KEYFRAME_CELL_NS, return_index=True)
    return np.asarray(stamps_ns[first])


def index_object(path: Path) -> ObjectIndex:
    """Hash an object and find its frames."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        sha256 = hashlib.sha256(content).hexdigest()
        frames = np.array([payload_place(content, at) for at in message_places(content)], np.int64).reshape(-1, 3)
    return ObjectIndex(str(path), path.parent.name, sha256, frames[:, 0], frames[:, 1], frames[:, 2])


def message_places(content: Any) -> Iterator[int]:
    """The position of each message's CDR in an MCAP file."""
    at = MAGIC_BYTES
    while True:
        opcode, length = RECORD.unpack_from(content, at)
        start = at + RECORD.size
        at = start + length
        if opcode == DATA_END_OP:
            return
        if opcode == CHUNK_OP:
            *_, name_bytes = CHUNK.unpack_from(content, start)
            if name_bytes:
                raise ValueError("a chunk is compressed; this reader is for the benchmark's drives")
            inner = start + CHUNK.size + 8
            while inner < at:
                opcode, length = RECORD.unpack_from(content, inner)
                if opcode == MESSAGE_OP:
                    yield inner + RECORD.size + MESSAGE_HEAD_BYTES
                inner += RECORD.size + length


def payload_place(content: Any, cdr_at: int) -> tuple[int, int, int]:
    """Stamp (ns), offset and length of the payload of a CDR message; an Odometry has no payload of its own."""
    body = cdr_at + CDR_HEAD_BYTES
    sec, nanosec, name_bytes = struct.unpack_from("<iII", content, body)
    stamp_ns = sec * NS_PER_S + nanosec
    at = _aligned(12 + name_bytes)
    (first,) = struct.unpack_from("<I", content, body + at)
    text = content[body + at + 4 : body + at + 4 + min(first, 8)]
    if text in (b"jpeg\0", b"png\0"):
        at = _aligned(at + 4 + first)
    elif text[:4] == b"base":
        return stamp_ns, body, 0
    else:
        at = _cloud_data(content, body, at)
    (length,) = struct.unpack_from("<I", content, body + at)
    return stamp_ns, body + at + 4, length


def _cloud_data(content: Any, body: int, at: int) -> int:
    (count,) = struct.unpack_from("<I", content, body + at + 8)
    at += 12
    for _ in range(count):
        (name_bytes,) = struct.unpack_from("<I", content, body + at)
        at = _aligned(at + 4 + name_bytes) + 4 + 1
        at = _aligned(at) + 4
    return _aligned(at + 1) + 8


def _aligned(at: int) -> int:
    return (at + 3) & ~3
