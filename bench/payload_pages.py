"""The savings of payload pages in the build step, compared with the same row groups written by pyarrow (ADR 0017, ADR 0026).

    python -m bench.payload_pages

The bench drive at keyframes, structure checks, one process without Spark; processor time of `build_drive`. The library gets
payload as views and a dictionary only where scenes share values: its best case. Both files hold equal rows.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from rich.console import Console

from bench.alternate import alternate, ratio
from bench.build_scenes.contest import Task
from bench.build_scenes.drive import CACHE, DriveSpec, drive_folder
from bench.build_scenes.folder_client import FolderStore
from bench.build_scenes.library_file import payload_array, shared_leaves
from bench.build_scenes.scenelake_job import GOLD, OPTIONS, register
from bench.figures import FiguresError, Measurement, Report, console_table
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from bench.quality_score.examine import InProcess
from lake.storage import ObjectVersion
from scenes.build import window
from scenes.build.scene_file import row_groups, scene_pieces, scene_writer
from scenes.build.scene_table import scene_table
from scenes.work_area import WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from spark_jobs.runtime.step import Step

NAME = "payload_pages"
ROUNDS = 5
SIZE = 1 / 4  # of the bench drive
LEAST = 1.2  # the build step must take this much longer with the library's pages, or payload pages are removed

Pieces = list[bytes | memoryview]


def library_pieces(scenes: Sequence[Mapping[str, Any]], *, compress_points: bool = True) -> Pieces:
    """Replaces `scene_pieces`: the library writes the whole file."""
    tables = [scene_table(group, lambda _, values: payload_array(values)) for group in row_groups(scenes)]
    sink = pa.BufferOutputStream()
    with scene_writer(sink, tables[0].schema, shared_leaves(scenes), compress_points=compress_points) as writer:
        for table in tables:
            writer.write_table(table)
    return [memoryview(sink.getvalue())]


WRITERS: Mapping[str, Callable[..., Pieces]] = {"ours": scene_pieces, "library": library_pieces}


def measure(scratch: Path) -> Report:
    """Build the drive with either writer, alternately.

    Raises:
        FiguresError: Their rows differ.
    """
    drive = drive_folder(DriveSpec(SIZE), CACHE)
    drive_input = register(Task(drive, scratch / "out", "keyframe", 1, drive), scratch)
    connect = functools.partial(FolderStore, scratch)
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/bench"))
    step = own_step(SETTINGS, area, drive_input, OPTIONS)
    inspect_drive(cast(SparkSession, InProcess()), step, connect)
    build = functools.partial(_build, scratch, step, connect)
    (_, ours), (_, library) = (build(name) for name in WRITERS)
    if not ours.equals(library):
        raise FiguresError("the two writers' files hold different rows")
    found = {name: [seconds for seconds, _ in runs] for name, runs in alternate(list(WRITERS), ROUNDS, build).items()}
    saved = Measurement(f"{NAME}.library_cpu", ratio(found["library"], found["ours"]), "x", True, LEAST)
    return Report((saved,))


def _build(root: Path, step: Step, connect: Callable[[], FolderStore], name: str) -> tuple[float, pa.Table]:
    window.scene_pieces = WRITERS[name]  # type: ignore[attr-defined]
    try:
        began_s = time.process_time()
        build_drive(cast(SparkSession, InProcess()), step, connect)
        taken_s = time.process_time() - began_s
    finally:
        window.scene_pieces = scene_pieces  # type: ignore[attr-defined]
    gold = sorted((root / SETTINGS.lake_bucket / GOLD).rglob("*.parquet"))
    rows = pa.concat_tables([pq.read_table(path) for path in gold]).sort_by("scene_id")
    for path in gold:
        path.unlink()
    return taken_s, rows


def main() -> None:
    """Measure, print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        Console().print(console_table(measure(Path(folder)).measurements))


if __name__ == "__main__":
    main()
