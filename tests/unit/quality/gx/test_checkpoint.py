"""Runs the real Great Expectations: the import takes seconds, each validation a fraction of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from msgspec.structs import replace

from lake.errors import TableError
from quality.accounting import SensorAccount
from quality.errors import MetricsError
from quality.evaluators.drive import evaluate_drive
from quality.gx.checkpoint import ValidatedSuite, run_checkpoint
from quality.gx.results import SuiteReport, SuiteResults
from quality.gx.suites import drive_suite
from quality.measurements.residuals import Residuals, ToleratedResiduals
from quality.measurements.rule_measures import Bounds
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import RULES, Level, Severity
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from quality.tables.audit_metrics import AUDIT, audit_table
from sensors.rig import Rig

BOUNDS = Bounds(1_700_000_000_000_000_000, 1_700_000_010_000_000_000)
NO_ENTRY: dict[str, tuple[str, ...]] = {}


def account(metrics: SensorMetrics, **changed: Any) -> SensorAccount:
    return replace(SensorAccount(metrics.sensor, metrics.frames_read, metrics.frames_read, 0, 0, {}), **changed)


def build(metrics: tuple[SensorMetrics, ...], **changed: Any) -> pa.Table:
    values: dict[str, Any] = {
        "accounts": [account(entry) for entry in metrics],
        "residuals": {
            entry.sensor: ToleratedResiduals(Residuals(5, 1_000_000, 2_000_000, 3_000_000), 50_000_000)
            for entry in metrics
            if entry.modality in ("camera", "radar")
        },
        "bounds": BOUNDS,
    }
    return audit_table(metrics, **{**values, **changed})


def run(table: pa.Table, rules: RuleBook = DEFAULT_RULES) -> ValidatedSuite:
    return run_checkpoint([(drive_suite(rules), table)], rules).suites["drive"]


def test_clean_drive(clean: tuple[SensorMetrics, ...]) -> None:
    result = run(build(clean))
    assert result.results.success is True
    assert (dict(result.failed), dict(result.flagged)) == (NO_ENTRY, NO_ENTRY)
    assert result.results.evaluated == 1 + sum(len(check.kinds) for check in drive_suite(DEFAULT_RULES).checks)
    assert msgspec.json.decode(msgspec.json.encode(result.results), type=SuiteResults) == result.results
    assert {entry.outcome for entry in result.results.expectations} == {"passed"}


def test_each_expectation_is_found_in_the_report_of_great_expectations(clean: tuple[SensorMetrics, ...]) -> None:
    result = run(build((dataclasses.replace(clean[0], duplicates=4), *clean[1:])))
    report = msgspec.json.decode(result.report, type=SuiteReport)
    assert sorted(one.identity for one in report.results if one.identity[3]) == sorted(
        one.identity for one in result.results.expectations if one.identity[3]
    )
    (flagged,) = [one for one in result.results.expectations if not one.success]
    (reported,) = [one for one in report.results if one.identity == flagged.identity]
    assert reported.result.unexpected_index_list == ({"sensor": clean[0].sensor, str(flagged.column): 4.0},)


def by_findings(rig: Rig, manifest: Any, metrics: tuple[SensorMetrics, ...], severity: Severity) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for entry in evaluate_drive(rig, manifest, metrics):
        if entry.severity is severity and entry.sensor is not None:
            found.setdefault(entry.sensor, set()).add(entry.rule_id)
    return {sensor: tuple(sorted(codes)) for sensor, codes in sorted(found.items())}


@pytest.mark.parametrize(
    "changed",
    [
        {"regressions": 1, "duplicates": 1, "coverage": 0.5, "measured_rate_hz": 1.0, "max_gap_ns": 10**10, "first_ns": 0},
        {"measured_rate_hz": None, "max_gap_ns": None, "coverage": None, "first_ns": None},
        {"unit_exponent": -2, "clock_steps": 1, "drift_ppm": 500.0, "drift_uncertainty_ppm": 1.0, "delay_error_ns": 10**7},
        {"domain_offset_ns": 10**12, "drift_ppm": None, "delay_error_ns": None},
        {"stamps_off": 30, "stamps_late": 1, "frames_lost": 50, "log_pace": 9.0, "ahead_ns": 10**9},
        {"frames_read": 0, "measured_rate_hz": None, "max_gap_ns": None, "coverage": 0.0, "first_ns": None, "last_ns": None},
    ],
)
def test_great_expectations_agrees_with_the_rules(
    rig: Rig, manifest: Any, clean: tuple[SensorMetrics, ...], changed: dict[str, Any]
) -> None:
    faulty = tuple(dataclasses.replace(entry, **changed) for entry in clean)
    result = run(build(faulty))
    assert dict(result.failed) == by_findings(rig, manifest, faulty, Severity.ERROR)
    assert dict(result.flagged) == by_findings(rig, manifest, faulty, Severity.WARNING)
    assert result.results.success is not bool(result.failed)


def test_great_expectations_agrees_under_a_rigs_overrides(
    make_rig: Callable[..., Rig], manifest: Any, clean: tuple[SensorMetrics, ...]
) -> None:
    rig = make_rig(
        rules={
            "CLK001": {"severity": "warning"},
            "CLK002": {"severity": "error", "threshold": 1},
            "CLK004": {"threshold": 1.5},
            "CMP005": {"threshold": 0.5},
        }
    )
    odd = {"regressions": 1, "duplicates": 2, "coverage": 0.6}
    gappy = dataclasses.replace(clean[1], max_gap_ns=180_000_000, duplicates=1, coverage=0.4)
    faulty = (dataclasses.replace(clean[0], **odd), gappy, *clean[2:])
    result = run(build(faulty), RuleBook.of(rig.policy))
    assert dict(result.failed) == by_findings(rig, manifest, faulty, Severity.ERROR) == {"lidar_top": ("CLK002",)}
    flagged = {"cam_front": ("CLK004", "CMP005"), "lidar_top": ("CLK001",)}
    assert dict(result.flagged) == by_findings(rig, manifest, faulty, Severity.WARNING) == flagged


def test_warnings_alone_do_not_fail(clean: tuple[SensorMetrics, ...]) -> None:
    result = run(build((dataclasses.replace(clean[0], duplicates=4), *clean[1:])))
    assert result.results.success is True
    assert dict(result.flagged) == {"lidar_top": ("CLK002",)}


def test_books_and_residuals(clean: tuple[SensorMetrics, ...]) -> None:
    lidar, camera, radar, odometry = clean
    table = build(
        clean,
        accounts=[account(lidar, gold=99), account(camera), account(radar, read=200, gold=200), account(odometry)],
        residuals={"cam_front": ToleratedResiduals(Residuals(3, 1, 2, 50_000_001), 50_000_000)},
    )
    result = run(table)
    assert dict(result.failed) == {"cam_front": ("SYN004",), "lidar_top": ("ACC001",), "radar_front": ("ACC001", "SYN004")}
    unknown = [entry for entry in result.results.expectations if entry.outcome == "unknown"]
    assert [(entry.rule_id, entry.rows) for entry in unknown] == [("SYN004", ("radar_front",))]


def test_a_data_docs_site_is_updated_where_one_is_named(clean: tuple[SensorMetrics, ...], tmp_path: Path) -> None:
    run_checkpoint([(drive_suite(DEFAULT_RULES), build(clean))], DEFAULT_RULES, tmp_path)
    assert "drive" in (tmp_path / "index.html").read_text()
    (page,) = (tmp_path / "validations" / "drive").rglob("*.html")
    text = page.read_text()
    assert "Succeeded" in text
    assert all(str(check.column) in text for check in drive_suite(DEFAULT_RULES).checks)


def test_frames_without_account_fail(clean: tuple[SensorMetrics, ...]) -> None:
    result = run(build(clean, accounts=[account(entry) for entry in clean[1:]]))
    assert dict(result.failed) == {"lidar_top": ("ACC001",)}


def test_residual_beyond_a_tolerance_of_zero_fails(clean: tuple[SensorMetrics, ...]) -> None:
    residuals = {
        "cam_front": ToleratedResiduals(Residuals(1, 0, 0, 0), 0),
        "radar_front": ToleratedResiduals(Residuals(1, 1, 1, 1), 0),
    }
    assert dict(run(build(clean, residuals=residuals)).failed) == {"radar_front": ("SYN004",)}


def test_drive_without_sensors_passes_nothing() -> None:
    result = run(build(()))
    assert result.results.success is False
    assert dict(result.failed) == {"*": ("CMP003",)}


def test_equal_tables_have_equal_documents(clean: tuple[SensorMetrics, ...]) -> None:
    one, other = (run(build((dataclasses.replace(clean[0], duplicates=4), *clean[1:]))) for _ in range(2))
    assert (one.results, one.report) == (other.results, other.report)


def test_another_schema_is_refused(clean: tuple[SensorMetrics, ...]) -> None:
    with pytest.raises(TableError, match="gap_periods: missing"):
        run(build(clean).drop_columns(["gap_periods"]))


def test_every_drive_rule_is_compiled_or_about_the_drive_as_a_whole() -> None:
    compiled = {check.code for check in drive_suite(DEFAULT_RULES).checks}
    drive_rules = {entry.code for entry in RULES if entry.level is Level.DRIVE}
    assert compiled == drive_rules - {"CMP002", "CMP006", "CMP008", "ACC002", "REV002", "LID010", "RAD006", "CAM011"} - {
        entry.code for entry in RULES if entry.code.startswith("CAL")
    }


def test_audit_table_keeps_the_nanoseconds(make_metrics: Callable[..., SensorMetrics]) -> None:
    table = build((make_metrics(first_ns=1_700_000_000_123_456_789),))
    assert table.schema == AUDIT
    assert table["first_ns"].to_pylist() == [1_700_000_000_123_456_789]


def test_sensor_accounted_for_but_never_measured_is_refused(clean: tuple[SensorMetrics, ...]) -> None:
    with pytest.raises(MetricsError, match="cam_rear"):
        build(clean, accounts=[SensorAccount("cam_rear", 1, 1, 0, 0, {})])
