"""The validation of a drive's metric tables in the audit: what it found, and where its results are kept."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lake.documents import Manifest
from lake.drive_input import DriveInput
from lake.landing import sensor_of
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from quality.accounting import SensorAccount
from quality.evaluators.drive import evaluate_completeness
from quality.gx.checkpoint import WHOLE_TABLE, CheckpointResult, SuiteResult
from quality.gx.suites import Suite, drive_suite, object_suite, scene_suite
from quality.measurements.measures import Bounds
from quality.measurements.metrics import SensorMetrics
from quality.measurements.residuals import Residuals
from quality.rules.catalogue import Level, Severity, rule
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook, rules_of
from quality.tables.audit_metrics import audit_table
from quality.tables.object import object_facts, object_table
from quality.tables.scene import WHOLE, scene_table
from scenes.outcome.fates import Built
from sensors.rig import Rig

RESULTS = "warehouse/quality/validations"
MAX_ROWS_TOLD = 3
Tables = list[tuple[Suite, pa.Table]]


def metric_tables(
    rig: Rig | None,
    manifest: Manifest | None,
    inspection: Mapping[str, Any],
    sensors: tuple[Sequence[SensorMetrics], Sequence[SensorAccount], Mapping[str, Residuals | None]],
    built: Built | None,
) -> Tables:
    """The tables to validate, each with its suite: of sensors, objects and, where scenes were built, of scenes."""
    rules = rules_of(rig)
    metrics, accounts, residuals = sensors
    bounds = None if manifest is None else Bounds(manifest.start_ns, manifest.end_ns)
    named = {} if manifest is None else {entry.key: entry for entry in manifest.objects}
    absent = ((key, sensor_of(key)) for key in {*named, *inspection["object_findings"]} - set(inspection["objects"]))
    facts = object_facts(inspection["objects"].values(), named, absent)
    held_back = [*inspection["faulty_keys"], *inspection["released_keys"]]  # a reviewer let in what the rules had not
    tables = [
        (drive_suite(rules), audit_table(metrics, accounts, residuals, bounds)),
        (
            object_suite(rules, compared=manifest is not None),
            object_table(facts, held_back),
        ),
    ]
    if rig is not None and built is not None:
        tables.append((scene_suite(rules, rig.policy), scene_table(map(_unless_let_in, built.scenes), rig)))
    return tables


def _unless_let_in(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """A scene that a reviewer let in fails its rules and is published: only what the rules let in is held against them."""
    return {**report, "quarantined": True} if report["let_in"] else report


def problems_of(checkpoint: CheckpointResult, tables: Tables, rules: RuleBook) -> list[Finding]:
    """What only the audit can see of the drive; on one that the gate refused already the errors are its own.

    A sensor that fails an error rule is told by that rule, an object or scene that is to be published and fails one by ACC002,
    and scenes that are incomplete by CMP006.
    """
    found = []
    for suite, table in tables:
        result = checkpoint.suites[suite.name]
        if suite.subject == "sensor":
            found += _of_sensors(result, rules)
        elif contradiction := _contradiction(result, rules):
            found.append(contradiction)
        if WHOLE in table.schema.names:
            found += evaluate_completeness([bool(value) for value in table[WHOLE].to_pylist()], rules)
    return found


def keep_validations(
    store: ObjectStore, settings: Settings, drive_input: DriveInput, checkpoint: CheckpointResult, calibration: pa.Table
) -> str:
    """Write what Great Expectations found beside the data that it speaks of, and the verdicts on the calibration (rows of
    `quality.tables.calibration`); returns the URI, which the commit records.

    The name is this attempt's own: only the one that a snapshot names counts.
    """
    document = {
        "drive": str(drive_input.drive),
        "revision": drive_input.revision,
        **checkpoint.document,
        "validations": checkpoint.validations,
        "calibration": calibration.to_pylist(),
    }
    name = f"{drive_input.drive}/{drive_input.revision[:16]}-{uuid.uuid4().hex}.json"
    target = ObjectVersion(settings.lake_bucket, f"{RESULTS}/{name}")
    store.put(target, json.dumps(document, sort_keys=True, allow_nan=False).encode())
    return target.uri


def _of_sensors(result: SuiteResult, rules: RuleBook) -> list[Finding]:
    return [
        rules.finding(
            code,
            f"{sensor}: expectation not met in the audit",
            sensor=None if sensor == WHOLE_TABLE else sensor,
            severity=Severity.ERROR,
        )
        for sensor, codes in result.failed.items()
        for code in codes
    ]


def _contradiction(result: SuiteResult, rules: RuleBook) -> Finding | None:
    # A rule on the drive that a whole table fails, such as CMP006, has a finding of its own.
    rows = {
        row: codes
        for row, codes in result.failed.items()
        if row != WHOLE_TABLE or any(rule(code).level is not Level.DRIVE for code in codes)
    }
    if not rows:
        return None
    told = "; ".join(f"{row} ({', '.join(codes)})" for row, codes in list(rows.items())[:MAX_ROWS_TOLD])
    more = f" and {len(rows) - MAX_ROWS_TOLD} more" if len(rows) > MAX_ROWS_TOLD else ""
    message = f"{result.name}: to be published, but not passed by the audit: {told}{more}"
    return rules.finding("ACC002", message, measured=sum(len(codes) for codes in rows.values()))
