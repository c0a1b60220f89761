"""The metric table of a drive: one row for each frame whose payload was decoded, measured once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.tables.schemas import NS
from sensors.measure.cloud import LidarMetrics, RadarMetrics
from sensors.measure.image import ImageMetrics

Measured: TypeAlias = ImageMetrics | LidarMetrics | RadarMetrics
_KINDS = (ImageMetrics, LidarMetrics, RadarMetrics)
_TILES = pa.list_(pa.float32())
_COUNTS = pa.list_(pa.int32())

FRAME_METRICS = pa.schema(
    [
        pa.field("frame_id", pa.int64(), nullable=False),  # row of the frame index
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("stamp_ns", NS, nullable=False),
        pa.field("content", pa.int64(), nullable=False),  # sensors.measure.baseline.content_hash of what the payload shows
        # images; luma in levels from 0 to 255
        pa.field("mean_luma", pa.float64()),
        pa.field("low_luma", pa.float64()),  # 1st percentile
        pa.field("median_luma", pa.float64()),
        pa.field("high_luma", pa.float64()),  # 99th percentile
        pa.field("dark_share", pa.float64()),
        pa.field("bright_share", pa.float64()),
        pa.field("sharpness", pa.float64()),  # variance of the Laplacian, levels squared
        pa.field("blur_px", pa.float64()),  # of an image 320 px wide
        pa.field("tile_luma", _TILES),  # 9 x 12 tiles, row by row
        pa.field("tile_spread", _TILES),
        pa.field("mean_cb", pa.float64()),  # levels from grey
        pa.field("mean_cr", pa.float64()),
        pa.field("chroma_spread", pa.float64()),  # levels
        pa.field("flat_share", pa.float64()),  # rows or columns of one colour that is neither black nor saturated
        pa.field("black_share", pa.float64()),  # of black
        # lidar sweeps
        pa.field("points", pa.int64()),
        pa.field("no_return", pa.int64()),
        pa.field("not_finite", pa.int64()),
        pa.field("sector_returns", _COUNTS),  # by azimuth, 5 degrees each, from -180 degrees
        pa.field("ring_returns", _COUNTS),
        pa.field("intensity", pa.float64()),  # mean, in the message's unit
        pa.field("near", pa.int64()),  # returns within 0.3 m
        pa.field("spread_m", pa.float64()),  # of the others, where they are in few sectors
        # radar scans
        pa.field("detections", pa.int64()),
        pa.field("suspect", pa.int64()),  # invalid or ambiguous by the radar's own fields; null without such fields
    ]
)


@dataclass(frozen=True, slots=True)
class FrameMetrics:
    """The measurements of one frame. `measured` is None for a payload without metrics (a radar's image)."""

    content: int
    measured: Measured | None


def metrics_rows(frames: Iterable[tuple[int, str, str, int, FrameMetrics]]) -> pa.Table:
    """Rows of `FRAME_METRICS` from (frame id, sensor, modality, stamp in ns, metrics), in their order."""
    columns: dict[str, list[Any]] = {name: [] for name in FRAME_METRICS.names}
    for frame_id, sensor, modality, stamp_ns, metrics in frames:
        known: dict[str, Any] = {
            "frame_id": frame_id,
            "sensor": sensor,
            "modality": modality,
            "stamp_ns": stamp_ns,
            "content": metrics.content,
        }
        if metrics.measured is not None:
            known |= {name: getattr(metrics.measured, name) for name in _NAMES[type(metrics.measured)]}
        for name, values in columns.items():
            values.append(known.get(name))
    return pa.Table.from_pydict(columns, schema=FRAME_METRICS)


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The rows of one sensor by frame id, which is also by stamp."""

    sensor: str
    modality: str
    table: pa.Table

    @property
    def frame_ids(self) -> npt.NDArray[np.int64]:
        """(F,)."""
        return np.asarray(self.table["frame_id"].to_numpy())

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """One column, (F,) float64, NaN where it is null."""
        return np.asarray(self.table[name].cast(pa.float64()).to_numpy())

    def whole(self, name: str) -> npt.NDArray[np.int64]:
        """One column without nulls, (F,)."""
        return np.asarray(self.table[name].to_numpy())

    def lists(self, name: str) -> npt.NDArray[np.float64]:
        """One column of lists, (F, longest), 0 where a list is shorter and NaN where it is null."""
        values = self.table[name].to_pylist() if self.table[name].null_count or not _even(self.table[name]) else None
        if values is None:
            column = self.table[name].combine_chunks()
            return np.asarray(column.flatten().to_numpy(), dtype=np.float64).reshape(len(self.table), -1)
        longest = max((len(entry) for entry in values if entry is not None), default=0)
        found = np.zeros((len(values), longest))
        for row, entry in enumerate(values):
            if entry is None:
                found[row] = np.nan
            else:
                found[row, : len(entry)] = entry
        return found


def _even(column: pa.ChunkedArray) -> bool:
    lengths = np.diff(column.combine_chunks().offsets.to_numpy())
    return bool((lengths == lengths[:1]).all())


def series(table: pa.Table) -> tuple[Series, ...]:
    """The table by sensor, sorted by name; a frame that two windows measured counts once."""
    ordered = table.sort_by("frame_id").combine_chunks()
    ids = ordered["frame_id"].to_numpy()
    first = np.ones(len(ids), dtype=np.bool_)
    first[1:] = ids[1:] != ids[:-1]
    ordered = ordered.filter(pa.array(first)).combine_chunks()
    owners = ordered["sensor"].to_numpy(zero_copy_only=False)
    found = []
    for name in sorted(set(owners.tolist())):
        rows = ordered.filter(pa.array(owners == name)).combine_chunks()
        found.append(Series(str(name), str(rows["modality"][0].as_py()), rows))
    return tuple(found)
