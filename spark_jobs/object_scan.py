"""Read one raw object once, from its first to its last byte: checksum, container, frame index, pose samples."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from lake.landing import SensorKey
from lake.tables import FRAME_INDEX
from sensors.container import ContainerFault, StoredMessage, scan
from sensors.errors import DecodeError
from sensors.messages import MESSAGE_TYPES, decode_pose, peek_stamp_ns
from sensors.rig import Modality

# frame_id is given when all objects of the drive are known.
OBJECT_INDEX = pa.schema([field for field in FRAME_INDEX if field.name != "frame_id"])
POSES = pa.schema(
    [pa.field("stamp_ns", pa.int64(), nullable=False)]
    + [pa.field(name, pa.float64(), nullable=False) for name in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")]
)


@dataclass(frozen=True, slots=True)
class ObjectScan:
    """What one object holds: its frames, also those that cannot be read as what they claim to be, and what is wrong.

    `faults` are the container's, in words; `unknown_types` counts messages that the sensor's modality does not know.
    """

    sha256: str
    size_bytes: int
    index: pa.Table
    poses: pa.Table
    faults: tuple[str, ...]
    unknown_types: Mapping[str, int]


class _Hashing(io.RawIOBase):
    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._source.read(len(buffer))
        self.sha256.update(block)
        self.size_bytes += len(block)
        buffer[: len(block)] = block
        return len(block)

    def drain(self) -> None:
        """Hash what the container scan did not need to read."""
        while block := self._source.read(1 << 20):
            self.sha256.update(block)
            self.size_bytes += len(block)


def scan_object(source: BinaryIO, key: SensorKey) -> ObjectScan:
    """Scan one object; whatever is wrong with its bytes is part of the result."""
    hashing = _Hashing(source)
    rows = _Rows(key)
    # The buffer spares the scanner's small reads a Python call each.
    rows.take(scan(io.BufferedReader(hashing, 1 << 20)))
    hashing.drain()
    return ObjectScan(
        sha256=hashing.sha256.hexdigest(),
        size_bytes=hashing.size_bytes,
        index=rows.index(),
        poses=rows.poses(),
        faults=tuple(rows.faults),
        unknown_types=dict(rows.unknown_types),
    )


class _Rows:
    def __init__(self, key: SensorKey) -> None:
        self._key = key
        self._types = MESSAGE_TYPES[Modality(key.modality)]
        self._messages: list[tuple[Any, ...]] = []
        self._poses: list[tuple[float, ...]] = []
        self.faults: list[str] = []
        self.unknown_types: Counter[str] = Counter()

    def take(self, items: Iterable[StoredMessage | ContainerFault]) -> None:
        for item in items:
            if isinstance(item, ContainerFault):
                self.faults.append(f"byte {item.offset}: {item.message}")
            else:
                self._take_message(item)

    def _take_message(self, message: StoredMessage) -> None:
        stamp_ns = message.log_ns  # of a message that we cannot read: it is still a frame that was read
        if message.message_type not in self._types or message.message_encoding != "cdr":
            self.unknown_types[f"{message.message_type} ({message.message_encoding})"] += 1
        else:
            try:
                stamp_ns = peek_stamp_ns(message.data)
                if self._key.modality == Modality.POSE:
                    sample = decode_pose(message.data)
                    pose = sample.odom_SE3_ego
                    self._poses.append((sample.stamp_ns, *pose.translation_m.tolist(), *pose.wxyz.tolist()))
            except DecodeError as error:
                self.faults.append(f"message at byte {message.chunk_offset}+{message.message_offset}: {error}")
        self._messages.append(
            (
                stamp_ns,
                message.log_ns,
                message.message_type,
                message.chunk_offset,
                message.chunk_bytes,
                message.compression,
                message.chunk_raw_bytes,
                message.message_offset,
                message.message_bytes,
            )
        )

    def index(self) -> pa.Table:
        count = len(self._messages)
        columns = list(zip(*self._messages, strict=True)) if count else [()] * 9
        named = dict(
            zip(
                (
                    "stamp_ns",
                    "log_ns",
                    "message_type",
                    "chunk_offset",
                    "chunk_bytes",
                    "compression",
                    "chunk_raw_bytes",
                    "message_offset",
                    "message_bytes",
                ),
                columns,
                strict=True,
            )
        )
        constant = {"sensor": self._key.sensor, "modality": self._key.modality, "key": str(self._key)}
        arrays = [
            pa.array([constant[field.name]] * count if field.name in constant else named[field.name], field.type)
            for field in OBJECT_INDEX
        ]
        return pa.Table.from_arrays(arrays, schema=OBJECT_INDEX)

    def poses(self) -> pa.Table:
        samples = np.array(self._poses, dtype=object).reshape(-1, len(POSES))
        return pa.Table.from_arrays(
            [pa.array(samples[:, position].tolist(), field.type) for position, field in enumerate(POSES)], schema=POSES
        )
