"""Job `build_scenes`: match frames from metadata, then let workers read each payload once and write it as Parquet.

The driver sees stamps and byte positions. Images and points go from S3 through a Python worker to Parquet; none of them
crosses the JVM or a shuffle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import pyarrow as pa
from pyspark.sql import SparkSession

from lake.drive_documents import calibration_bytes, parse_rig
from lake.overrides import Decisions
from lake.storage import Connect, ObjectStore
from scenes.build.context import DriveContext
from scenes.build.motion import poses_around
from scenes.build.signals import changed, in_windows, known_after, known_before
from scenes.build.window import BuiltWindow, build_window, findings_name, metrics_name
from scenes.documents import BuiltWindows, Inspection, WindowFindings
from scenes.errors import IncompleteError
from scenes.left_out import LeftOut, read_left_out
from scenes.options import PayloadChecks
from scenes.plan.match_plan import ScenePlan, plan_scenes
from scenes.plan.match_plan_file import plan_tables
from scenes.plan.window_table import scene_bytes, window_tables
from scenes.plan.windows import Window, cut
from scenes.work_area import BUILT, INDEX, POSE_SAMPLES, WorkArea
from spark_jobs.runtime.entry import Job, run_job
from spark_jobs.runtime.results import BuildResult
from spark_jobs.runtime.session import spark_properties
from spark_jobs.runtime.spark import spark_session
from spark_jobs.runtime.step import Step
from spark_jobs.runtime.tasks import run_tasks


def main(argv: Sequence[str]) -> int:
    """Run the job; the result counts scenes and windows."""
    return run_job("build_scenes", __doc__ or "", argv, _run, spark_properties)


def _run(job: Job) -> BuildResult:
    with spark_session(job.properties) as spark:
        result = build_drive(spark, job.step)
    job.run.reads_raw(result.bytes)
    job.run.wrote("warehouse/gold/scenes/data", result.gold)
    return result


def build_drive(spark: SparkSession, step: Step, connect: Connect = ObjectStore.connect) -> BuildResult:
    """Build every scene of a drive that passed the gate; leaves the match plan, the reports of its windows and `built.json`
    in the work area.

    `connect` gives a worker its access to the same objects as `step.area.store`.

    Raises:
        DocumentError: The inspection has another version, or is damaged.
        ProvenanceError: The drive was inspected by other code, or under another configuration.
        IncompleteError: Not every scene was built once.
    """
    area = step.area
    inspection, index = step.inspection(), area.read_table(INDEX)  # the version is checked before anything else is read
    context = drive_context(step, inspection)
    left_out = read_left_out(area)
    plan = plan_scenes(index, area.read_table(POSE_SAMPLES), context.rig, set(inspection.faulty_keys), left_out)
    windows = cut(plan.anchors_ns, scene_bytes(index, plan))
    with area.writing(plan_tables(plan)):
        for tables in window_tables(index, plan, windows):
            area.write_tables({f"plan/{number:05d}.arrow": rows for number, rows in tables.items()})
            if context.rig.policy.motion_compensation:
                poses = {number: poses_around(index, plan.track, rows) for number, rows in tables.items()}
                area.write_tables({f"plan/{number:05d}-poses.arrow": rows for number, rows in poses.items()})
        built, replaced = _build_judged(spark, area, context, windows, connect, plan, index, left_out)
    area.write_document(BUILT, BuiltWindows(windows=tuple(window.name for window in built), replaced=tuple(replaced)))
    quarantined = sum(window.quarantined for window in built)
    return BuildResult(windows=len(windows), gold=plan.scenes - quarantined, quarantined=quarantined, bytes=inspection.size_bytes)


def _build_judged(
    spark: SparkSession,
    area: WorkArea,
    context: DriveContext,
    windows: Sequence[Window],
    connect: Connect,
    plan: ScenePlan,
    index: pa.Table,
    left_out: LeftOut,
) -> tuple[list[BuiltWindow], list[str]]:
    """Build all windows, and rebuild those with findings that only the metrics of the whole drive show.

    Returns the windows in order, and the names of the reports that were replaced.
    """
    before = known_before(area, index, plan, context.rig, context.options, left_out)
    given = in_windows(plan, windows, before)
    built = run_windows(spark, area, context, windows, connect, given)
    if context.options.payload_checks is not PayloadChecks.FULL:
        return built, []
    found = known_after(area, [metrics_name(window.name) for window in built], context.rules)
    after = in_windows(plan, windows, WindowFindings(frames=found, scenes=before.scenes))
    again = [window for window in windows if window.number in changed(given, after)]
    rebuilt = run_windows(spark, area, context, again, connect, after)
    better = dict(zip((window.number for window in again), rebuilt, strict=True))
    replaced = [one.name for window, one in zip(windows, built, strict=True) if window.number in better]
    return [better.get(window.number, one) for window, one in zip(windows, built, strict=True)], replaced


def drive_context(step: Step, inspection: Inspection) -> DriveContext:
    """The context of the drive's scenes, from its pinned input and its inspection."""
    calibration = calibration_bytes(step.area.store, step.settings, step.drive_input)
    return DriveContext(
        targets=step.targets,
        rig=parse_rig(calibration),
        calibration=calibration.decode(),
        sources={key: (report.version_id, report.sha256) for key, report in inspection.objects.items()},
        provenance=inspection.provenance,
        options=step.options,
        decisions=Decisions.of(step.drive_input),
    )


def run_windows(
    spark: SparkSession,
    area: WorkArea,
    context: DriveContext,
    windows: Sequence[Window],
    connect: Connect,
    known: Mapping[int, WindowFindings],
) -> list[BuiltWindow]:
    """Build windows on Spark, with the findings `known` of each by its number; results in the order of `windows`.

    Raises:
        IncompleteError: Not every scene was built once.
    """
    root = area.root
    for window in windows:
        if window.number in known:
            area.write_document(findings_name(window.number), known[window.number])
    with_findings = frozenset(known)

    def build(share: Sequence[Window]) -> list[BuiltWindow]:
        store = connect()
        place = WorkArea(store, root)
        return [
            build_window(store, place, context, window.number, window.day, with_findings=window.number in with_findings)
            for window in share
        ]

    built = run_tasks(spark, build, windows, [window.size_bytes for window in windows])
    planned = [scene for window in windows for scene in range(window.first, window.last)]
    scenes = [scene for window in built for scene in window.scenes]
    if scenes != planned:
        raise IncompleteError(f"planned {len(planned)} scenes, built {len(scenes)}: a window is lost or duplicated")
    return built


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
