"""Writes one sensor's frames to MCAP files in the landing layout.

Chunks hold about 1 MiB, so that a ranged read of a few frames fetches little else. Images are stored as they are (they are
compressed already, and an uncompressed chunk lets a reader fetch a single frame); everything else is zstd. Equal frames give
equal bytes: the library string is fixed, and neither clock nor host affects the file.

Format: https://mcap.dev/spec, profile `ros2` (https://mcap.dev/spec/registry).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType, Writer

from fleet.encode import MCAP_PROFILE, MESSAGE_ENCODING, SCHEMA_ENCODING, message_definition
from fleet.errors import FleetError
from sensors.rig import Modality

LIBRARY = "scenelake-fleet"
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One message as recorded: the stamp inside it, when it was recorded, and its CDR bytes.

    `topic`: None for `/` and the sensor's name.
    """

    stamp_ns: int
    log_ns: int
    cdr: bytes
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class SensorStream:
    """The attributes common to one sensor's frames. `definition` is the message type's text; None looks it up in ROS 2 Humble."""

    sensor: str
    modality: Modality
    message_type: str
    definition: str | None = None


def write_stream(
    folder: Path,
    stream: SensorStream,
    frames: Iterable[RecordedFrame],
    segment_ns: int | None = None,
    compression: CompressionType | None = None,
) -> tuple[Path, ...]:
    """Write the frames of one sensor under the drive folder and return the files, in order.

    A file is named by the stamp of its first frame. A new one begins with the first frame that is `segment_ns` or more after
    that; None keeps all in one. No frames make no file. `compression` of chunks; None selects the modality's default.

    Raises:
        FleetError: Two files of the sensor would have the same name.

    """
    with closing(StreamWriter(folder, stream, segment_ns, compression)) as writer:
        for frame in frames:
            writer.add(frame)
        return writer.finish()


class StreamWriter:
    """As `write_stream`, for interleaved frames of several sensors: one writer per sensor, each with one open chunk."""

    def __init__(
        self, folder: Path, stream: SensorStream, segment_ns: int | None = None, compression: CompressionType | None = None
    ) -> None:
        self._folder, self._stream, self._segment_ns, self._compression = folder, stream, segment_ns, compression
        self._paths: list[Path] = []
        self._writer: _ObjectWriter | None = None

    def add(self, frame: RecordedFrame) -> None:
        """Write one frame.

        Raises:
            FleetError: Its file exists already.

        """
        writer = self._writer
        if writer is not None and self._segment_ns is not None and frame.stamp_ns - writer.start_ns >= self._segment_ns:
            writer.finish()
            writer = None
        if writer is None:
            writer = self._writer = _ObjectWriter(self._folder, self._stream, frame.stamp_ns, self._compression)
            self._paths.append(writer.path)
        writer.add(frame)

    def finish(self) -> tuple[Path, ...]:
        """Complete the last file and return all, in order."""
        if self._writer is not None:
            self._writer.finish()
        return tuple(self._paths)

    def close(self) -> None:
        """Close the open file, complete or not."""
        if self._writer is not None:
            self._writer.close()


class _ObjectWriter:
    def __init__(self, folder: Path, stream: SensorStream, start_ns: int, compression: CompressionType | None) -> None:
        self.start_ns = start_ns
        self.path = folder / stream.modality.value / stream.sensor / f"{start_ns:019d}.mcap"
        self._sequence = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._create()
        if compression is None:
            compression = CompressionType.NONE if stream.modality is Modality.CAMERA else CompressionType.ZSTD
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=compression, enable_data_crcs=True)
        self._writer.start(profile=MCAP_PROFILE, library=LIBRARY)
        definition = message_definition(stream.message_type) if stream.definition is None else stream.definition
        self._schema_id = self._writer.register_schema(stream.message_type, SCHEMA_ENCODING, definition.encode())
        self._channels: dict[str | None, int] = {}
        self._channels[None] = self._register(f"/{stream.sensor}")

    def _register(self, topic: str) -> int:
        return self._writer.register_channel(topic, MESSAGE_ENCODING, self._schema_id)

    def _create(self) -> BinaryIO:
        try:
            return self.path.open("xb")
        except FileExistsError as error:
            raise FleetError(f"{self.path} exists already; write each drive into a new folder") from error

    def add(self, frame: RecordedFrame) -> None:
        if frame.topic not in self._channels:
            self._channels[frame.topic] = self._register(frame.topic or "")
        self._writer.add_message(
            self._channels[frame.topic],
            log_time=frame.log_ns,
            data=frame.cdr,
            publish_time=frame.stamp_ns,
            sequence=self._sequence,
        )
        self._sequence += 1

    def finish(self) -> None:
        self._writer.finish()  # type: ignore[no-untyped-call]
        self.close()

    def close(self) -> None:
        self._file.close()
