"""Read one raw object once, from its first to its last byte: checksum, container, frame index, pose samples."""

from __future__ import annotations

import hashlib
import io
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from lake.landing import SensorKey
from lake.tables import FRAME_INDEX
from sensors.container import ContainerFault, StoredMessage, scan
from sensors.errors import DecodeError
from sensors.messages import MESSAGE_TYPES, decode_pose, peek_stamp_ns
from sensors.rig import Modality

MAX_FRAMES = 4_000_000  # of one object: five hours at 200 Hz; their index takes a worker about 1 GB
MAX_FAULTS = 100  # told one by one; the rest is counted
MAX_TYPES = 20
BUFFER_BYTES = 64 * 1024

Block: TypeAlias = bytes | memoryview

# frame_id is given when all objects of the drive are known.
OBJECT_INDEX = pa.schema([field for field in FRAME_INDEX if field.name != "frame_id"])
_POSE_VALUES = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
POSES = pa.schema(
    [pa.field("stamp_ns", pa.int64(), nullable=False)] + [pa.field(name, pa.float64(), nullable=False) for name in _POSE_VALUES]
)
_NUMBERS = ("stamp_ns", "log_ns", "chunk_offset", "chunk_bytes", "chunk_raw_bytes", "message_offset", "message_bytes")
_WORDS = ("message_type", "compression")
OTHER_TYPES = "other types"


@dataclass(frozen=True, slots=True)
class ObjectScan:
    """What one object holds: its frames, also those that cannot be read as what they claim to be, and what is wrong.

    `faults` are the container's and those of messages without a readable stamp or pose, in words; `unknown_types` counts
    messages that the sensor's modality does not know. Both stay small whatever the object holds.
    """

    sha256: str
    size_bytes: int
    index: pa.Table
    poses: pa.Table
    faults: tuple[str, ...]
    unknown_types: Mapping[str, int]


class _Hashing(io.RawIOBase):
    """Blocks of bytes as a stream that hashes each block as it comes."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._next()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def drain(self) -> None:
        """Hash what the container scan did not need to read."""
        while self._next():
            pass

    def _next(self) -> memoryview:
        for block in self._blocks:
            if block:
                self.sha256.update(block)
                self.size_bytes += len(block)
                return memoryview(block)
        return memoryview(b"")


def scan_object(blocks: Iterable[Block], key: SensorKey) -> ObjectScan:
    """Scan one object, given block by block; whatever is wrong with its bytes is part of the result."""
    hashing = _Hashing(blocks)
    rows = _Rows(key)
    # The buffer spares the scanner's small reads a Python call each; large ones pass it by.
    rows.take(scan(io.BufferedReader(hashing, BUFFER_BYTES)))
    hashing.drain()
    return ObjectScan(
        sha256=hashing.sha256.hexdigest(),
        size_bytes=hashing.size_bytes,
        index=rows.index(),
        poses=rows.poses(),
        faults=rows.faults(),
        unknown_types=dict(rows.unknown_types),
    )


class _Rows:
    def __init__(self, key: SensorKey) -> None:
        self._key = key
        self._types = MESSAGE_TYPES[Modality(key.modality)]
        self._numbers = {name: array("q") for name in _NUMBERS}
        self._words: dict[str, list[str]] = {name: [] for name in _WORDS}
        self._pose_stamps_ns, self._poses = array("q"), array("d")
        self._faults: list[str] = []
        self._faults_untold = 0
        self.unknown_types: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return len(self._words["message_type"])

    def take(self, items: Iterable[StoredMessage | ContainerFault]) -> None:
        for item in items:
            if isinstance(item, ContainerFault):
                self._fault(f"byte {item.offset}: {item.message}")
            elif self.count == MAX_FRAMES:
                self._fault(f"byte {item.chunk_offset}: more than {MAX_FRAMES} messages; those from here on were not read")
                return
            else:
                self._take_message(item)

    def _take_message(self, message: StoredMessage) -> None:
        stamp_ns = message.log_ns  # of a message that we cannot read: it is still a frame that was read
        if message.message_type not in self._types or message.message_encoding != "cdr":
            self._count_unknown(f"{message.message_type} ({message.message_encoding})")
        else:
            try:
                stamp_ns = peek_stamp_ns(message.data)
                if self._key.modality == Modality.POSE:
                    pose = decode_pose(message.data).odom_SE3_ego
                    self._pose_stamps_ns.append(stamp_ns)
                    self._poses.extend((*pose.translation_m.tolist(), *pose.wxyz.tolist()))
            except DecodeError as error:
                self._fault(f"message at byte {message.chunk_offset}+{message.message_offset}: {error}")
        for name, numbers in self._numbers.items():
            numbers.append(stamp_ns if name == "stamp_ns" else getattr(message, name))
        for name, words in self._words.items():
            words.append(getattr(message, name))

    def _count_unknown(self, kind: str) -> None:
        known = kind in self.unknown_types or len(self.unknown_types) < MAX_TYPES
        self.unknown_types[kind if known else OTHER_TYPES] += 1

    def _fault(self, told: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(told)
        else:
            self._faults_untold += 1

    def faults(self) -> tuple[str, ...]:
        more = (f"and {self._faults_untold} more faults",) if self._faults_untold else ()
        return (*self._faults, *more)

    def index(self) -> pa.Table:
        constant = {"sensor": self._key.sensor, "modality": self._key.modality, "key": str(self._key)}
        columns = {name: pa.repeat(pa.scalar(value, pa.string()), self.count) for name, value in constant.items()}
        columns |= {name: pa.array(np.asarray(numbers, dtype=np.int64)) for name, numbers in self._numbers.items()}
        columns |= {name: pa.array(words, pa.string()) for name, words in self._words.items()}
        return pa.Table.from_pydict(columns, schema=OBJECT_INDEX)

    def poses(self) -> pa.Table:
        samples = np.asarray(self._poses, dtype=np.float64).reshape(-1, len(_POSE_VALUES))
        columns = {"stamp_ns": pa.array(np.asarray(self._pose_stamps_ns, dtype=np.int64))}
        columns |= {name: pa.array(samples[:, position]) for position, name in enumerate(_POSE_VALUES)}
        return pa.Table.from_pydict(columns, schema=POSES)
