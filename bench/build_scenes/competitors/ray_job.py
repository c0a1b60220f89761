"""Ray Data: objects indexed in parallel, matches planned on the driver, windows read and written in parallel.

Tuned: by reference, so that no payload goes through a shuffle or the driver; a block for each window, read and written by
one task; no compression (the dictionary that pyarrow makes by default stores an image once that several scenes share).
Ray has no as-of join: the plan is `pandas.merge_asof` over metadata. One node on loopback, no dashboard.
"""

from __future__ import annotations

import os

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else its servers listen on all interfaces (seen in 2.60 on Linux)
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before ray is loaded
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")

import logging
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import ray
import ray.data

from bench.build_scenes.competitors.pandas_match import PLACES, plan_matches
from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import ObjectIndex, index_object, raw_objects

WINDOW_SCENES = 40
STORE_BYTES = 4 * 1024**3


@contextmanager
def ray_job(task: Task) -> Iterator[Work]:
    """A local node whose workers have run something already."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        ray.init(
            num_cpus=task.processes,
            include_dashboard=False,
            object_store_memory=STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
        )
        try:
            warm = ray.data.range(2 * task.processes, override_num_blocks=2 * task.processes)
            warm.map_batches(_warm, batch_format="pyarrow").materialize()
            yield build
        finally:
            ray.shutdown()


def build(task: Task) -> Mapping[str, str]:
    """Index, match, write."""
    paths = [str(path) for path in raw_objects(task.drive)]
    found = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=len(paths)).map(_index)
    objects = [ObjectIndex(**row) for row in found.take_all()]
    names = task.rig.names
    plan = pa.Table.from_pandas(plan_matches(objects, task.rig, task.mode), preserve_index=False)
    windows = [plan.slice(first, WINDOW_SCENES).combine_chunks() for first in range(0, plan.num_rows, WINDOW_SCENES)]
    payload = {"paths": [entry.path for entry in objects], "sensors": names}
    scenes = ray.data.from_arrow(windows).map_batches(
        _with_payload, batch_format="pyarrow", batch_size=None, fn_kwargs=payload, zero_copy_batch=True
    )
    scenes.write_parquet(str(task.out), compression="none")
    return {entry.path: entry.sha256 for entry in objects}


def _warm(table: pa.Table) -> pa.Table:
    return table


def _index(row: dict[str, Any]) -> dict[str, Any]:
    found = index_object(Path(row["path"]))
    return {name: getattr(found, name) for name in ("path", "sensor", "sha256", "stamps_ns", "offsets", "lengths")}


def _with_payload(plan: pa.Table, paths: list[str], sensors: tuple[str, ...]) -> pa.Table:
    maps: dict[int, mmap.mmap] = {}
    for name in sensors:
        numbers, places, lengths = (plan[f"{name}_{what}"].to_pylist() for what in PLACES)
        payloads: list[bytes | None] = []
        for number, place, length in zip(numbers, places, lengths, strict=True):
            if number >= 0 and number not in maps:
                with Path(paths[number]).open("rb") as stream:
                    maps[number] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            payloads.append(None if number < 0 else maps[number][place : place + length])
        plan = plan.drop_columns([f"{name}_{what}" for what in PLACES])
        plan = plan.append_column(f"{name}_payload", pa.array(payloads, pa.large_binary()))
    return plan


if __name__ == "__main__":
    run(ray_job)
