"""Job `inspect`: checksum and index every object of a drive, check its clocks, and decide whether it is worth building.

Each object is read once, in one Spark task, which leaves the frame index as a file and reports a few numbers. No payload
and no per-frame row passes through the JVM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from lake.documents import Manifest, ManifestObject
from lake.drive_documents import read_baseline, read_calibration, read_manifest
from lake.drive_input import DriveInput
from lake.errors import AbsentError, LandingError
from lake.landing import SensorKey, parse_raw_key, sensor_of
from lake.overrides import Decisions, object_target, subject
from lake.settings import Settings
from lake.storage import Connect, ObjectStore
from lake.tables.schemas import FRAME_INDEX
from quality.evaluators.calibration import evaluated
from quality.evaluators.departure import evaluate_observability, observability_judged
from quality.evaluators.drive import evaluate_drive, verdict
from quality.evaluators.stamp import off_line
from quality.measurements.sensor_metrics import metrics_table
from quality.rules.findings import Finding, has_errors, rule_ids
from quality.rules.rulebook import RuleBook, rules_of
from quality.tables.calibration import read_calibration_table
from quality.tables.results import RuleResult, drive_results, object_results
from scenes.build.decisions import reviewed_drive, reviewed_objects
from scenes.documents import MAX_FRAME_FINDINGS, Inspection, ObjectReport
from scenes.left_out import LeftOut, Why
from scenes.plan.drive_frames import DriveFrames, in_objects
from scenes.plan.pose_track import first_sensor
from scenes.scan.allowances import allowances
from scenes.scan.frame_rows import OBJECT_INDEX, FrameRows
from scenes.scan.judge import judge_objects
from scenes.scan.motion_samples import FIXES, INERTIAL, POSES
from scenes.scan.object_scan import scan_object
from scenes.scan.sensor_metrics import drive_clocks
from scenes.targets import DriveTargets
from scenes.work_area import (
    CALIBRATION,
    FIX_SAMPLES,
    INDEX,
    INERTIAL_SAMPLES,
    INSPECTION,
    LEFT_OUT,
    METRICS,
    POSE_SAMPLES,
    WorkArea,
)
from sensors.container.allowance import Allowance
from sensors.container.source import Buffers
from sensors.errors import RigError
from sensors.rig import Modality, Rig
from spark_jobs.calibration_check import check_calibration
from spark_jobs.runtime.entry import Job, run_job
from spark_jobs.runtime.results import InspectionResult
from spark_jobs.runtime.session import spark_properties
from spark_jobs.runtime.spark import spark_session
from spark_jobs.runtime.step import Step
from spark_jobs.runtime.tasks import run_tasks

UNKNOWN_BYTES = 64 * 1024 * 1024  # assumed for an object without a declared size
# Bytes hashed in the time that one more message, or one more object, takes.
FRAME_COST_BYTES = 5 * 1024
OBJECT_COST_BYTES = 384 * 1024


class Inspected(NamedTuple):
    """The inspection in the work area, and the result of every rule."""

    inspection: Inspection
    results: tuple[RuleResult, ...]


def main(argv: Sequence[str]) -> int:
    """Run the job; the result holds the verdict and the ids of the failed rules."""
    return run_job("inspect", __doc__ or "", argv, _run, spark_properties)


def _run(job: Job) -> InspectionResult:
    with spark_session(job.properties) as spark:
        inspection, results = inspect_drive(spark, job.step)
    job.run.reads_raw(inspection.size_bytes, results)
    return InspectionResult(verdict=inspection.verdict, rule_ids=rule_ids(inspection.findings), frames=inspection.frames)


def inspect_drive(spark: SparkSession, step: Step, connect: Connect = ObjectStore.connect) -> Inspected:
    """Inspect a drive and leave its index, metrics and findings in the work area; `connect` as in `build_drive`."""
    area, drive_input = step.area, step.drive_input
    manifest, manifest_problem = _attempt(read_manifest, step)
    rig, rig_problem = _attempt(read_calibration, step)
    reports, absent = scan_all(spark, step, manifest, connect)
    tables = area.read_tables(sorted({report.index for report in reports}))
    index = _number(pa.concat_tables(tables or [OBJECT_INDEX.empty_table()]))
    rules = rules_of(rig)
    decisions, versions = Decisions.of(drive_input), {report.key: report.version_id for report in reports}
    object_findings = reviewed_objects(judge_objects(reports, manifest, rig, absent), versions, decisions)
    faulty = frozenset(key for key, found in object_findings.items() if has_errors(found))
    sound = [report for report in reports if report.key not in faulty]
    with area.writing({INDEX: index, **_samples(area, sound, rig)}):
        landed = [key for report in reports if isinstance(key := parse_raw_key(report.key), SensorKey)]
        clocks = drive_clocks(index, rig, manifest, DriveFrames.of(index, faulty).sound, landed)
    metrics = clocks.metrics
    area.write_table(LEFT_OUT, clocks.left_out.table())
    calibrated = check_calibration(spark, step, rig, index, faulty, clocks.left_out, connect)
    checks = read_calibration_table(area.read_table(CALIBRATION))
    baseline = read_baseline(area.store, step.settings, drive_input)
    of_calibration = (*calibrated, *evaluate_observability(baseline, rig, checks, rules))
    drive_findings = reviewed_drive(
        evaluate_drive(rig, manifest, metrics, of_calibration, rig_problem=rig_problem, manifest_problem=manifest_problem),
        decisions,
    )
    area.write_table(METRICS, metrics_table(metrics))
    released = [key for key, version in versions.items() if subject(object_target(key, version)) in decisions.released]
    inspection = Inspection(
        provenance=step.provenance,
        verdict=verdict(drive_findings),
        objects={report.key: report for report in reports},
        object_findings=object_findings,
        frame_findings=_off_line(index, clocks.left_out, faulty, rules),
        faulty_keys=tuple(sorted(faulty)),
        released_keys=tuple(sorted(released)),
        findings=drive_findings,
        frames=len(index),
    )
    area.write_document(INSPECTION, inspection)
    sensors = {key: sensor_of(key) for key in (*inspection.objects, *object_findings)}
    judged = evaluated(checks) | observability_judged(baseline, rig)
    of_drive = drive_results(rig, metrics, drive_findings, rules, judged)
    return Inspected(inspection, (*of_drive, *object_results(sensors, object_findings, rules)))


def _off_line(index: pa.Table, left_out: LeftOut, faulty: frozenset[str], rules: RuleBook) -> tuple[Finding, ...]:
    chosen = left_out.why == Why.OFF_LINE
    frame_ids, off_ns = left_out.frame_ids[chosen], left_out.off_ns[chosen]
    sound = np.flatnonzero(~in_objects(index, faulty)[frame_ids])[:MAX_FRAME_FINDINGS]
    rows = index.select(["sensor", "stamp_ns"]).take(pa.array(frame_ids[sound])).to_pylist()
    return tuple(
        off_line(row["sensor"], row["stamp_ns"], off, rules) for row, off in zip(rows, off_ns[sound].tolist(), strict=True)
    )


def scan_all(
    spark: SparkSession, step: Step, manifest: Manifest | None, connect: Connect
) -> tuple[list[ObjectReport], list[str]]:
    """Scan every sensor object on Spark; reports in key order, and the keys whose version is gone.

    What the manifest declares of an object is the cost of its scan, and bounds it.
    """
    entries = sorted(step.drive_input.objects)
    allowed = allowances(manifest, [entry.key for entry in entries])
    objects = [_Object(number, one.key, one.version_id, allowed[one.key]) for number, one in enumerate(entries)]
    costs_bytes = {entry.key: _cost_bytes(entry) for entry in manifest.objects} if manifest else {}
    targets, root = step.targets, step.area.root

    def scan(share: Sequence[_Object]) -> list[tuple[str, ObjectReport | None]]:
        store = connect()
        scanner = _Scanner(store, targets, WorkArea(store, root), f"index/{share[0].number:05d}.arrow")
        reports = [(entry.key, scanner.scan(entry)) for entry in share]
        scanner.leave_index()
        return reports

    expected = [costs_bytes.get(entry.key, UNKNOWN_BYTES) for entry in objects]
    answers = sorted(run_tasks(spark, scan, objects, expected), key=lambda answer: answer[0])
    present = [report for _, report in answers if report is not None]
    return present, [key for key, report in answers if report is None]


def _cost_bytes(entry: ManifestObject) -> int:
    return entry.size_bytes + FRAME_COST_BYTES * entry.frame_count + OBJECT_COST_BYTES


class _Object(NamedTuple):
    number: int
    key: str
    version_id: str
    allowance: Allowance

    def __str__(self) -> str:
        return self.key


class _Scanner:
    """Scans the objects of one task, one after the other."""

    def __init__(self, store: ObjectStore, targets: DriveTargets, area: WorkArea, index: str) -> None:
        self._store, self._targets, self._area, self._index = store, targets, area, index
        self._buffers, self._frames = Buffers(), FrameRows()

    def scan(self, entry: _Object) -> ObjectReport | None:
        """The report on an object; None for one that has landed but is missing: a finding, not a reason to stop."""
        key = parse_raw_key(entry.key)
        if not isinstance(key, SensorKey):
            raise LandingError(f"{entry.key} is no sensor object, but the drive's input lists it as one")
        try:
            with self._store.stream(self._targets.raw(entry.key, entry.version_id)) as stream:
                scanned = scan_object(stream, key, self._buffers, entry.allowance)
        except AbsentError:
            return None
        self._frames.add(key, scanned.frames)
        if len(scanned.samples):
            self._area.write_table(f"samples/{entry.number:05d}.arrow", scanned.samples)
        return ObjectReport(
            number=entry.number,
            key=entry.key,
            sensor=key.sensor,
            version_id=entry.version_id,
            sha256=scanned.sha256,
            size_bytes=scanned.size_bytes,
            frames=len(scanned.frames),
            samples=len(scanned.samples),
            faults=scanned.faults,
            unknown_types=dict(scanned.unknown_types),
            origins=scanned.origins,
            index=self._index,
        )

    def leave_index(self) -> None:
        """Write the frames of all objects that were scanned."""
        self._area.write_table(self._index, self._frames.table())


def _number(index: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in ("sensor", "stamp_ns", "key", "chunk_offset", "message_offset")]
    rows = index.sort_by(order)
    return rows.add_column(0, FRAME_INDEX.field("frame_id"), pa.array(np.arange(len(rows), dtype=np.int64)))


_SAMPLES = (
    (POSE_SAMPLES, Modality.POSE, POSES),
    (INERTIAL_SAMPLES, Modality.IMU, INERTIAL),
    (FIX_SAMPLES, Modality.GNSS, FIXES),
)


def _samples(area: WorkArea, sound: Sequence[ObjectReport], rig: Rig | None) -> dict[str, pa.Table]:
    """The samples of sound objects, by the name of the table that they belong to."""
    parts: dict[str, list[str]] = {}
    for name, modality, _ in _SAMPLES:
        sensor = None if rig is None else first_sensor(rig, modality)
        numbers = [report.number for report in sound if report.sensor == sensor and report.samples]
        parts[name] = [f"samples/{number:05d}.arrow" for number in numbers]
    read = iter(area.read_tables([part for names in parts.values() for part in names]))
    return {name: pa.concat_tables([schema.empty_table(), *(next(read) for _ in parts[name])]) for name, _, schema in _SAMPLES}


Document = TypeVar("Document")


def _attempt(read: Callable[[ObjectStore, Settings, DriveInput], Document], step: Step) -> tuple[Document | None, str]:
    try:
        return read(step.area.store, step.settings, step.drive_input), ""
    except (LandingError, RigError) as error:
        return None, str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
