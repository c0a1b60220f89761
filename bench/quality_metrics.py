"""The cost of measuring signals: building the scenes of a nuScenes-like drive at keyframe rate with and without metrics.

    python -m bench.quality_metrics [--seconds 20] [--rounds 5]

Both jobs run whole, in this process and on one core, with the payload parsed to its last byte in both cases; without metrics an
image is decoded at an eighth of its size, as small as the codec allows, and of a cloud only numbers are checked. Rounds
alternate.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pyspark.sql import SparkSession
from rich.console import Console

import scenes.build.frames
import scenes.build.window
import spark_jobs.build_scenes
from bench.build_scenes.contest import Task
from bench.build_scenes.drive import CACHE, DriveSpec, drive_folder
from bench.build_scenes.folder_client import FolderStore
from bench.build_scenes.scenelake_job import register
from bench.figures import Measurement, Report, console_table, measurement_table
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from bench.quality_score.examine import InProcess
from lake.storage import ObjectVersion
from quality.evaluators.drive import GateVerdict
from quality.measurements.frame_metrics import FrameMetrics
from scenes.options import BuildOptions
from scenes.work_area import WorkArea
from sensors.decode.images import ImageInfo, inspect_image
from sensors.decode.points import PointCloud
from sensors.rig import Modality
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive

SECONDS, ROUNDS = 20.0, 5
MOST_OVERHEAD = 0.35


def measure(scratch: Path) -> Report:
    """The group `quality` of `bench/run.py`."""
    return overhead(scratch, SECONDS, ROUNDS)


def overhead(scratch: Path, seconds: float, rounds: int) -> Report:
    """Alternate both variants; medians of `rounds`, after one that warms the caches."""
    folder = drive_folder(DriveSpec(1.0, seconds), CACHE)
    plain: list[float] = []
    measured: list[float] = []
    for number in range(rounds + 1):
        with _without_metrics():
            without_s = _build(folder, scratch / "without")
        with_s = _build(folder, scratch / "with")
        if number:
            plain.append(without_s)
            measured.append(with_s)
    ratio = statistics.median(measured) / statistics.median(plain) - 1.0
    figures = (
        Measurement("quality.metrics_overhead", ratio, "of building without", False, MOST_OVERHEAD),
        Measurement("quality.build_without_metrics_s", statistics.median(plain), "s", False),
        Measurement("quality.build_with_metrics_s", statistics.median(measured), "s", False),
    )
    return Report(figures, {"quality": f"{seconds:g} s of drive, keyframes at 2 Hz, one core.\n\n{measurement_table(figures)}"})


def _build(folder: Path, root: Path) -> float:
    """CPU seconds of inspecting and building the drive, all in this process."""
    task = Task(folder, root, "keyframe", 1, folder)
    drive_input = register(task, root)
    connect = functools.partial(FolderStore, root)
    area, spark = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/bench")), cast(SparkSession, InProcess())
    started = time.process_time()
    step = own_step(SETTINGS, area, drive_input, BuildOptions())
    if inspect_drive(spark, step, connect).inspection.verdict is not GateVerdict.BUILD:
        raise RuntimeError("the drive did not pass the gate")
    build_drive(spark, step, connect)
    spent_s = time.process_time() - started
    shutil.rmtree(root)
    return spent_s


@contextmanager
def _without_metrics() -> Iterator[None]:
    """Without metrics: the same checks, but nothing is measured, stored or judged over the drive."""
    places: tuple[tuple[Any, str, Any], ...] = (
        (scenes.build.frames, "image_metrics", _only_inspect),
        (scenes.build.frames, "cloud_metrics", _only_count),
        (scenes.build.window, "leave_metrics", _keep_nothing),
        (spark_jobs.build_scenes, "known_after", _find_nothing),
    )
    kept = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, stand_in in places:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, original in kept:
            setattr(module, name, original)


def _only_inspect(_: Modality, data: memoryview) -> tuple[ImageInfo, FrameMetrics]:
    return inspect_image(data), FrameMetrics(id(data), None)


def _only_count(_modality: Modality, cloud: PointCloud, _xyz_m: npt.NDArray[np.float32]) -> FrameMetrics:
    return FrameMetrics(cloud.stamp_ns, None)


def _keep_nothing(*_: object) -> None:
    pass


def _find_nothing(*_: object) -> dict[int, object]:
    return {}


def main() -> None:
    """Measure as the arguments say, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of the drive")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        report = overhead(Path(folder), arguments.seconds, arguments.rounds)
    Console().print(console_table(report.measurements))


if __name__ == "__main__":
    main()
