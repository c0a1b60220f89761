"""Job `build_scenes`: match frames from metadata, then let workers read each payload once and write it as Parquet.

The driver sees stamps and byte positions. Images and points go from S3 through a Python worker to Parquet; none of them
crosses the JVM or a shuffle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
from pyspark.sql import SparkSession

from lake.drive_documents import calibration_bytes, parse_rig, read_baseline
from lake.overrides import DRIVE, Decisions
from lake.storage import Connect, ObjectStore
from lake.vehicle_baseline import VehicleBaseline
from quality.decisions import release
from quality.evaluators.departure import evaluate_departures, not_compared
from quality.rules.findings import Finding, has_errors
from scenes.build.context import DriveContext, WiderFlags
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
    left_out, baseline = read_left_out(area), read_baseline(area.store, step.settings, step.drive_input)
    plan = plan_scenes(index, area.read_table(POSE_SAMPLES), context.rig, set(inspection.faulty_keys), left_out)
    windows = cut(plan.anchors_ns, scene_bytes(index, plan))
    with area.writing(plan_tables(plan)):
        for tables in window_tables(index, plan, windows):
            area.write_tables({f"plan/{number:05d}.arrow": rows for number, rows in tables.items()})
            if context.rig.policy.motion_compensation:
                poses = {number: poses_around(index, plan.track, rows) for number, rows in tables.items()}
                area.write_tables({f"plan/{number:05d}-poses.arrow": rows for number, rows in poses.items()})
        judged = _build_judged(spark, area, context, windows, connect, plan, index, left_out, baseline)
    document = BuiltWindows(
        windows=tuple(window.name for window in judged.windows),
        replaced=judged.replaced,
        findings=judged.findings,
        statistics=judged.statistics,
    )
    area.write_document(BUILT, document)
    quarantined = sum(window.quarantined for window in judged.windows)
    return BuildResult(windows=len(windows), gold=plan.scenes - quarantined, quarantined=quarantined, bytes=inspection.size_bytes)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The windows in order, the names of the reports that were replaced, and what all of the drive's frames together showed."""

    windows: Sequence[BuiltWindow]
    findings: tuple[Finding, ...]
    replaced: tuple[str, ...] = ()
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)


def _build_judged(
    spark: SparkSession,
    area: WorkArea,
    context: DriveContext,
    windows: Sequence[Window],
    connect: Connect,
    plan: ScenePlan,
    index: pa.Table,
    left_out: LeftOut,
    baseline: VehicleBaseline | None,
) -> _Judged:
    """Build all windows, and rebuild those with findings that only the metrics of the whole drive show."""
    measures = context.options.payload_checks is PayloadChecks.FULL
    findings = () if measures else _not_compared(context, baseline)
    context = _flagged(context, findings)
    before = known_before(area, index, plan, context.rig, context.options, left_out)
    given = in_windows(plan, windows, before)
    built = run_windows(spark, area, context, windows, connect, given)
    if not measures:
        return _Judged(built, findings)
    measured = known_after(area, [metrics_name(window.name) for window in built], context.rules)
    findings = _departures(context, baseline, measured.statistics)
    after = in_windows(plan, windows, WindowFindings(frames=measured.frames, scenes=before.scenes))
    flagged = _flagged(context, findings)
    # A drive that departs too far is quarantined by the audit: none of its scenes needs the flag.
    stale = flagged.flags != context.flags and not has_errors(findings)
    again = [window for window in windows if stale or window.number in changed(given, after)]
    rebuilt = run_windows(spark, area, flagged, again, connect, after)
    better = dict(zip((window.number for window in again), rebuilt, strict=True))
    pairs = list(zip(windows, built, strict=True))
    return _Judged(
        [better.get(window.number, one) for window, one in pairs],
        findings,
        tuple(one.name for window, one in pairs if window.number in better),
        measured.statistics,
    )


def _flagged(context: DriveContext, findings: Sequence[Finding]) -> DriveContext:
    return replace(context, flags=context.flags.plus(findings, context.rig.critical))


def _departures(
    context: DriveContext, baseline: VehicleBaseline | None, statistics: Mapping[str, Mapping[str, float]]
) -> tuple[Finding, ...]:
    """How the drive departs from the baseline, after the decision about the drive."""
    found = evaluate_departures(context.rig, baseline, statistics, context.rules)
    return release(found, context.decisions.released.get(DRIVE))


def _not_compared(context: DriveContext, baseline: VehicleBaseline | None) -> tuple[Finding, ...]:
    return not_compared(context.rig, baseline, f"the payload checks are {context.options.payload_checks}", context.rules)


def drive_context(step: Step, inspection: Inspection) -> DriveContext:
    """The context of the drive's scenes, from its pinned input and its inspection."""
    calibration = calibration_bytes(step.area.store, step.settings, step.drive_input)
    rig = parse_rig(calibration)
    return DriveContext(
        targets=step.targets,
        rig=rig,
        calibration=calibration.decode(),
        sources={key: (report.version_id, report.sha256) for key, report in inspection.objects.items()},
        provenance=inspection.provenance,
        options=step.options,
        decisions=Decisions.of(step.drive_input),
        flags=WiderFlags.of(inspection.findings, inspection.object_findings, rig.critical),
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
