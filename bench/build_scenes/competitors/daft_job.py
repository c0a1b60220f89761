"""Daft with its native runner: index by reference, one `join_asof` by sensor, payload read by a batch function at the end.

Tuned: metadata alone goes through the joins; functions are called with one object and with a few scenes at a time; no
compression. Functions in processes of their own (`use_process`, `daft.cls`) and smaller morsels took two to four times as
long, because payload then goes between processes. Of two equally near frames `join_asof` takes the later one, so time runs
backwards in the join; it has no tolerance, which is applied afterwards.
"""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "true")  # before daft is loaded
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import DataFrame, DataType, Series, col, lit

from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import KEYFRAME_CELL_NS, index_object, raw_objects

WINDOW_SCENES = 40
INT64S = DataType.list(DataType.int64())
INDEX = DataType.struct(
    {"sensor": DataType.string(), "sha256": DataType.string(), "stamp_ns": INT64S, "place": INT64S, "length": INT64S}
)
FRAME = pa.struct(
    [
        ("sensor", pa.large_string()),
        ("stamp_ns", pa.int64()),
        ("offset_ns", pa.int64()),
        ("residual_ns", pa.int64()),
        ("payload", pa.large_binary()),
    ]
)
FRAMES = DataType.list(DataType.from_arrow_type(FRAME))
PLACE = ("sensor", "stamp_ns", "offset_ns", "residual_ns", "path", "place", "length")


@contextmanager
def daft_job(task: Task) -> Iterator[Work]:
    """The runner, with as many threads as the others have processes, and warm pools."""
    daft.set_runner_native(num_threads=task.processes)
    daft.from_pydict({"a": [1, 2]}).with_column("b", col("a") + 1).collect()
    yield build


def build(task: Task) -> Mapping[str, str]:
    """Index, match, write."""
    index = daft.func.batch(return_dtype=INDEX, batch_size=1)(_index)
    payload = daft.func.batch(return_dtype=FRAMES, batch_size=WINDOW_SCENES)(_payload)
    objects = daft.from_pydict({"path": [str(path) for path in raw_objects(task.drive)]})
    objects = objects.with_column("index", index(col("path"))).select("path", col("index").unnest()).collect()
    frames = objects.explode("stamp_ns", "place", "length").where(col("stamp_ns").not_null()).collect()
    scenes = match(frames, task).collect()
    scenes = scenes.select("anchor_ns", payload(*(col(name) for name in PLACE)).alias("frames"))
    scenes.write_parquet(str(task.out), compression="uncompressed")
    found = objects.select("path", "sha256").to_pydict()
    return dict(zip(found["path"], found["sha256"], strict=True))


def match(frames: DataFrame, task: Task) -> DataFrame:
    """A row for each anchor, ascending, with lists of matches and the positions of their payload."""
    rig = task.rig
    anchors = frames.where(col("sensor") == rig.reference).select(col("stamp_ns").alias("anchor_ns"))
    if task.mode == "keyframe":
        cells = anchors.with_column("cell", col("anchor_ns") // lit(KEYFRAME_CELL_NS))
        anchors = cells.groupby("cell").agg(col("anchor_ns").min()).select("anchor_ns")
    terms = daft.from_pydict(
        {
            "sensor": list(rig.names),
            "delay_ns": [0, *(sensor.delay_ns for sensor in rig.others)],
            "tolerance_ns": [0, *(sensor.tolerance_ns for sensor in rig.others)],
        }
    )
    targets = anchors.join(terms, how="cross").with_column("back_ns", lit(0) - col("anchor_ns") - col("delay_ns"))
    back = frames.select(*frames.column_names, (lit(0) - col("stamp_ns")).alias("frame_back_ns"))
    matched = (
        targets.join_asof(back, left_on="back_ns", right_on="frame_back_ns", by="sensor", strategy="nearest")
        .with_column("offset_ns", col("stamp_ns") - col("anchor_ns"))
        .with_column("residual_ns", col("offset_ns") - col("delay_ns"))
        .where(col("residual_ns").abs() <= col("tolerance_ns"))
    )
    return matched.groupby("anchor_ns").agg(*(col(name).list_agg() for name in PLACE)).sort("anchor_ns")


def _index(paths: Series) -> Series:
    entries: list[dict[str, Any]] = []
    for path in paths.to_pylist():
        found = index_object(Path(path))
        entry = {"sensor": found.sensor, "sha256": found.sha256, "stamp_ns": found.stamps_ns.tolist()}
        entries.append(entry | {"place": found.offsets.tolist(), "length": found.lengths.tolist()})
    return Series.from_pylist(entries, dtype=INDEX)


def _payload(*columns: Series) -> Series:
    lists = [column.to_arrow() for column in columns]
    sensors, stamps, offsets, residuals, paths, places, lengths = (entry.flatten() for entry in lists)
    maps: dict[str, mmap.mmap] = {}
    payloads = []
    for path, place, length in zip(paths.to_pylist(), places.to_pylist(), lengths.to_pylist(), strict=True):
        if path not in maps:
            with Path(path).open("rb") as stream:
                maps[path] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        payloads.append(maps[path][place : place + length])
    values = [sensors.cast(pa.large_string()), stamps, offsets, residuals, pa.array(payloads, pa.large_binary())]
    struct = pa.StructArray.from_arrays(values, fields=list(FRAME))
    starts = lists[0].offsets
    return Series.from_arrow(pa.LargeListArray.from_arrays(pa.array(starts.to_numpy() - starts[0].as_py(), pa.int64()), struct))


if __name__ == "__main__":
    run(daft_job)
