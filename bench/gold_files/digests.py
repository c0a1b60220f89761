"""What digests and page CRCs add to building scenes (ADR 0037).

    python -m bench.gold_files.digests

The bench drive, default options (all payload checks, motion compensation, points as planes), one process without Spark; processor
time of `build_drive` with everything, and with functions that return at once in place of those that hash.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import cast
from unittest.mock import patch

from pyspark.sql import SparkSession
from rich.console import Console

from bench.alternate import alternate
from bench.build_scenes.drive import CACHE, DriveSpec, drive_folder
from bench.build_scenes.folder_client import FolderStore
from bench.figures import Measurement, Report, console_table
from bench.folder_settings import SETTINGS
from bench.gold_table import land, pinned_input
from bench.own_step import own_step
from bench.quality_score.examine import InProcess
from lake.storage import ObjectVersion
from scenes.work_area import WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive

NAME = "digests"
ROUNDS = 5
SIZE = 1 / 4  # of the bench drive
MOST = 5.0  # percent of the processor time of building
PARTS = {
    "payload_sha256": ("scenes.build.window.payload_sha256", ""),
    "scene_digest": ("scenes.build.window.scene_digest", ""),
    "file_sha256": ("scenes.build.window.sha256_of", ""),
    "page_crc": ("lake.parquet.payload_pages._crc32", 0),
}


def measure(scratch: Path) -> Report:
    """Build the drive with all digests, without any, and without each."""
    drive = drive_folder(DriveSpec(SIZE), CACHE)
    connect = functools.partial(FolderStore, scratch)
    drive_input = pinned_input(land(drive, scratch / SETTINGS.raw_bucket, "bench-0000"))
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/bench"))
    step, spark = own_step(SETTINGS, area, drive_input), cast(SparkSession, InProcess())
    inspect_drive(spark, step, connect)

    def build(without: tuple[str, ...]) -> float:
        with _without(without):
            began_s = time.process_time()
            build_drive(spark, step, connect)
            taken_s = time.process_time() - began_s
        for path in (scratch / SETTINGS.lake_bucket / "warehouse").rglob("*.parquet"):
            path.unlink()
        return taken_s

    variants = [(), tuple(PARTS), *((part,) for part in PARTS)]
    build(())
    found = {without: median(runs) for without, runs in alternate(variants, ROUNDS, build).items()}
    shares = {without: 100 * (found[()] - seconds) / found[()] for without, seconds in found.items()}
    whole = Measurement(f"{NAME}.share_of_building", shares[tuple(PARTS)], "% of CPU", False, MOST)
    return Report((whole, *(Measurement(f"{NAME}.{part}", shares[part,], "% of CPU", False) for part in PARTS)))


@contextmanager
def _without(parts: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for part in parts:
            name, found = PARTS[part]
            stack.enter_context(patch(name, lambda *_, found=found: found))
        yield


def main() -> None:
    """Measure, print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        Console().print(console_table(measure(Path(folder)).measurements))


if __name__ == "__main__":
    main()
