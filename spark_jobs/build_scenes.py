"""Job `build_scenes`: match frames from metadata, then let workers read each payload once and write it as Parquet.

The driver sees stamps and byte positions. Images and points go from S3 through a Python worker to Parquet; none of them
crosses the JVM or a shuffle.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lake.drive_documents import calibration_bytes, parse_rig, read_input
from lake.drive_input import DriveInput
from lake.overrides import Decisions
from lake.settings import Settings
from lake.storage import Connect, ObjectStore
from scenes.build.measure import metrics_name
from scenes.build.motion import poses_around
from scenes.build.signals import changed, in_windows, known_after, known_before
from scenes.build.window_build import BuiltWindow, DriveContext, build_window
from scenes.build.window_findings import WindowFindings
from scenes.errors import IncompleteError
from scenes.options import BuildOptions, PayloadChecks
from scenes.plan.plan import ScenePlan, plan_scenes
from scenes.plan.window_plan import scene_bytes, window_tables
from scenes.plan.windows import Window, cut
from scenes.work_area import BUILT, INDEX, INSPECTION, POSE_SAMPLES, WorkArea
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import run_job
from spark_jobs.runtime.provenance import code_version, configuration_hash, traced
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.tasks import run_tasks


def main(argv: Sequence[str]) -> int:
    """Run the job; the result counts scenes and windows."""
    arguments = parse(argv, "build_scenes", __doc__ or "")
    settings = Settings.from_env(os.environ)
    properties = spark_properties("build_scenes", os.environ)
    area = WorkArea(ObjectStore.connect(), arguments.work)
    drive_input = read_input(area.store, settings, arguments.drive, arguments.revision)
    with traced("build_scenes", settings, drive_input, properties) as run:
        spark = start_spark(properties)
        try:
            result = build_drive(spark, settings, area, drive_input)
        finally:
            spark.stop()
        run.reads_raw(result["bytes"])
        run.wrote("warehouse/gold/scenes/data", result["gold"])
    arguments.report(result)
    return 0


def build_drive(
    spark: SparkSession, settings: Settings, area: WorkArea, drive_input: DriveInput, connect: Connect = ObjectStore.connect
) -> dict[str, int]:
    """Build every scene of a drive that passed the gate; leaves `built.json` in the work area: the reports of its windows, and
    those that other ones of the same windows replaced.

    `connect` gives a worker its access to the same objects as `area.store`.
    """
    index, inspection = area.read_table(INDEX), area.read_json(INSPECTION)
    context = drive_context(settings, area, drive_input, inspection)
    plan = plan_scenes(index, area.read_table(POSE_SAMPLES), context.rig, set(inspection["faulty_keys"]))
    windows = cut(plan.anchors_ns, scene_bytes(index, plan))
    for tables in window_tables(index, plan, windows):
        area.write_tables({f"plan/{number:05d}.arrow": rows for number, rows in tables.items()})
        if context.rig.policy.motion_compensation:
            poses = {number: poses_around(index, plan.track, rows) for number, rows in tables.items()}
            area.write_tables({f"plan/{number:05d}-poses.arrow": rows for number, rows in poses.items()})
    built, replaced = _build_judged(spark, area, context, windows, connect, plan, index)
    area.write_json(BUILT, {"windows": [window.name for window in built], "replaced": replaced})
    quarantined = sum(window.quarantined for window in built)
    sizes = [report["size_bytes"] for report in inspection["objects"].values()]
    return {"windows": len(windows), "gold": plan.scenes - quarantined, "quarantined": quarantined, "bytes": sum(sizes)}


def _build_judged(
    spark: SparkSession,
    area: WorkArea,
    context: DriveContext,
    windows: Sequence[Window],
    connect: Connect,
    plan: ScenePlan,
    index: pa.Table,
) -> tuple[list[BuiltWindow], list[str]]:
    """Build all windows, and those again in which the metrics of the whole drive show what one window cannot.

    Returns each window, in their order, and the names of those reports that are not to be used any more.
    """
    before = known_before(area, index, plan, context.rig, context.options)
    given = in_windows(plan, windows, before)
    built = run_windows(spark, area, context, windows, connect, given)
    if context.options.payload_checks is not PayloadChecks.FULL:
        return built, []
    found = known_after(area, [metrics_name(window.name) for window in built], context.rules)
    after = in_windows(plan, windows, WindowFindings(found, before.scenes))
    again = [window for window in windows if window.number in changed(given, after)]
    rebuilt = run_windows(spark, area, context, again, connect, after)
    better = dict(zip((window.number for window in again), rebuilt, strict=True))
    replaced = [one.name for window, one in zip(windows, built, strict=True) if window.number in better]
    return [better.get(window.number, one) for window, one in zip(windows, built, strict=True)], replaced


def drive_context(settings: Settings, area: WorkArea, drive_input: DriveInput, inspection: Mapping[str, Any]) -> DriveContext:
    """What all scenes of the drive share, from its pinned input and its inspection."""
    calibration = calibration_bytes(area.store, settings, drive_input)
    return DriveContext(
        drive=drive_input.drive,
        revision=drive_input.revision,
        rig=parse_rig(calibration),
        calibration=calibration.decode(),
        sources={key: (report["version_id"], report["sha256"]) for key, report in inspection["objects"].items()},
        raw_bucket=settings.raw_bucket,
        lake_bucket=settings.lake_bucket,
        quarantine_bucket=settings.quarantine_bucket,
        code_version=code_version(),
        config_hash=configuration_hash(),
        options=BuildOptions.from_env(os.environ),
        decisions=Decisions.of(drive_input),
    )


def run_windows(
    spark: SparkSession,
    area: WorkArea,
    context: DriveContext,
    windows: Sequence[Window],
    connect: Connect,
    known: Mapping[int, WindowFindings],
) -> list[BuiltWindow]:
    """Build windows on Spark, with what is `known` of each by its number; in the order of `windows`.

    Raises:
        IncompleteError: Not every scene was built once.
    """
    root = area.root
    for window in windows:
        if window.number in known:
            known[window.number].leave(area, window.number)
    told = frozenset(known)

    def build(share: Sequence[Window]) -> list[BuiltWindow]:
        store = connect()
        place = WorkArea(store, root)
        return [
            build_window(store, place, context, window.number, window.day, with_findings=window.number in told)
            for window in share
        ]

    built = run_tasks(spark, build, windows, [window.size_bytes for window in windows])
    planned = [scene for window in windows for scene in range(window.first, window.last)]
    scenes = [scene for window in built for scene in window.scenes]
    if scenes != planned:
        raise IncompleteError(f"planned {len(planned)} scenes, built {len(scenes)}: a window is lost or came twice")
    return built


if __name__ == "__main__":
    sys.exit(run_job(main, sys.argv[1:]))
