"""Job `audit`: account for every frame of a drive, check its metrics, and write what `publish` will commit.

Nothing is visible yet. A drive whose account does not balance, or whose metrics fail an expectation, is quarantined as a
whole: better held back than wrong.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from lake.documents import Manifest
from lake.drive_documents import read_baseline, read_calibration, read_manifest
from lake.errors import LandingError
from lake.quarantined_keys import write_keys
from quality.evaluators.departure import judged_for
from quality.evaluators.drive import GateVerdict
from quality.gx.checkpoint import run_checkpoint
from quality.measurements.sensor_metrics import read_metrics
from quality.records import records_table
from quality.rules.catalogue import Severity
from quality.rules.findings import Finding, rule_ids
from quality.rules.rulebook import rules_of
from quality.tables.results import audit_results
from scenes.build.decisions import drive_released_from
from scenes.documents import AuditDocument, AuditVerdict, BuiltWindows, Inspection, WindowReport
from scenes.errors import AccountError
from scenes.left_out import read_left_out
from scenes.outcome.account import AuditOutcome, DriveAccount
from scenes.outcome.fates import Built
from scenes.outcome.statistics import drive_statistics
from scenes.outcome.validation import Measured, keep_validations, problems_of
from scenes.plan.match_plan_file import read_plan
from scenes.work_area import AUDIT, BUILT, CALIBRATION, INDEX, METRICS, STATISTICS, parquet_bytes
from sensors.errors import RigError
from sensors.rig import Rig
from spark_jobs.runtime.entry import Job, run_job
from spark_jobs.runtime.results import AuditResult
from spark_jobs.runtime.step import Step


def main(argv: Sequence[str]) -> int:
    """Run the job; the result holds the verdict, `audit.json` the accounts."""
    return run_job("audit", __doc__ or "", argv, _run)


def _run(job: Job) -> AuditResult:
    audit = audit_drive(job.step, job.settings.data_docs)
    job.run.reads_raw(audit.size_bytes, audit.results)
    job.run.wrote("warehouse/gold/frames/data", audit.frames)
    return AuditResult(verdict=audit.verdict, scenes=audit.scenes)


def audit_drive(step: Step, data_docs: Path | None = None) -> AuditDocument:
    """Account for a drive and write its frames and records; leaves `audit.json` in the work area.

    `data_docs`: folder of Great Expectations' own Data Docs, to which the results of this attempt are added.

    Raises:
        DocumentError: A document of an earlier step has another version, or is damaged.
        ProvenanceError: The drive was inspected by other code, or under another configuration.
        AccountError: The account does not balance even where all of the drive is quarantined.
    """
    area = step.area
    inspection = step.inspection()
    account = DriveAccount.of(area.store, step.targets, step.drive_input, inspection, area.read_table(INDEX), read_left_out(area))
    rig, manifest = _documents(step)
    rules = rules_of(rig)
    findings = list(inspection.findings)
    windows = area.read_document(BUILT, BuiltWindows) if inspection.verdict is GateVerdict.BUILD else None
    outcome = _outcome(step, account)
    entries, built = account.accounts(outcome), outcome.built
    imbalances = outcome.imbalances(entries)
    metrics = read_metrics(area.read_table(METRICS))
    tables = Measured(rig, manifest, inspection, metrics, entries, outcome.residuals, built).tables()
    checkpoint = run_checkpoint(tables, rules, data_docs)
    found = [*imbalances, *problems_of(checkpoint, tables, rules), *(windows.findings if windows else ())]
    decisions = account.keeper.decisions
    problems = [one for one in found if one.severity is Severity.ERROR and not drive_released_from(decisions, one.rule_id)]
    findings += [one for one in found if one.severity is Severity.WARNING]
    if problems and outcome.verdict is AuditVerdict.PUBLISH:
        findings += problems
        outcome = account.quarantined(findings)
        entries = account.accounts(outcome)
        imbalances = outcome.imbalances(entries)
    if imbalances and outcome.verdict is AuditVerdict.QUARANTINE:
        raise AccountError("; ".join(imbalance.message for imbalance in imbalances))
    document = AuditDocument(
        provenance=inspection.provenance,
        verdict=outcome.verdict,
        accounts=entries,
        findings=tuple(findings),
        results=audit_results(found, _judged(built, inspection), rules, _compared(step, rig, built)),
        residuals=dict(outcome.residuals),
        validations=keep_validations(area.store, step.targets, checkpoint, area.read_table(CALIBRATION)),
        scenes=outcome.scenes,
        frames=len(outcome.frames),
        records=len(outcome.records),
        size_bytes=inspection.size_bytes,
        quarantined_objects=write_keys(area.store, step.targets.quarantined_keys(), inspection.faulty_keys),
        warnings=_warnings(inspection, findings),
        **_write(step, outcome, account.indexed.day),
        content_digest=outcome.content_digest,
        unused=_unused(step, inspection, outcome),
    )
    if outcome.verdict is AuditVerdict.PUBLISH and rig is not None and windows is not None and built is not None:
        statistics = drive_statistics(
            step.drive_input, rig, inspection, built, metrics, windows.statistics, findings, area.read_table(CALIBRATION)
        )
        area.write_document(STATISTICS, statistics)
    area.write_document(AUDIT, document)
    return document


def _outcome(step: Step, account: DriveAccount) -> AuditOutcome:
    if account.inspection.verdict is not GateVerdict.BUILD:
        return account.quarantined(account.inspection.findings)
    rig = read_calibration(step.area.store, step.settings, step.drive_input)
    windows = step.area.read_document(BUILT, BuiltWindows).windows
    return account.published(read_plan(step.area), rig, Built.of(step.area.read_documents(windows, WindowReport)))


def _compared(step: Step, rig: Rig | None, built: Built | None) -> list[tuple[str, str]]:
    """Each (sensor, rule) under which the drive was compared with its vehicle's baseline."""
    if rig is None or built is None:
        return []
    return judged_for(rig, read_baseline(step.area.store, step.settings, step.drive_input))


def _documents(step: Step) -> tuple[Rig | None, Manifest | None]:
    """None for an invalid document: the inspection has then found CAL001 or CMP002, and the drive is quarantined."""
    rig, manifest = None, None
    with suppress(LandingError, RigError):
        rig = read_calibration(step.area.store, step.settings, step.drive_input)
    with suppress(LandingError):
        manifest = read_manifest(step.area.store, step.settings, step.drive_input)
    return rig, manifest


class _Written(TypedDict):
    files: dict[str, tuple[str, ...]]
    sha256: dict[str, str]


def _write(step: Step, outcome: AuditOutcome, day: date) -> _Written:
    """Write frames and records; the files of all tables, and the SHA-256 of each by URI."""
    sha256 = {file.uri: file.sha256 for file in outcome.gold_files}

    def write(table: str, rows: pa.Table) -> tuple[str, ...]:
        if not len(rows):
            return ()
        target, body = step.targets.data_file(table, step.targets.unique_name("parquet")), parquet_bytes(rows)
        step.area.store.put(target, body)
        sha256[target.uri] = hashlib.sha256(body).hexdigest()
        return (target.uri,)

    files = {
        "gold.scenes": tuple(file.uri for file in outcome.gold_files),
        "gold.frames": write("gold.frames", outcome.frames),
        "quarantine.records": write("quarantine.records", records_table(outcome.records, day)),
    }
    return {"files": files, "sha256": sha256}


def _unused(step: Step, inspection: Inspection, outcome: AuditOutcome) -> tuple[str, ...]:
    """URIs of scene files that this attempt wrote and nothing references: those of rebuilt windows, and those of gold scenes
    that the audit held back.
    """
    if inspection.verdict is not GateVerdict.BUILD:
        return ()
    built = step.area.read_document(BUILT, BuiltWindows)
    replaced, last = (step.area.read_documents(names, WindowReport) for names in (built.replaced, built.windows))
    files = [file for report in replaced for file in (report.gold, report.quarantined)] + [report.gold for report in last]
    return tuple(sorted({file.uri for file in files if file is not None} - {file.uri for file in outcome.gold_files}))


def _warnings(inspection: Inspection, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Ids of the rules that flagged the drive or one of its objects and quarantined nothing."""
    of_objects = [found for many in inspection.object_findings.values() for found in many]
    return rule_ids([*of_objects, *findings], Severity.WARNING)


def _judged(built: Built | None, inspection: Inspection) -> list[tuple[Finding, ...]] | None:
    """Findings of each scene, and of each frame that is in none because of them."""
    if built is None:
        return None
    return [
        *(scene.findings for scene in built.scenes),
        *(frame.findings for frame in built.quarantined_frames),
        *((found,) for found in inspection.frame_findings),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
