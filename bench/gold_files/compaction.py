"""How fast small scene files become large ones, with every digest computed before and after (ADR 0038).

    python -m bench.gold_files.compaction

Scene files of the bench drive, built with the default options, in a lake on this disk. Megabytes of the files that are merged for
a second of processor time; storage is this disk, so that only the project's own work counts.
"""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import cast

import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from rich.console import Console

from bench.build_scenes.drive import CACHE, DriveSpec, drive_folder
from bench.build_scenes.folder_client import FolderStore
from bench.figures import FiguresError, Measurement, Report, console_table
from bench.folder_settings import SETTINGS
from bench.gold_table import land, pinned_input
from bench.own_step import own_step
from bench.quality_score.examine import InProcess
from lake.drive_input import DriveInput
from lake.iceberg.sql_catalog import LakeCatalog
from lake.maintenance.compact import MergeOutcome, compact
from lake.maintenance.compaction_plan import plan
from lake.maintenance.merge_sizes import MB, Sizes
from lake.storage import ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from scenes.documents import BuiltWindows, WindowReport
from scenes.work_area import BUILT, WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive

NAME = "compaction"
ROUNDS = 3
SIZE = 1 / 4  # of the bench drive
LEAST = 100.0  # MB/s of one core
SIZES = Sizes(smallest_scenes=128 * MB)  # full windows of the build too, which a lake would leave as they are


def measure(scratch: Path) -> Report:
    """Build the drive once; publish and compact it in lakes of their own."""
    drive_input, files, scenes = _built(drive_folder(DriveSpec(SIZE), CACHE), scratch)
    size = sum(path.stat().st_size for path in files)
    found = [size / MB / _compacted(scratch / f"lake-{number}", drive_input, files, scenes) for number in range(ROUNDS)]
    return Report((Measurement(f"{NAME}.scenes_mb_per_cpu_second", median(found), "MB/s", True, LEAST),))


def _built(source: Path, root: Path) -> tuple[DriveInput, list[Path], int]:
    connect = functools.partial(FolderStore, root)
    drive_input = pinned_input(land(source, root / SETTINGS.raw_bucket, "bench-0000"))
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/bench"))
    step, spark = own_step(SETTINGS, area, drive_input), cast(SparkSession, InProcess())
    inspect_drive(spark, step, connect)
    build_drive(spark, step, connect)
    reports = area.read_documents(area.read_document(BUILT, BuiltWindows).windows, WindowReport)
    gold = [report.gold for report in reports if report.gold is not None]
    return drive_input, [root / file.uri.removeprefix("s3://") for file in gold], sum(file.scenes for file in gold)


def _compacted(folder: Path, drive_input: DriveInput, files: list[Path], scenes: int) -> float:
    """Processor seconds of the drive's compaction, from plan to commit."""
    folder.mkdir()
    catalog = LakeCatalog("bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    ensure_tables(catalog)
    facts = PublicationFacts(verdict="publish", scenes=scenes, frames=0, records=0)
    uris = {"gold.scenes": [f"file://{path}" for path in files]}
    publish(catalog, Batch(drive_input.drive, drive_input.revision, 1, uris, facts))
    began_s = time.process_time()
    jobs = plan(catalog, SIZES).jobs
    done = [compact(catalog, job, SIZES) for job in jobs]
    taken_s = time.process_time() - began_s
    merged = [file.uri.removeprefix("file://") for one in done if one.row is not None for file in one.row.files]
    rows = sum(pq.read_metadata(uri).num_rows for uri in merged)
    if {one.outcome for one in done} != {MergeOutcome.COMPACTED} or rows != scenes:
        raise FiguresError(f"{scenes} scenes were not compacted: {done}")
    return taken_s


def main() -> None:
    """Measure, print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        Console().print(console_table(measure(Path(folder)).measurements))


if __name__ == "__main__":
    main()
