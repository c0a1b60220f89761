"""The validation of a drive's metric tables in the audit: what it found, and where its results are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lake.documents import Manifest
from lake.storage import ObjectStore, ObjectVersion
from quality.accounting import SensorAccount
from quality.evaluators.drive import evaluate_completeness
from quality.gx.checkpoint import WHOLE_TABLE, CheckpointResult, ValidatedSuite
from quality.gx.suites import Suite, drive_suite, object_suite, scene_suite
from quality.measurements.residuals import ToleratedResiduals
from quality.measurements.rule_measures import Bounds
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import Level, Severity, rule
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook, rules_of
from quality.tables.audit_metrics import audit_table
from quality.tables.object import object_table
from quality.tables.scene import WHOLE, SceneFacts, scene_table
from scenes.documents import CalibrationRow, Inspection, SceneReport, ValidationResults, decode, encode
from scenes.outcome.fates import Built
from scenes.scan.judge import object_facts
from scenes.targets import DriveTargets
from sensors.rig import Rig

MAX_ROWS_NAMED = 3
Tables = list[tuple[Suite, pa.Table]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the metric tables of a drive are made of; `built` is None for a drive that the gate refused."""

    rig: Rig | None
    manifest: Manifest | None
    inspection: Inspection
    metrics: Sequence[SensorMetrics]
    accounts: Sequence[SensorAccount]
    residuals: Mapping[str, ToleratedResiduals]
    built: Built | None

    def tables(self) -> Tables:
        """The tables to validate, each with its suite: of sensors, objects and, where scenes were built, of scenes."""
        rules, inspection, manifest = rules_of(self.rig), self.inspection, self.manifest
        bounds = Bounds.of(manifest, self.rig)
        facts = object_facts(inspection.objects.values(), manifest, inspection.object_findings)
        not_judged = [*inspection.faulty_keys, *inspection.released_keys]  # a reviewer admits what the rules do not
        tables = [
            (drive_suite(rules), audit_table(self.metrics, self.accounts, self.residuals, bounds)),
            (object_suite(rules, compared=manifest is not None), object_table(facts, not_judged)),
        ]
        if self.rig is not None and self.built is not None:
            tables.append((scene_suite(rules, self.rig.policy), scene_table(map(_facts, self.built.scenes), self.rig)))
        return tables


def _facts(report: SceneReport) -> SceneFacts:
    return SceneFacts(
        scene_id=report.scene_id,
        anchor_ns=report.anchor_ns,
        # A scene that a reviewer released fails its rules and is published: only what the rules admit is held against them.
        quarantined=report.quarantined or report.admitted,
        complete=report.complete,
        frames=len(report.frame_ids),
        missing=report.missing,
        has_pose=report.has_pose,
        uncompensated=report.uncompensated,
        residuals_ns=report.residuals_ns,
        findings=report.findings,
    )


def problems_of(checkpoint: CheckpointResult, tables: Tables, rules: RuleBook) -> list[Finding]:
    """What only the audit can see of the drive; on one that the gate refused already the errors are its own.

    A sensor that fails an error rule is reported by that rule, an object or scene that is to be published and fails one by
    ACC002, and scenes that are incomplete by CMP006.
    """
    found = []
    for suite, table in tables:
        validated = checkpoint.suites[suite.name]
        if suite.subject == "sensor":
            found += _of_sensors(validated, rules)
        elif contradiction := _contradiction(validated, rules):
            found.append(contradiction)
        if WHOLE in table.schema.names:
            found += evaluate_completeness([bool(value) for value in table[WHOLE].to_pylist()], rules)
    return found


def keep_validations(store: ObjectStore, targets: DriveTargets, checkpoint: CheckpointResult, calibration: pa.Table) -> str:
    """Write what the audit found beside the data that it is about, and the verdicts on the calibration (rows of
    `quality.tables.calibration`); returns the URI, which the commit records.

    The name is this attempt's own: only the one that a snapshot names counts.
    """
    results = ValidationResults(
        drive=str(targets.drive),
        revision=targets.revision,
        success=checkpoint.success,
        suites={name: suite.results for name, suite in checkpoint.suites.items()},
        validations={name: suite.report for name, suite in checkpoint.suites.items()},
        calibration=tuple(CalibrationRow(**row) for row in calibration.to_pylist()),
    )
    target = targets.validations()
    store.put(target, encode(results))
    return target.uri


def read_validations(store: ObjectStore, uri: str) -> ValidationResults:
    """Read what `keep_validations` wrote.

    Raises:
        DocumentError: It is of another version, or damaged.
        LakeError: It could not be read.
    """
    return decode(store.read(ObjectVersion.from_uri(uri)), ValidationResults, uri)


def _of_sensors(suite: ValidatedSuite, rules: RuleBook) -> list[Finding]:
    return [
        rules.finding(
            code,
            f"{sensor}: expectation not met in the audit",
            sensor=None if sensor == WHOLE_TABLE else sensor,
            severity=Severity.ERROR,
        )
        for sensor, codes in suite.failed.items()
        for code in codes
    ]


def _contradiction(suite: ValidatedSuite, rules: RuleBook) -> Finding | None:
    # A rule on the drive that a whole table fails, such as CMP006, has a finding of its own.
    rows = {
        row: codes
        for row, codes in suite.failed.items()
        if row != WHOLE_TABLE or any(rule(code).level is not Level.DRIVE for code in codes)
    }
    if not rows:
        return None
    named = "; ".join(f"{row} ({', '.join(codes)})" for row, codes in list(rows.items())[:MAX_ROWS_NAMED])
    more = f" and {len(rows) - MAX_ROWS_NAMED} more" if len(rows) > MAX_ROWS_NAMED else ""
    message = f"{suite.name}: to be published, but not passed by the audit: {named}{more}"
    return rules.finding("ACC002", message, measured=sum(len(codes) for codes in rows.values()))
