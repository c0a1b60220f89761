"""Read one raw object once, from its first to its last byte: checksum, container, frame index, samples of motion."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from lake.landing import SensorKey
from scenes.documents import MessageOrigin
from scenes.scan.allowances import UNDECLARED
from scenes.scan.frame_rows import FrameRow
from scenes.scan.motion_samples import MOTION, NO_SAMPLES, MotionSamples
from scenes.scan.origins import MessageOrigins
from sensors.container.allowance import Allowance
from sensors.container.mcap import scan_source
from sensors.container.recorded import ContainerFault, SizeLimits, StoredMessage
from sensors.container.source import Buffers, ByteSource
from sensors.decode.messages import MESSAGE_TYPES, peek_stamp_ns
from sensors.errors import DecodeError
from sensors.rig import Modality

MAX_FRAMES = 4_000_000  # of one object: five hours at 200 Hz; their index takes a worker about 1 GB
MAX_FAULTS = 100  # message one by one; the rest is counted
MAX_TYPES = 20

OTHER_TYPES = "other types"


@dataclass(frozen=True, slots=True)
class ObjectScan:
    """The content of one object: its frames, including those that cannot be read as the type they claim, and its faults.

    `frames` are in file order. `samples`: of a pose, IMU or GNSS object, one row for each message
    (`scenes.scan.motion_samples`). `faults` are the container's and those of messages without a readable stamp or sample, in
    words; `unknown_types` counts messages that the sensor's modality does not know, `origins` the others. All are bounded,
    whatever the object holds.
    """

    sha256: str
    size_bytes: int
    frames: Sequence[FrameRow]
    samples: pa.Table
    faults: tuple[str, ...]
    unknown_types: Mapping[str, int]
    origins: tuple[MessageOrigin, ...]


def scan_object(
    stream: BinaryIO | io.RawIOBase, key: SensorKey, buffers: Buffers | None = None, allowance: Allowance = UNDECLARED
) -> ObjectScan:
    """Scan one object from its first byte on; any fault in its bytes is part of the result.

    `buffers` are those of the objects that were scanned before. Beyond its `allowance`, the object is not read but for its
    checksum.
    """
    digest = hashlib.sha256()
    source = ByteSource(stream, digest.update, buffers)
    rows = _Rows(key)
    rows.take(scan_source(source, SizeLimits(allowance=allowance)))
    source.drain()  # the checksum covers the whole object, wherever the scan ended
    return ObjectScan(
        sha256=digest.hexdigest(),
        size_bytes=source.offset,
        frames=rows.frames,
        samples=rows.samples(),
        faults=rows.faults(),
        unknown_types=dict(rows.unknown_types),
        origins=rows.origins.counted(),
    )


class _Rows:
    def __init__(self, key: SensorKey) -> None:
        self._types = MESSAGE_TYPES[Modality(key.modality)]
        self.frames: list[FrameRow] = []
        self._samples = MotionSamples(Modality(key.modality)) if Modality(key.modality) in MOTION else None
        self._faults: list[str] = []
        self._faults_omitted = 0
        self.unknown_types: Counter[str] = Counter()
        self.origins = MessageOrigins()

    def take(self, items: Iterable[StoredMessage | ContainerFault]) -> None:
        """Add a row for each message: every frame read counts, whatever it holds."""
        frames = self.frames
        for item in items:
            if isinstance(item, ContainerFault):
                self._fault(f"byte {item.offset}: {item.message}")
                continue
            topic, message_type, encoding, log_ns, chunk_at, chunk_bytes, compression, raw_bytes, at, size, data, _ = item
            if len(frames) == MAX_FRAMES:
                self._fault(f"byte {chunk_at}: more than {MAX_FRAMES} messages; those from here on were not read")
                return
            stamp_ns, readable = log_ns, False  # of a message that cannot be read
            if message_type not in self._types or encoding != "cdr":
                self._count_unknown(f"{message_type} ({encoding})")
            else:
                self.origins.take(topic, message_type, data)
                try:
                    stamp_ns = peek_stamp_ns(data)
                    if self._samples is not None:
                        self._samples.take(stamp_ns, data)
                    readable = True
                except DecodeError as error:
                    self._fault(f"message at byte {chunk_at}+{at}: {error}")
            frames.append((stamp_ns, log_ns, chunk_at, chunk_bytes, compression, raw_bytes, at, size, message_type, readable))
            del item, data  # with no view left, the buffer is reused for the next chunk

    def samples(self) -> pa.Table:
        return NO_SAMPLES if self._samples is None else self._samples.table()

    def _count_unknown(self, kind: str) -> None:
        known = kind in self.unknown_types or len(self.unknown_types) < MAX_TYPES
        self.unknown_types[kind if known else OTHER_TYPES] += 1

    def _fault(self, message: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(message)
        else:
            self._faults_omitted += 1

    def faults(self) -> tuple[str, ...]:
        more = (f"and {self._faults_omitted} more faults",) if self._faults_omitted else ()
        return (*self._faults, *more)
