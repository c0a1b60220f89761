"""Check a drive's calibration against its own data, before the drive is built.

Two rounds on Spark: sweeps (against the ground, and for their edges), then cameras and radars. What is read is bounded
(`scenes.calibration.plan`): of a drive of any length at most 20 sweeps of the reference lidar, 10 of others, 8 pairs of sweeps
of each, 20 images of each camera and 40 scans of each radar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from pyspark.sql import SparkSession

from lake.storage import Connect, ObjectStore
from quality.evaluators.calibration import evaluate_calibration, unchecked
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from quality.tables.calibration import calibration_table
from scenes.calibration.plan import CalibrationPlan, ImageTask, PairTask, ScanTask, SweepTask, plan_calibration
from scenes.calibration.work import Raw, SensorResult, SweepResult, check_images, check_pair, check_scans, check_sweep
from scenes.left_out import LeftOut
from scenes.options import PayloadChecks
from scenes.plan.drive_frames import DriveFrames
from scenes.plan.pose_track import PoseTrack
from scenes.plan.window_table import FrameRef
from scenes.work_area import CALIBRATION, POSE_SAMPLES, WorkArea
from sensors.calibration.lens import contradictions
from sensors.calibration.result import Checked
from sensors.calibration.verdicts import lidar_verdicts
from sensors.geometry import Floats
from sensors.rig import Modality, Rig
from spark_jobs.runtime.step import Step
from spark_jobs.runtime.tasks import run_tasks


def check_calibration(
    spark: SparkSession,
    step: Step,
    rig: Rig | None,
    index: pa.Table,
    faulty_keys: frozenset[str],
    left_out: LeftOut,
    connect: Connect = ObjectStore.connect,
) -> tuple[Finding, ...]:
    """Check every lidar, camera and radar that has frames; writes `calibration.arrow` and returns the findings.

    `index`: the drive's numbered frame index; the pose samples are in the work area. No frame that is `left_out` is
    looked at. Without a rig there is nothing to check.
    """
    area, payload_checks = step.area, step.options.payload_checks
    if rig is None or payload_checks is PayloadChecks.STRUCTURE:
        area.write_table(CALIBRATION, calibration_table(()))
        return () if rig is None else unchecked(rig, f"the payload checks are {payload_checks}", RuleBook.of(rig.policy))
    frames = DriveFrames.of(index, faulty_keys, left_out)
    plan = plan_calibration(index, frames, PoseTrack.of(area.read_table(POSE_SAMPLES), frames, rig), rig)
    raw = Raw(step.settings.raw_bucket, {entry.key: entry.version_id for entry in step.drive_input.objects})
    sweeps = _sweeps(spark, raw, area, rig, plan.sweeps, connect)
    seen = _sensors(spark, raw, area, rig, plan, sweeps, connect)
    checks = _lidars(rig, sweeps, _pairs(spark, raw, rig, plan.pairs, connect))
    checks += tuple(check for entry in seen.values() for check in entry.checks)
    wrong = {
        sensor.name: contradictions(sensor.intrinsics, seen[sensor.name].size_px if sensor.name in seen else None)
        for sensor in rig.sensors
        if sensor.intrinsics is not None
    }
    area.write_table(CALIBRATION, calibration_table(checks))
    return evaluate_calibration(checks, wrong, RuleBook.of(rig.policy))


def _sweeps(
    spark: SparkSession, raw: Raw, area: WorkArea, rig: Rig, tasks: Sequence[SweepTask], connect: Connect
) -> list[SweepResult]:
    root = area.root

    def work(share: Sequence[SweepTask]) -> list[SweepResult]:
        store = connect()
        return [check_sweep(store, raw, WorkArea(store, root), rig, task) for task in share]

    return run_tasks(spark, work, tasks, [task.frame.chunk_bytes * (1 + len(task.images)) for task in tasks])


def _pairs(spark: SparkSession, raw: Raw, rig: Rig, tasks: Sequence[PairTask], connect: Connect) -> Mapping[str, list[Floats]]:
    """The scores of each lidar's pairs of sweeps."""

    def work(share: Sequence[PairTask]) -> list[tuple[str, Floats | None]]:
        store = connect()
        return [check_pair(store, raw, rig, task) for task in share]

    found: dict[str, list[Floats]] = {}
    for lidar, scores in run_tasks(spark, work, tasks, [task.first.chunk_bytes + task.second.chunk_bytes for task in tasks]):
        if scores is not None:
            found.setdefault(lidar, []).append(scores)
    return found


def _sensors(
    spark: SparkSession,
    raw: Raw,
    area: WorkArea,
    rig: Rig,
    plan: CalibrationPlan,
    sweeps: Sequence[SweepResult],
    connect: Connect,
) -> Mapping[str, SensorResult]:
    root = area.root
    names = [*plan.images, *plan.scans]
    why = {name: sorted({seen.without_edges[name] for seen in sweeps if name in seen.without_edges}) for name in names}
    items = [(name, plan.images.get(name, ()), plan.scans.get(name, ()), why[name]) for name in names]

    def work(share: Sequence[tuple[str, Sequence[ImageTask], Sequence[ScanTask], Sequence[str]]]) -> list[SensorResult]:
        store = connect()
        return [
            check_scans(store, raw, rig[name], scans)
            if scans
            else check_images(store, raw, WorkArea(store, root), rig[name], images, reasons)
            for name, images, scans, reasons in share
        ]

    sizes = [sum(frame.message_bytes for frame in _read(images, scans)) for _, images, scans, _ in items]
    return dict(zip(names, run_tasks(spark, work, items, sizes), strict=True))


def _read(images: Sequence[ImageTask], scans: Sequence[ScanTask]) -> list[FrameRef]:
    return [task.frame for task in images] + [task.frame for task in scans]


def _lidars(rig: Rig, sweeps: Sequence[SweepResult], turns: Mapping[str, Sequence[Floats]]) -> tuple[Checked, ...]:
    checks: tuple[Checked, ...] = ()
    for sensor in rig.sensors:
        planes = [seen.plane for seen in sweeps if seen.lidar == sensor.name]
        if sensor.modality is Modality.LIDAR and planes:
            checks += lidar_verdicts(sensor.name, planes, rig.ground_z_m, turns.get(sensor.name, ()))
    return checks
