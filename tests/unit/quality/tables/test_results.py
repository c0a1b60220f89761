"""Every rule has a result, passed ones too; unknown is not a pass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import msgspec

from lake.documents import Manifest
from quality.evaluators.calibration import evaluate_calibration, evaluated
from quality.evaluators.drive import evaluate_drive
from quality.measurements.rule_measures import MEASURES
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import RULES, Level, Outcome, Severity
from quality.rules.findings import finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from quality.tables.results import audit_results, drive_results, object_results
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity
from sensors.rig import Rig

Metrics = tuple[SensorMetrics, ...]


def test_a_clean_drive_passes_every_rule_that_applies(rig: Rig, clean: Metrics) -> None:
    results = drive_results(rig, clean, (), DEFAULT_RULES)
    assert {result.outcome for result in results} == {Outcome.PASSED}
    evaluated = {(result.rule_id, result.sensor) for result in results}
    assert evaluated == {
        *((measure.code, entry.sensor) for measure in MEASURES for entry in clean if measure.applies(entry)),
        ("CMP002", None),
        ("CAL001", None),
        ("CAL002", None),
    }
    assert len(evaluated) == len(results)
    severities = {result.sensor: result.severity for result in results if result.rule_id == "CLK001"}
    assert severities["lidar_top"] is Severity.ERROR
    assert severities["cam_front"] is Severity.WARNING


def test_a_finding_takes_the_place_of_the_pass(make_rig: Callable[..., Rig], manifest: Manifest, clean: Metrics) -> None:
    rig = make_rig(rules={"CLK002": {"threshold": 1, "severity": "error"}})
    rules = RuleBook.of(rig.policy)
    faulty = (dataclasses.replace(clean[0], duplicates=3, max_gap_ns=None), *clean[1:])
    results = drive_results(rig, faulty, evaluate_drive(rig, manifest, faulty), rules)
    of_lidar = {result.rule_id: result for result in results if result.sensor == "lidar_top"}
    repeated, gap = of_lidar["CLK002"], of_lidar["CLK004"]
    assert (repeated.outcome, repeated.measured, repeated.threshold) == (Outcome.FAILED, 3, 1)
    assert (gap.outcome, gap.measured, gap.severity) == (Outcome.UNKNOWN, None, Severity.WARNING)
    assert of_lidar["CLK001"].outcome is Outcome.PASSED
    assert {result.severity for result in results if result.rule_id == "CLK002"} == {Severity.ERROR}
    assert json.loads(msgspec.json.encode(repeated))["outcome"] == "failed"


def test_calibration_rules_pass_only_where_they_were_evaluated(rig: Rig, clean: Metrics) -> None:
    def check(sensor: str, quantity: Quantity, error: float | None, frames: int = 9) -> Checked:
        verdict = CalibrationVerdict.NOT_OBSERVABLE if error is None else CalibrationVerdict.OK
        return Checked(
            sensor, quantity, verdict, error, None if error is None else 0.01, frames, 9, "fog" if error is None else ""
        )

    checks = [
        check("lidar_top", Quantity.GROUND_ROLL, 0.01),
        check("lidar_top", Quantity.GROUND_HEIGHT, None),  # the rig declares no ground: the rule does not apply
        check("cam_front", Quantity.CAMERA_YAW, 0.02),
        check("cam_left", Quantity.CAMERA_YAW, None, frames=0),
    ]
    findings = evaluate_calibration(checks, {"cam_left": ("too wide",)}, DEFAULT_RULES)
    results = drive_results(rig, clean, findings, DEFAULT_RULES, evaluated(checks))
    outcomes = {
        (one.rule_id, one.sensor): one.outcome for one in results if one.rule_id in ("CAL003", "CAL004", "CAL005", "CAL007")
    }
    assert outcomes == {
        ("CAL003", "lidar_top"): Outcome.PASSED,
        ("CAL005", "cam_front"): Outcome.PASSED,
        ("CAL005", "cam_left"): Outcome.UNKNOWN,
        ("CAL007", "cam_front"): Outcome.PASSED,
        ("CAL007", "cam_left"): Outcome.FAILED,
    }


def test_objects_are_reported_by_sensor() -> None:
    sensors: dict[str, str | None] = {"a1": "a", "a2": "a", "b1": "b"}
    findings = {key: [finding("DEC002", f"{key}: cut", sensor="a", measured=1)] for key in ("a1", "a2")}
    results = {(result.rule_id, result.sensor): result for result in object_results(sensors, findings, DEFAULT_RULES)}
    broken = results["DEC002", "a"]
    assert (broken.outcome, broken.failing, broken.message) == (Outcome.FAILED, 2, "a1: cut")
    assert results["DEC002", "b"].outcome is Outcome.PASSED
    assert {code for code, _ in results} == {"CMP001", "CMP004", "DEC001", "DEC002", "DEC003", "DEC004"}


def test_scenes_and_frames_are_counted() -> None:
    late = finding("SYN002", "late", sensor="cam", measured=9, threshold=5)
    cut = finding("DEC005", "cut", sensor="cam", measured=1)
    unknown = finding("SYN003", "not looked at", sensor="top")
    lost = finding("CMP006", "8 of 10", measured=0.8)
    results = audit_results([lost], [[late, unknown], [late, late], [], [cut]], DEFAULT_RULES)
    by_rule = {result.rule_id: result for result in results}
    assert (by_rule["SYN002"].failing, by_rule["SYN002"].sensor, by_rule["SYN002"].outcome) == (2, "cam", Outcome.FAILED)
    assert (by_rule["DEC005"].failing, by_rule["DEC005"].severity) == (1, Severity.ERROR)
    assert by_rule["SYN003"].outcome is Outcome.UNKNOWN
    assert by_rule["CMP006"].outcome is Outcome.FAILED
    passed = {code for code, result in by_rule.items() if result.outcome is Outcome.PASSED}
    assert passed >= {"ACC001", "ACC002", "SYN004", "SYN001", "POS001", "LID001", "LID002", "DEC006", "DEC007"}
    assert set(by_rule) >= {entry.code for entry in RULES if entry.level is Level.SCENE}


def test_of_a_drive_that_was_not_built_nothing_on_scenes_is_claimed() -> None:
    assert [result.rule_id for result in audit_results([], None, DEFAULT_RULES)] == ["ACC001"]
    assert {result.rule_id for result in audit_results([], [], DEFAULT_RULES)} == {"ACC001", "ACC002", "SYN004", "CMP006"}
