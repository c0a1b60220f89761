"""Polars, as an expert would: index by reference, `join_asof`, then each process writes its windows of time.

Tuned: processes instead of threads for the parts in Python (`POLARS_MAX_THREADS=1` in each), started before the clock;
payload handed over as views into the mapped files, so that it is copied once, into the Parquet pages; row groups of a few
scenes, which is faster than large ones (an image that several scenes of a group share is stored once, by the dictionary that
polars makes); no compression, no statistics. `join_asof` prefers the later of two equally near frames, so time runs
backwards in the join.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before polars is loaded: the workers share the machine's cores

import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import Ints, ObjectIndex, RawRig, anchors_of, index_object, raw_objects
from bench.build_scenes.workers import started

WINDOW_SCENES = 40
ROW_GROUP_SCENES = 5
Maps = dict[int, mmap.mmap]
Write = Callable[[pl.DataFrame, list[str], tuple[str, ...], Path], None]
Payloads = Callable[[str, list[str], Maps, Ints, Ints, Ints], pl.Series]
VIEW = np.dtype([("length", "<i4"), ("prefix", "V4"), ("buffer", "<i4"), ("offset", "<i4")])


@contextmanager
def polars_job(task: Task) -> Iterator[Work]:
    """Two started processes."""
    with started(task.processes) as pool:
        yield lambda request: build(request, pool)


def build(task: Task, pool: Pool, write: Write | None = None) -> Mapping[str, str]:
    """Index, match, write (by default `write_window`)."""
    objects = pool.map(index_object, raw_objects(task.drive), chunksize=1)
    plan = match(objects, task.rig, task.mode)
    paths = [entry.path for entry in objects]
    pieces = [
        (plan[first : first + WINDOW_SCENES], paths, task.rig.names, task.out / f"{first:06d}.parquet")
        for first in range(0, plan.height, WINDOW_SCENES)
    ]
    pool.starmap(write or write_window, pieces, chunksize=1)
    return {entry.path: entry.sha256 for entry in objects}


def match(objects: list[ObjectIndex], rig: RawRig, mode: str) -> pl.DataFrame:
    """A row for each anchor; for each sensor its stamp, offset, residual, and the position of its payload."""
    frames = {name: _frames(objects, name) for name in rig.names}
    anchors = pl.DataFrame({"anchor_ns": anchors_of(frames[rig.reference]["stamp_ns"].to_numpy(), mode)})
    plan = anchors.join(
        frames[rig.reference].select(pl.all().name.prefix(f"{rig.reference}_")),
        left_on="anchor_ns",
        right_on=f"{rig.reference}_stamp_ns",
        how="left",
        coalesce=False,
    )
    plan = plan.with_columns(pl.lit(0, pl.Int64).alias(f"{rig.reference}_{name}") for name in ("offset_ns", "residual_ns"))
    plan = plan.sort("anchor_ns", descending=True)
    for sensor in rig.others:
        prefix = f"{sensor.name}_"
        found = frames[sensor.name].select(pl.all().name.prefix(prefix)).with_columns(_back=-pl.col(prefix + "stamp_ns"))
        plan = (
            plan.with_columns(_back=-(pl.col("anchor_ns") + sensor.delay_ns))
            .set_sorted("_back")
            .join_asof(found.reverse().set_sorted("_back"), on="_back", strategy="nearest", tolerance=sensor.tolerance_ns)
            .with_columns((pl.col(prefix + "stamp_ns") - pl.col("anchor_ns")).alias(prefix + "offset_ns"))
            .with_columns((pl.col(prefix + "offset_ns") - sensor.delay_ns).alias(prefix + "residual_ns"))
            .drop("_back")
        )
    return plan.reverse()


def _frames(objects: list[ObjectIndex], sensor: str) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"stamp_ns": entry.stamps_ns, "place": entry.offsets, "length": entry.lengths}).with_columns(
            object=pl.lit(number, pl.Int64)
        )
        for number, entry in enumerate(objects)
        if entry.sensor == sensor
    ]
    return pl.concat(parts).sort("stamp_ns")


def write_window(
    plan: pl.DataFrame, paths: list[str], sensors: tuple[str, ...], target: Path, payloads: Payloads | None = None
) -> None:
    """One Parquet file of the rows of `plan`; payload columns are made by `payloads` (default `view_column`)."""
    column = payloads or view_column
    columns = [plan["anchor_ns"]]
    maps: Maps = {}
    for name in sensors:
        columns += [plan[f"{name}_{what}"] for what in ("stamp_ns", "offset_ns", "residual_ns")]
        place = [plan[f"{name}_{what}"].fill_null(-1).to_numpy() for what in ("object", "place", "length")]
        columns.append(column(f"{name}_payload", paths, maps, *place))
    pl.DataFrame(columns).write_parquet(target, compression="uncompressed", statistics=False, row_group_size=ROW_GROUP_SCENES)


def view_column(name: str, paths: list[str], maps: Maps, numbers: Ints, places: Ints, lengths: Ints) -> pl.Series:
    """Payloads (-1 in `numbers`: null) as views into the mapped files."""
    used = np.unique(numbers[numbers >= 0])
    map_files(paths, maps, used)
    missing = numbers < 0
    views = np.zeros(len(numbers), VIEW)
    views["length"], views["offset"] = np.where(missing, 0, lengths), np.where(missing, 0, places)
    views["buffer"] = np.where(missing, 0, np.searchsorted(used, numbers))
    for row in np.flatnonzero(~missing).tolist():
        views["prefix"][row] = np.void(maps[int(numbers[row])][places[row] : places[row] + 4])
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    buffers = [valid, pa.py_buffer(views), *(pa.py_buffer(maps[number]) for number in used.tolist())]
    return pl.Series(name, pa.Array.from_buffers(pa.binary_view(), len(numbers), buffers))


def map_files(paths: list[str], maps: Maps, used: Ints) -> None:
    """Map the files of these numbers that are not mapped yet."""
    for number in used.tolist():
        if number not in maps:
            with Path(paths[number]).open("rb") as stream:
                maps[number] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


if __name__ == "__main__":
    run(polars_job)
