"""Job `audit`: account for every frame of a drive, check its metrics, and write what `publish` will commit.

Nothing is visible yet. A drive whose account does not balance, or whose metrics fail an expectation, goes to quarantine
as a whole: better held back than wrong.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from lake.documents import Manifest
from lake.drive_documents import read_calibration, read_input, read_manifest
from lake.drive_input import DriveInput
from lake.errors import LandingError
from lake.overrides import Decisions
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from quality.accounting import SensorAccount, accounts, balance
from quality.gx.checkpoint import run_checkpoint
from quality.measurements.metrics import read_metrics
from quality.measurements.residuals import Residuals
from quality.records import Origin, records_table
from quality.review import with_rejections
from quality.rules.catalogue import Level, Severity, rule
from quality.rules.findings import Finding, finding, rule_ids
from quality.rules.rulebook import rules_of
from quality.tables.results import audit_results
from scenes.build.window_review import lets_drive_pass
from scenes.errors import AccountError
from scenes.outcome.fates import Built, frames_of_built_drive, frames_of_quarantined_drive
from scenes.outcome.records import Record, built_records, object_records, whole_drive_record
from scenes.outcome.released import released_objects, released_of_built
from scenes.outcome.validation import keep_validations, metric_tables, problems_of
from scenes.plan.plan import plan_scenes
from scenes.work_area import AUDIT, BUILT, CALIBRATION, INDEX, INSPECTION, METRICS, POSE_SAMPLES, WorkArea, parquet_bytes
from sensors.errors import RigError
from sensors.rig import Rig
from spark_jobs.build_scenes import drive_context
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import run_job
from spark_jobs.runtime.provenance import code_version, configuration_hash, traced

PUBLISH, QUARANTINE = "publish", "quarantine"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A drive's account: `frames` (schema FRAMES), its records, the Parquet files with its gold
    scenes, and what was built (None: the drive was refused before)."""

    verdict: str
    frames: pa.Table
    records: list[Record]
    gold_files: tuple[str, ...]
    scenes: int
    residuals: Mapping[str, Residuals | None]
    built: Built | None = None


def main(argv: Sequence[str]) -> int:
    """Run the job; the result holds the verdict and the accounts."""
    arguments = parse(argv, "audit", __doc__ or "")
    settings = Settings.from_env(os.environ)
    area = WorkArea(ObjectStore.connect(), arguments.work)
    drive_input = read_input(area.store, settings, arguments.drive, arguments.revision)
    with traced("audit", settings, drive_input, {}) as run:
        document = audit_drive(settings, area, drive_input)
        run.reads_raw(document["bytes"], document["results"])
        run.wrote("warehouse/gold/frames/data", document["frames"])
    arguments.report({"verdict": document["verdict"], "accounts": document["accounts"], "scenes": document["scenes"]})
    return 0


def audit_drive(settings: Settings, area: WorkArea, drive_input: DriveInput) -> dict[str, Any]:
    """Account for a drive and write its frames and records; leaves `audit.json` in the work area."""
    index, inspection = area.read_table(INDEX), area.read_json(INSPECTION)
    findings = [Finding.from_dict(document) for document in inspection["findings"]]
    outcome = _outcome(settings, area, drive_input, index, inspection, findings)
    entries = accounts(outcome.frames, _read(inspection))
    imbalances, built = _imbalances(entries, outcome), outcome.built
    rig, manifest = _documents(settings, area, drive_input)
    rules = rules_of(rig)
    tables = metric_tables(rig, manifest, inspection, (read_metrics(area.read_table(METRICS)), entries, outcome.residuals), built)
    checkpoint = run_checkpoint(tables, rules)
    found = [*imbalances, *problems_of(checkpoint, tables, rules)]
    decisions = Decisions.of(drive_input)
    problems = [one for one in found if one.severity is Severity.ERROR and not lets_drive_pass(decisions, one.rule_id)]
    findings += [one for one in found if one.severity is Severity.WARNING]
    if problems and outcome.verdict == PUBLISH:
        findings = [*findings, *problems]
        outcome = _quarantined(settings, area, drive_input, index, inspection, findings)
        entries = accounts(outcome.frames, _read(inspection))
        imbalances = _imbalances(entries, outcome)
    if imbalances and outcome.verdict == QUARANTINE:
        raise AccountError("; ".join(found.message for found in imbalances))
    document = {
        "verdict": outcome.verdict,
        "accounts": [_account(entry) for entry in entries],
        "findings": [found.to_dict() for found in findings],
        "results": [result.to_dict() for result in audit_results(found, _judged(built), rules)],
        "residuals": {sensor: asdict(entry) for sensor, entry in sorted(outcome.residuals.items()) if entry is not None},
        "checkpoint": checkpoint.document,
        "validations": keep_validations(area.store, settings, drive_input, checkpoint, area.read_table(CALIBRATION)),
        "scenes": outcome.scenes,
        "frames": len(outcome.frames),
        "bytes": sum(report["size_bytes"] for report in inspection["objects"].values()),
        "quarantined_objects": inspection["faulty_keys"],
        "warnings": _warnings(inspection, findings),
        "records": len(outcome.records),
        "files": _write(settings, area, drive_input, outcome),
        "unused": _unused(area, inspection, outcome),
    }
    area.write_json(AUDIT, document)
    return document


def _outcome(
    settings: Settings,
    area: WorkArea,
    drive_input: DriveInput,
    index: pa.Table,
    inspection: Mapping[str, Any],
    findings: Sequence[Finding],
) -> Outcome:
    if inspection["verdict"] != "build":
        return _quarantined(settings, area, drive_input, index, inspection, findings)
    faulty = frozenset(inspection["faulty_keys"])
    context = drive_context(settings, area, drive_input, inspection)
    decisions = context.decisions
    plan = plan_scenes(index, area.read_table(POSE_SAMPLES), context.rig, faulty)
    built = Built.of(area.read_documents(area.read_json(BUILT)["windows"]))
    frames = frames_of_built_drive(index, plan, context, built, faulty)
    origin = _origin(drive_input)
    records = object_records(area.store, settings, origin, inspection, frames)
    records += built_records(origin, inspection, built, context.rig.reference, frames)
    records += released_objects(origin, inspection, decisions)
    records += released_of_built(origin, inspection, built, context.rig.reference, decisions)
    records = with_rejections(records, decisions.rejected)
    gold_files = tuple(entry["uri"] for entry in built.gold_files)
    scenes = sum(entry["scenes"] for entry in built.gold_files)
    return Outcome(PUBLISH, frames, records, gold_files, scenes, _residuals(built, context.rig), built)


def _residuals(built: Built, rig: Rig) -> dict[str, Residuals | None]:
    """Of the matches that will be published, by sensor; the reference has none of its own."""
    matched: dict[str, list[int]] = {}
    for scene in built.scenes:
        for sensor, residual_ns in scene["residuals_ns"].items() if not scene["quarantined"] else ():
            matched.setdefault(sensor, []).append(residual_ns)
    return {
        sensor: Residuals.of(values, rig[sensor].sync.tolerance_ns)
        for sensor, values in matched.items()
        if sensor != rig.reference
    }


def _quarantined(
    settings: Settings,
    area: WorkArea,
    drive_input: DriveInput,
    index: pa.Table,
    inspection: Mapping[str, Any],
    findings: Sequence[Finding],
) -> Outcome:
    decisive = [found for found in findings if found.severity is Severity.ERROR and rule(found.rule_id).level is Level.DRIVE]
    frames = frames_of_quarantined_drive(index, drive_input, frozenset(inspection["faulty_keys"]), decisive[0].rule_id)
    origin = _origin(drive_input)
    records = object_records(area.store, settings, origin, inspection, frames)
    records.append(whole_drive_record(area.store, settings, origin, drive_input, findings, frames))
    decisions = Decisions.of(drive_input)
    records += released_objects(origin, inspection, decisions)
    records = with_rejections(records, decisions.rejected)
    return Outcome(QUARANTINE, frames, records, (), 0, {})


def _imbalances(entries: Sequence[SensorAccount], outcome: Outcome) -> list[Finding]:
    problems = [imbalance.finding() for imbalance in balance(entries)]
    held = sum(record["frames"] for record in outcome.records)
    kept_out = sum(entry.quarantined for entry in entries)
    if held != kept_out:
        message = f"the records hold {held} frames, {kept_out} are quarantined: one is in no record or in two"
        problems.append(finding("ACC001", message, measured=abs(held - kept_out)))
    return problems


def _documents(settings: Settings, area: WorkArea, drive_input: DriveInput) -> tuple[Rig | None, Manifest | None]:
    """None for what is invalid: then the inspection has found CAL001 or CMP002, and the drive is quarantined."""
    rig, manifest = None, None
    with suppress(LandingError, RigError):
        rig = read_calibration(area.store, settings, drive_input)
    with suppress(LandingError):
        manifest = read_manifest(area.store, settings, drive_input)
    return rig, manifest


def _write(settings: Settings, area: WorkArea, drive_input: DriveInput, outcome: Outcome) -> dict[str, list[str]]:
    files = {"gold.scenes": list(outcome.gold_files)}
    for table, rows in (("gold.frames", outcome.frames), ("quarantine.records", records_table(outcome.records))):
        files[table] = []
        if len(rows):
            name = f"{drive_input.drive}/{drive_input.revision[:16]}-{uuid.uuid4().hex}.parquet"
            target = ObjectVersion(settings.lake_bucket, f"warehouse/{table.replace('.', '/')}/data/{name}")
            area.store.put(target, parquet_bytes(rows))
            files[table].append(target.uri)
    return files


def _unused(area: WorkArea, inspection: Mapping[str, Any], outcome: Outcome) -> list[str]:
    """URIs of files with scenes that this run wrote and that nothing refers to: of windows that were built again, and of gold
    scenes that the audit held back.
    """
    if inspection["verdict"] != "build":
        return []
    built = area.read_json(BUILT)
    replaced, last = (area.read_documents(built[part]) for part in ("replaced", "windows"))
    files = [report[half] for report in replaced for half in ("gold", "quarantined")] + [report["gold"] for report in last]
    return sorted({entry["uri"] for entry in files if entry} - set(outcome.gold_files))


def _warnings(inspection: Mapping[str, Any], findings: Sequence[Finding]) -> list[str]:
    """Ids of the rules that flagged the drive or an object of it and quarantined nothing."""
    of_objects = [one for many in inspection["object_findings"].values() for one in many]
    flags = {one["rule_id"] for one in of_objects if one["severity"] == Severity.WARNING.value}
    return sorted(flags | set(rule_ids(findings, Severity.WARNING)))


def _judged(built: Built | None) -> list[list[Finding]] | None:
    """Findings of each scene, and of each frame that is in none because of them."""
    if built is None:
        return None
    return [[Finding.from_dict(one) for one in report["findings"]] for report in (*built.scenes, *built.bad_frames)]


def _account(entry: SensorAccount) -> dict[str, Any]:
    return {
        "sensor": entry.sensor,
        "read": entry.read,
        "gold": entry.gold,
        "quarantined": entry.quarantined,
        "unmatched": entry.unmatched,
        "reasons": dict(entry.reasons),
    }


def _origin(drive_input: DriveInput) -> Origin:
    return Origin(drive_input.drive, drive_input.revision, code_version(), configuration_hash(), drive_input.base)


def _read(inspection: Mapping[str, Any]) -> dict[str, int]:
    """Frames by sensor as the scan of each object counted them, independently of the index that the fates come from."""
    read: Counter[str] = Counter()
    for report in inspection["objects"].values():
        read[report["sensor"]] += report["frames"]
    return dict(read)


if __name__ == "__main__":
    sys.exit(run_job(main, sys.argv[1:]))
