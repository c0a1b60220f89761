"""Collects the frames of raw objects into one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from lake.landing import SensorKey
from lake.tables.schemas import FRAME_INDEX

# frame_id is given when all objects of the drive are known.
OBJECT_INDEX = pa.schema([field for field in FRAME_INDEX if field.name != "frame_id"])
OF_OBJECT = ("sensor", "modality", "key")
OF_FRAME = (
    "stamp_ns",
    "log_ns",
    "chunk_offset",
    "chunk_bytes",
    "compression",
    "chunk_raw_bytes",
    "message_offset",
    "message_bytes",
    "message_type",
)
ROWS_AT_ONCE = 100_000  # as Python values they take three times the memory

FrameRow: TypeAlias = tuple[int, int, int, int, str, int, int, int, str]
"""The values of `OF_FRAME`."""


class FrameRows:
    """Collects the frames of one object after another. Most objects have too few to be worth a table each."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows: list[FrameRow] = []
        self._objects: list[tuple[SensorKey, int]] = []

    def add(self, key: SensorKey, rows: Sequence[FrameRow]) -> None:
        """All frames of the object `key`."""
        self._rows += rows
        self._objects.append((key, len(rows)))
        if len(self._rows) >= ROWS_AT_ONCE:
            self._tabulate()

    def table(self) -> pa.Table:
        """What was added, in that order, as `OBJECT_INDEX`."""
        self._tabulate()
        return pa.concat_tables([OBJECT_INDEX.empty_table(), *self._tables]).combine_chunks()

    def _tabulate(self) -> None:
        if not self._rows:
            return
        columns = zip(OF_FRAME, zip(*self._rows, strict=True), strict=True)
        arrays = {name: pa.array(column, OBJECT_INDEX.field(name).type) for name, column in columns}
        objects = pa.array(np.repeat(np.arange(len(self._objects)), [count for _, count in self._objects]))
        named = zip(*((key.sensor, key.modality, str(key)) for key, _ in self._objects), strict=True)
        arrays |= {name: pa.array(values, pa.string()).take(objects) for name, values in zip(OF_OBJECT, named, strict=True)}
        self._tables.append(pa.Table.from_pydict(arrays, schema=OBJECT_INDEX))
        self._rows, self._objects = [], []
