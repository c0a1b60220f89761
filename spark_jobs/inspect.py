"""Job `inspect`: checksum, index and clock every object of a drive, and say whether it is worth building.

Each object is read once, in one Spark task, which leaves the frame index as a file and reports a few numbers. No payload
and no per-frame row passes through the JVM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from lake.documents import Manifest, ManifestObject
from lake.drive_documents import read_calibration, read_input, read_manifest
from lake.drive_input import DriveInput
from lake.errors import AbsentError, LandingError
from lake.landing import SensorKey, parse_raw_key, sensor_of
from lake.overrides import Decisions, object_target
from lake.settings import Settings
from lake.storage import Connect, ObjectStore, ObjectVersion
from lake.tables.schemas import FRAME_INDEX
from quality.evaluators.calibration import evaluated
from quality.evaluators.drive import evaluate_drive, verdict
from quality.evaluators.object import evaluate_object
from quality.measurements.metrics import metrics_table
from quality.rules.catalogue import Outcome
from quality.rules.findings import Finding, has_errors
from quality.rules.rulebook import DEFAULT_RULES, RuleBook, rules_of
from quality.tables.calibration import read_calibration_table
from quality.tables.object import object_facts
from quality.tables.results import drive_results, object_results
from scenes.build.window_review import reviewed_drive, reviewed_objects
from scenes.plan.pose_track import first_sensor
from scenes.scan.frame_rows import OBJECT_INDEX, FrameRows
from scenes.scan.motion_samples import FIXES, INERTIAL, POSES
from scenes.scan.object_scan import scan_object
from scenes.scan.sensor_metrics import sensor_metrics
from scenes.work_area import CALIBRATION, FIX_SAMPLES, INDEX, INERTIAL_SAMPLES, INSPECTION, METRICS, POSE_SAMPLES, WorkArea
from sensors.container.source import Buffers
from sensors.errors import RigError
from sensors.rig import Modality, Rig
from spark_jobs.calibration_check import check_calibration
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import run_job
from spark_jobs.runtime.provenance import traced
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.tasks import run_tasks

UNKNOWN_BYTES = 64 * 1024 * 1024  # what an object without a declared size is taken for
# So many are hashed in the time that one more message, and one more object, takes.
FRAME_COST_BYTES = 5 * 1024
OBJECT_COST_BYTES = 384 * 1024


def main(argv: Sequence[str]) -> int:
    """Run the job; the result says `verdict` and the ids of the failed rules."""
    arguments = parse(argv, "inspect", __doc__ or "")
    settings = Settings.from_env(os.environ)
    properties = spark_properties("inspect", os.environ)
    area = WorkArea(ObjectStore.connect(), arguments.work)
    drive_input = read_input(area.store, settings, arguments.drive, arguments.revision)
    with traced("inspect", settings, drive_input, properties) as run:
        spark = start_spark(properties)
        try:
            result = inspect_drive(spark, settings, area, drive_input)
        finally:
            spark.stop()
        run.reads_raw(sum(report["size_bytes"] for report in result["objects"].values()), result["results"])
    arguments.report({"verdict": result["verdict"], "rule_ids": result["rule_ids"], "frames": result["frames"]})
    return 0


def inspect_drive(
    spark: SparkSession, settings: Settings, area: WorkArea, drive_input: DriveInput, connect: Connect = ObjectStore.connect
) -> dict[str, Any]:
    """Inspect a drive and leave its index, metrics and findings in the work area; `connect` as in `build_drive`.

    The result holds, beside what is left there, the `results` of every rule.
    """
    manifest, manifest_problem = _attempt(read_manifest, area.store, settings, drive_input)
    rig, rig_problem = _attempt(read_calibration, area.store, settings, drive_input)
    sizes = {entry.key: _cost_bytes(entry) for entry in manifest.objects} if manifest else {}
    reports, absent = scan_all(spark, settings, area, drive_input, sizes, connect)
    tables = area.read_tables(sorted({report["index"] for report in reports}))
    index = _number(pa.concat_tables(tables or [OBJECT_INDEX.empty_table()]))
    rules = rules_of(rig)
    decisions, versions = Decisions.of(drive_input), {report["key"]: report["version_id"] for report in reports}
    object_findings = reviewed_objects(judge_objects(reports, manifest, absent, rules), versions, decisions)
    sound = [report for report in reports if not has_errors(object_findings.get(report["key"], ()))]
    with area.writing({INDEX: index, **_samples(area, sound, rig)}):
        metrics = sensor_metrics(index, rig, manifest)
    faulty = frozenset(key for key, found in object_findings.items() if has_errors(found))
    calibrated = check_calibration(spark, settings, area, drive_input, rig, index, faulty, connect)
    drive_findings = reviewed_drive(
        evaluate_drive(rig, manifest, metrics, calibrated, rig_problem=rig_problem, manifest_problem=manifest_problem),
        decisions,
    )
    area.write_table(METRICS, metrics_table(metrics))
    inspection: dict[str, Any] = {
        "objects": {report["key"]: report for report in reports},
        "object_findings": {key: [one.to_dict() for one in found] for key, found in object_findings.items()},
        "faulty_keys": sorted(key for key, found in object_findings.items() if has_errors(found)),
        "released_keys": sorted(key for key, version in versions.items() if object_target(key, version) in decisions.released),
        "findings": [found.to_dict() for found in drive_findings],
        "verdict": verdict(drive_findings),
        "rule_ids": sorted({found.rule_id for found in drive_findings}),
        "frames": len(index),
    }
    area.write_json(INSPECTION, inspection)
    sensors = {key: sensor_of(key) for key in (*inspection["objects"], *object_findings)}
    judged = evaluated(read_calibration_table(area.read_table(CALIBRATION)))
    results = [*drive_results(rig, metrics, drive_findings, rules, judged), *object_results(sensors, object_findings, rules)]
    return inspection | {"results": [result.to_dict() for result in results]}


def scan_all(
    spark: SparkSession,
    settings: Settings,
    area: WorkArea,
    drive_input: DriveInput,
    sizes: Mapping[str, int],
    connect: Connect,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Scan every sensor object on Spark; reports in key order, and the keys whose version is gone.

    `sizes`: how much work each key is, in bytes, where known.
    """
    objects = [_Object(number, entry.key, entry.version_id) for number, entry in enumerate(sorted(drive_input.objects))]
    raw_bucket, root = settings.raw_bucket, area.root

    def scan(share: Sequence[_Object]) -> list[dict[str, Any]]:
        store, buffers, frames = connect(), Buffers(), FrameRows()
        place, part = WorkArea(store, root), f"index/{share[0].number:05d}.arrow"
        reports = [_scan(store, raw_bucket, place, entry, buffers, frames) for entry in share]
        place.write_table(part, frames.table())
        return [report | {"index": part} for report in reports]

    expected = [sizes.get(entry.key, UNKNOWN_BYTES) for entry in objects]
    reports = sorted(run_tasks(spark, scan, objects, expected), key=lambda report: str(report["key"]))
    present = [report for report in reports if not report["absent"]]
    return present, [report["key"] for report in reports if report["absent"]]


def _cost_bytes(entry: ManifestObject) -> int:
    return entry.size_bytes + FRAME_COST_BYTES * entry.frame_count + OBJECT_COST_BYTES


class _Object(NamedTuple):
    number: int
    key: str
    version_id: str


def _scan(
    store: ObjectStore, raw_bucket: str, area: WorkArea, entry: _Object, buffers: Buffers, frames: FrameRows
) -> dict[str, Any]:
    """What is to be said of an object; its frames are added to `frames`."""
    key = parse_raw_key(entry.key)
    if not isinstance(key, SensorKey):
        raise LandingError(f"{entry.key} is no sensor object, but the drive's input lists it as one")
    try:
        with store.stream(ObjectVersion(raw_bucket, entry.key, entry.version_id)) as stream:
            scanned = scan_object(stream, key, buffers)
    except AbsentError:
        # It landed and is gone: a finding, and no reason to stop.
        return {"key": entry.key, "absent": True}
    frames.add(key, scanned.frames)
    if len(scanned.samples):
        area.write_table(f"samples/{entry.number:05d}.arrow", scanned.samples)
    return {
        "absent": False,
        "number": entry.number,
        "key": entry.key,
        "sensor": key.sensor,
        "version_id": entry.version_id,
        "sha256": scanned.sha256,
        "size_bytes": scanned.size_bytes,
        "frames": len(scanned.frames),
        "samples": len(scanned.samples),
        "faults": scanned.faults,
        "unknown_types": scanned.unknown_types,
    }


def _number(index: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in ("sensor", "stamp_ns", "key", "chunk_offset", "message_offset")]
    rows = index.sort_by(order)
    return rows.add_column(0, FRAME_INDEX.field("frame_id"), pa.array(np.arange(len(rows), dtype=np.int64)))


_SAMPLES = (
    (POSE_SAMPLES, Modality.POSE, POSES),
    (INERTIAL_SAMPLES, Modality.IMU, INERTIAL),
    (FIX_SAMPLES, Modality.GNSS, FIXES),
)


def _samples(area: WorkArea, sound: Sequence[Mapping[str, Any]], rig: Rig | None) -> dict[str, pa.Table]:
    """The samples of sound objects, by the name of the table that they belong to."""
    parts: dict[str, list[str]] = {}
    for name, modality, _ in _SAMPLES:
        sensor = None if rig is None else first_sensor(rig, modality)
        numbers = [report["number"] for report in sound if report["sensor"] == sensor and report["samples"]]
        parts[name] = [f"samples/{number:05d}.arrow" for number in numbers]
    read = iter(area.read_tables([part for names in parts.values() for part in names]))
    return {name: pa.concat_tables([schema.empty_table(), *(next(read) for _ in parts[name])]) for name, _, schema in _SAMPLES}


def judge_objects(
    reports: Sequence[Mapping[str, Any]],
    manifest: Manifest | None,
    absent: Collection[str] = (),
    rules: RuleBook = DEFAULT_RULES,
) -> dict[str, tuple[Finding, ...]]:
    """Findings by key, of objects that were scanned and of those that should be in S3 and are not.

    Without a manifest no object can be compared with it. That is one finding on the drive (CMP002), not one on every
    object, each of which would be copied to quarantine for it.
    """
    named = {entry.key: entry for entry in manifest.objects} if manifest is not None else {}
    missing = {*named, *absent} - {report["key"] for report in reports}
    facts = object_facts(reports, named, ((key, sensor_of(key)) for key in missing))
    judged = {fact.key: evaluate_object(fact, rules) for fact in facts}
    if manifest is None:
        judged = {key: tuple(found for found in findings if not _uncompared(found)) for key, findings in judged.items()}
    return {key: findings for key, findings in judged.items() if findings}


def _uncompared(found: Finding) -> bool:
    return found.rule_id == "DEC001" and found.outcome is Outcome.UNKNOWN


Document = TypeVar("Document")


def _attempt(
    read: Callable[[ObjectStore, Settings, DriveInput], Document],
    store: ObjectStore,
    settings: Settings,
    drive_input: DriveInput,
) -> tuple[Document | None, str]:
    try:
        return read(store, settings, drive_input), ""
    except (LandingError, RigError) as error:
        return None, str(error)


if __name__ == "__main__":
    sys.exit(run_job(main, sys.argv[1:]))
