"""Scenelake: the jobs `inspect` and `build_scenes` unchanged, on Spark, over a folder in place of S3.

The work is everything from the raw files to the gold files: checksums, containers, frame index, clocks and drive rules,
match plan, payload. Payload is left untouched, as everywhere in this comparison: checks of structure only, points as
recorded, no motion compensation.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.folder_client import VERSION, FolderStore
from bench.build_scenes.raw import KEYFRAME_CELL_NS, NS_PER_S
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from lake.documents import Manifest, canonical_json
from lake.drive_input import DriveInput, InputObject
from lake.landing import CALIBRATION, MANIFEST, DriveId
from lake.storage import ObjectVersion
from quality.evaluators.drive import GateVerdict
from quality.rules.findings import rule_ids
from scenes.options import BuildOptions, PayloadChecks, PointLayout
from scenes.work_area import WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings

GOLD = "warehouse/gold/scenes/data"
OPTIONS = BuildOptions(PayloadChecks.STRUCTURE, PointLayout.ROWS)


@contextmanager
def scenelake_job(task: Task) -> Iterator[Work]:
    """A Spark session, and both drives landed."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=task.out.parent) as folder:
        root = Path(folder)
        spark = start_spark(spark_properties("bench", SparkSettings(spark_master=f"local[{task.processes},3]")))
        try:
            inputs = {drive: register(replace(task, drive=drive), root) for drive in (task.warm_up, task.drive)}
            yield lambda request: _build(spark, root, inputs[request.drive], request.out)
        finally:
            spark.stop()


def register(task: Task, root: Path) -> DriveInput:
    """The drive as if it had landed in the raw bucket, with the policy for `task.mode`."""
    body = (task.drive / MANIFEST).read_bytes()
    named = json.loads(body)
    drive = DriveId(named["vehicle_id"], named["drive_id"])
    landed = root / SETTINGS.raw_bucket / str(drive)
    landed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(task.drive, landed, copy_function=os.symlink)
    calibration = json.loads((task.drive / CALIBRATION).read_bytes())
    keyframe_hz = NS_PER_S / KEYFRAME_CELL_NS if task.mode == "keyframe" else None
    calibration["policy"] = calibration.get("policy", {}) | {"keyframe_hz": keyframe_hz, "motion_compensation": False}
    changed = canonical_json(calibration)
    (landed / CALIBRATION).unlink()
    (landed / CALIBRATION).write_bytes(changed)
    return DriveInput(
        drive,
        frozenset(InputObject(entry.key, VERSION, entry.sha256) for entry in Manifest.parse(body, drive).objects),
        InputObject(drive.manifest_key, VERSION, ""),
        InputObject(drive.calibration_key, VERSION, hashlib.sha256(changed).hexdigest()),
    )


def _build(spark: SparkSession, root: Path, drive_input: DriveInput, out: Path) -> Mapping[str, str]:
    connect = functools.partial(FolderStore, root)
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/bench"))
    step = own_step(SETTINGS, area, drive_input, OPTIONS)
    inspection = inspect_drive(spark, step, connect).inspection
    if inspection.verdict is not GateVerdict.BUILD:
        raise RuntimeError(f"the drive did not pass the gate: {rule_ids(inspection.findings)}")
    built = build_drive(spark, step, connect)
    if built.quarantined:
        raise RuntimeError(f"{built.quarantined} scenes were quarantined")
    for path in (root / SETTINGS.lake_bucket / GOLD).rglob("*.parquet"):
        path.rename(out / path.name)
    return {key: report.sha256 for key, report in inspection.objects.items()}


if __name__ == "__main__":
    run(scenelake_job)
