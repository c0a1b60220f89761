"""Messages of a sensor in the order of their log times, whatever the order of the recording.

No format promises an order: rows of a `.db3` may be inserted in batches, the files of a split bag may overlap, and an MCAP file
may be put together of halves. Every reader of these formats sorts by log time.
"""

from __future__ import annotations

import shutil
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fleet.errors import DriveFolderError, Problem
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from sensors.container.compression import Bytes, uncompressed
from sensors.container.mcap import scan
from sensors.container.recorded import ContainerFault
from sensors.decode.messages import peek_stamp_ns
from sensors.stamps import recording_order

UNORDERED = "unordered"  # beside the folders of the modalities, while it lasts
KEPT_BYTES = 64 * 1024 * 1024  # of chunks: sensors that are out of order jump between a few places


def put_in_log_order(out: Path, stream: SensorStream, segment_ns: int) -> None:
    """Write the files of a sensor in the drive folder `out` anew, by log time, ties by position.

    Memory holds 40 bytes for each message, a few chunks as read and one as written.

    Raises:
        DriveFolderError: A file that was written before cannot be read.
        FleetError: Two files of the sensor would have the same name.

    """
    written, aside = out / stream.modality.value / stream.sensor, out / UNORDERED
    aside.mkdir()
    moved = Path(shutil.move(written, aside / stream.sensor))
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in sorted(moved.iterdir())]
        write_stream(out, stream, _Messages(files).in_order(), segment_ns)
    shutil.rmtree(aside)


class _Messages:
    """Where each message of some files is, in the order of the files."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._files = files
        self._chunks: list[tuple[int, int, int, str, int]] = []  # file, offset, bytes, compression, raw bytes
        self._of_chunk, self._at, self._size, self._log = (array("q") for _ in range(4))
        self._kept: OrderedDict[int, Bytes] = OrderedDict()
        for number, file in enumerate(files):
            self._scan(number, file)

    def _scan(self, number: int, file: BinaryIO) -> None:
        for item in scan(file):
            if isinstance(item, ContainerFault):
                raise DriveFolderError(
                    Path(file.name), [Problem(file.name, f"{item.kind} at byte {item.offset}", "import the recording again")]
                )
            chunk = (number, item.chunk_offset, item.chunk_bytes, item.compression, item.chunk_raw_bytes)
            if not self._chunks or self._chunks[-1] != chunk:
                self._chunks.append(chunk)
            self._of_chunk.append(len(self._chunks) - 1)
            self._at.append(item.message_offset)
            self._size.append(item.message_bytes)
            self._log.append(item.log_ns)

    def in_order(self) -> Iterator[RecordedFrame]:
        for number in recording_order(np.array(self._log, dtype=np.int64)).tolist():
            at = self._at[number]
            cdr = bytes(self._records(self._of_chunk[number])[at : at + self._size[number]])
            yield RecordedFrame(peek_stamp_ns(cdr), self._log[number], cdr)

    def _records(self, number: int) -> Bytes:
        known = self._kept.get(number)
        if known is not None:
            self._kept.move_to_end(number)
            return known
        file_number, offset, size, compression, raw_bytes = self._chunks[number]
        file = self._files[file_number]
        file.seek(offset)
        records = self._kept[number] = uncompressed(file.read(size), compression, raw_bytes)
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return records
