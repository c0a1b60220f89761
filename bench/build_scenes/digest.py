"""Digest of a contender's actual output, read back from its Parquet files.

Three layouts are known: the columns `lidars`, `cameras`, `radars` of `gold.scenes`; one list `frames` of (sensor, stamp_ns,
payload); and a pair of columns `SENSOR_stamp_ns`, `SENSOR_payload` for each sensor.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_SCENES = 16
STAMP, PAYLOAD = "_stamp_ns", "_payload"
NESTED = {"lidars": "points", "cameras": "image", "radars": "points", "frames": "payload"}

Entry = tuple[int, str, int, int]


class LayoutError(Exception):
    """Files in none of the known layouts."""


@dataclass(frozen=True, slots=True)
class Digest:
    """`matches`: SHA-256 over the sorted (anchor_ns, sensor, stamp_ns). `payloads`: with the CRC-32 of each payload."""

    scenes: int
    files: int
    bytes: int
    matches: str
    payloads: str


def digest(folder: Path) -> Digest:
    """Read all files below the folder."""
    paths = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    entries: list[Entry] = []
    scenes = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_SCENES):
                scenes += batch.num_rows
                entries.extend(_entries(batch))
    entries.sort()
    size = sum(path.stat().st_size for path in paths)
    return Digest(scenes, len(paths), size, digest_of([entry[:3] for entry in entries]), digest_of(entries))


def digest_of(entries: list[Any]) -> str:
    """SHA-256 (hex) over tuples, one per line, in order."""
    return hashlib.sha256("".join(" ".join(map(str, entry)) + "\n" for entry in entries).encode()).hexdigest()


def _entries(batch: pa.RecordBatch) -> Iterator[Entry]:
    anchors = batch.column("anchor_ns").to_pylist()
    nested = [name for name in NESTED if name in batch.schema.names]
    for name in nested:
        column = batch.column(name)
        for row, anchor_ns in enumerate(anchors):
            for entry in column[row]:
                payload = entry[NESTED[name]]
                yield anchor_ns, entry["sensor"].as_py(), entry["stamp_ns"].as_py(), _crc(payload)
    sensors = [name.removesuffix(PAYLOAD) for name in batch.schema.names if name.endswith(PAYLOAD)]
    for sensor in sensors:
        stamps = batch.column(sensor + STAMP).to_pylist()
        for anchor_ns, stamp_ns, payload in zip(anchors, stamps, batch.column(sensor + PAYLOAD), strict=True):
            if stamp_ns is not None:
                yield anchor_ns, sensor, stamp_ns, _crc(payload)
    if not nested and not sensors:
        raise LayoutError(f"columns {', '.join(batch.schema.names)} hold no matches")


def _crc(payload: pa.Scalar) -> int:
    buffer = payload.as_buffer() if payload.is_valid else b""
    return zlib.crc32(buffer)
