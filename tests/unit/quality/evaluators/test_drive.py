from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from lake.documents import Manifest, SourceLoss
from quality.errors import MetricsError
from quality.evaluators.drive import evaluate_drive, verdict
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import Outcome, Severity
from quality.rules.findings import Finding, finding
from sensors.clocks.survey import OTHER_PACE
from sensors.policy import Policy, RuleOverride
from sensors.rig import Rig, TimeBase

Make = Callable[..., SensorMetrics]
NS_PER_S = 1_000_000_000


def only(found: tuple[Finding, ...], rule_id: str) -> Finding:
    matching = [entry for entry in found if entry.rule_id == rule_id]
    assert len(matching) == 1, found
    return matching[0]


def test_clean_drive_has_no_finding(rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    assert evaluate_drive(rig, manifest, clean) == ()
    assert verdict(()) == "build"


def test_a_sensor_whose_frames_are_all_quarantined_is_silent(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]
) -> None:
    spoilt = tuple(dataclasses.replace(entry, frames_unusable=entry.frames_read) for entry in clean)
    silent = {entry.sensor: entry for entry in evaluate_drive(rig, manifest, spoilt) if entry.rule_id == "CMP003"}
    expected = {entry.sensor for entry in clean if entry.required or entry.reference}
    assert set(silent) == expected != set()
    name, found = next(iter(silent.items()))
    assert (found.severity, found.measured) == ("error", 0)
    assert found.message.startswith(f"{name} has no usable frame in this drive: all ")
    most = tuple(dataclasses.replace(entry, frames_unusable=entry.frames_read - 1) for entry in clean)
    assert evaluate_drive(rig, manifest, most) == ()


@pytest.mark.parametrize(
    ("changed", "rule_id", "measured", "severity_of_reference", "severity_of_required", "severity_of_optional"),
    [
        ({"coverage": 0.89}, "CMP005", 0.89, "warning", "warning", "warning"),
        ({"regressions": 3}, "CLK001", 3, "error", "warning", "warning"),
        ({"duplicates": 2}, "CLK002", 2, "warning", "warning", "warning"),
        ({"measured_rate_hz": 6.0}, "CLK003", 0.4, "error", "warning", "warning"),
        ({"max_gap_ns": 350_000_000}, "CLK004", 3.5, "warning", "warning", "warning"),
        ({"first_ns": 1_699_999_990 * NS_PER_S}, "CLK005", 10, "error", "error", "warning"),
        ({"last_ns": 1_700_000_012 * NS_PER_S}, "CLK005", 2, "error", "error", "warning"),
        ({"unit_exponent": -3, "domain_offset_ns": -(10**18)}, "CLK006", 3, "error", "error", "warning"),
        ({"unit_exponent": 1}, "CLK006", 1, "error", "error", "warning"),
        ({"domain_offset_ns": -1_500_000_000}, "CLK007", 1.5, "error", "error", "warning"),
        ({"clock_steps": 2}, "CLK008", 2, "warning", "warning", "warning"),
        ({"drift_ppm": -180.0, "drift_uncertainty_ppm": 30.0}, "CLK009", 150, "warning", "warning", "warning"),
        ({"delay_error_ns": -9_000_000, "delay_uncertainty_ns": 1_000_000}, "CLK010", 8, "warning", "warning", "warning"),
        ({"frames_read": 94, "frames_lost": 6}, "CMP007", 0.06, "warning", "warning", "warning"),
        ({"frames_read": 20, "stamps_off": 3}, "CLK012", 0.15, "error", "error", "warning"),
        ({"log_pace": 0.25}, "CLK013", 4.0, "warning", "warning", "warning"),
        ({"ahead_ns": 80_000_000}, "CLK014", 80.0, "error", "error", "warning"),
        ({"stamps_late": 2}, "CLK015", 2.0, "warning", "warning", "warning"),
        ({"max_gap_ns": None}, "CLK004", None, "warning", "warning", "warning"),
        ({"coverage": None}, "CMP005", None, "warning", "warning", "warning"),
        ({"first_ns": None}, "CLK005", None, "error", "error", "warning"),
    ],
)
def test_one_fault_of_one_sensor(
    rig: Rig,
    manifest: Manifest,
    clean: tuple[SensorMetrics, ...],
    changed: dict[str, Any],
    rule_id: str,
    measured: float | None,
    severity_of_reference: str,
    severity_of_required: str,
    severity_of_optional: str,
) -> None:
    for position, severity in enumerate((severity_of_reference, severity_of_required, severity_of_optional)):
        faulty = list(clean)
        faulty[position] = dataclasses.replace(clean[position], nominal_rate_hz=10.0, measured_rate_hz=10.0)
        faulty[position] = dataclasses.replace(faulty[position], **changed)
        found = evaluate_drive(rig, manifest, faulty)
        entry = only(found, rule_id)
        assert found == (entry,)
        assert entry.sensor == clean[position].sensor
        assert entry.measured == pytest.approx(measured)
        assert entry.severity.value == severity
        assert entry.outcome is (Outcome.UNKNOWN if measured is None else Outcome.FAILED)
        assert verdict(found) == ("quarantine" if severity == "error" else "build")


@pytest.mark.parametrize(
    "changed",
    [
        {"domain_offset_ns": 50_000_000},
        {"frames_read": 20, "stamps_off": 2},
        {"frames_read": 95, "frames_lost": 5},
        {"log_pace": 1 / OTHER_PACE},
        {"log_pace": OTHER_PACE},
        {"log_pace": None},
        {"ahead_ns": 50_000_000},
        {"drift_ppm": 150.0, "drift_uncertainty_ppm": 50.0},
        {"drift_ppm": None, "drift_uncertainty_ppm": None},
        {"delay_ns": 8_000_000, "delay_error_ns": 8_000_000, "delay_uncertainty_ns": 3_000_000},
        {"coverage": 0.9},
        {"measured_rate_hz": 7.5},
        {"measured_rate_hz": 12.5},
        {"max_gap_ns": 200_000_000},
        {"first_ns": 1_699_999_999 * NS_PER_S},
        {"last_ns": 1_700_000_011 * NS_PER_S},
    ],
)
def test_the_threshold_itself_passes(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...], changed: dict[str, Any]
) -> None:
    assert evaluate_drive(rig, manifest, [dataclasses.replace(clean[0], **changed), *clean[1:]]) == ()


def test_dead_required_sensor_is_an_error_and_dead_optional_one_a_warning(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]
) -> None:
    without_camera = evaluate_drive(rig, manifest, [entry for entry in clean if entry.sensor != "cam_front"])
    assert [(entry.rule_id, entry.sensor, entry.measured) for entry in without_camera] == [
        ("CMP003", "cam_front", 0.0),
        ("CMP005", "cam_front", 0.0),
    ]
    assert verdict(without_camera) == "quarantine"
    without_radar = evaluate_drive(rig, manifest, [entry for entry in clean if entry.sensor != "radar_front"])
    assert [(entry.rule_id, entry.sensor) for entry in without_radar] == [("CMP005", "radar_front")]
    assert verdict(without_radar) == "build"


def test_one_frame_has_no_rate_and_that_is_not_passed(rig: Rig, manifest: Manifest, make_metrics: Make) -> None:
    lonely = make_metrics(frames_read=1, measured_rate_hz=None, max_gap_ns=None, coverage=0.01)
    found = [entry for entry in evaluate_drive(rig, manifest, [lonely]) if entry.sensor == "lidar_top"]
    assert [(entry.rule_id, entry.outcome) for entry in found] == [
        ("CLK003", Outcome.UNKNOWN),
        ("CLK004", Outcome.UNKNOWN),
        ("CMP005", Outcome.FAILED),
        ("CMP007", Outcome.UNKNOWN),
    ]
    assert {entry.severity for entry in found} == {Severity.WARNING}, "a keyframe of a dataset is in gold, and flagged"


@pytest.mark.parametrize("stamp_ns", [0, 4_200_000_000 * NS_PER_S])
def test_implausible_epoch_is_found_without_a_manifest(rig: Rig, make_metrics: Make, stamp_ns: int) -> None:
    found = evaluate_drive(rig, None, [make_metrics(first_ns=stamp_ns, last_ns=stamp_ns)])
    entry = next(entry for entry in found if entry.rule_id == "CLK005")
    assert (entry.outcome, entry.severity) == (Outcome.FAILED, Severity.ERROR)


def test_manifest_that_claims_an_implausible_epoch_does_not_excuse_it(rig: Rig, manifest: Manifest, make_metrics: Make) -> None:
    claims = dataclasses.replace(manifest, start_ns=0, end_ns=10 * NS_PER_S)
    found = evaluate_drive(rig, claims, [make_metrics(first_ns=0, last_ns=10 * NS_PER_S)])
    assert only(tuple(entry for entry in found if entry.rule_id == "CLK005"), "CLK005").sensor == "lidar_top"


def test_no_manifest(rig: Rig, clean: tuple[SensorMetrics, ...]) -> None:
    found = evaluate_drive(rig, None, clean, manifest_problem="not JSON")
    assert only(found, "CMP002").message == "manifest: not JSON"
    assert only(found, "CAL001").outcome is Outcome.UNKNOWN
    assert {entry.outcome for entry in found if entry.rule_id == "CLK005"} == {Outcome.UNKNOWN}
    assert verdict(found) == "quarantine"


def test_no_calibration(manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    found = evaluate_drive(None, manifest, clean, rig_problem="a sensor named twice")
    assert only(found, "CAL001").message == "calibration: a sensor named twice"
    assert {entry.sensor for entry in found if entry.rule_id == "CAL002"} == {entry.sensor for entry in clean}
    assert verdict(found) == "quarantine"


def test_calibration_of_another_rig(rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    found = evaluate_drive(rig, dataclasses.replace(manifest, rig_id="rig-2"), clean)
    assert "'rig-2'" in only(found, "CAL001").message
    assert verdict(found) == "quarantine"


def test_sensor_that_the_rig_does_not_know(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...], make_metrics: Make
) -> None:
    stranger = make_metrics("cam_rear", "camera", required=False)
    found = evaluate_drive(rig, manifest, [*clean, stranger])
    assert [(entry.rule_id, entry.sensor) for entry in found] == [("CAL002", "cam_rear")]
    assert verdict(found) == "build"


def test_sensor_of_another_modality_contradicts_the_calibration(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]
) -> None:
    found = evaluate_drive(rig, manifest, [*clean[:2], dataclasses.replace(clean[2], modality="lidar"), clean[3]])
    assert [(entry.rule_id, entry.sensor) for entry in found] == [("CAL001", "radar_front")]


def test_object_errors_are_passed_on_and_do_not_stop_the_drive(
    rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]
) -> None:
    broken = finding("DEC002", "cut short", sensor="cam_front", measured=1)
    found = evaluate_drive(rig, manifest, clean, [broken])
    assert found == (broken,)
    assert verdict(found) == "build"


def test_order_of_the_metrics_does_not_matter(rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    faulty = [dataclasses.replace(entry, duplicates=1, regressions=1) for entry in clean]
    assert evaluate_drive(rig, manifest, faulty) == evaluate_drive(rig, manifest, faulty[::-1])


def test_a_sensor_measured_twice_is_refused(rig: Rig, manifest: Manifest, make_metrics: Make) -> None:
    with pytest.raises(MetricsError, match="lidar_top"):
        evaluate_drive(rig, manifest, [make_metrics(), make_metrics()])


def test_a_time_base_that_is_not_utc_is_judged_by_the_drive_alone(rig: Rig, manifest: Manifest, make_metrics: Make) -> None:
    simulated = dataclasses.replace(manifest, start_ns=0, end_ns=10 * NS_PER_S)
    other = dataclasses.replace(rig, time_base=TimeBase.OTHER)
    for end_s, outside in ((10, []), (12, [2.0])):
        found = evaluate_drive(other, simulated, [make_metrics(first_ns=0, last_ns=end_s * NS_PER_S)])
        assert [entry.measured for entry in found if entry.rule_id == "CLK005"] == outside


def test_what_is_known_of_a_difference_is_said(rig: Rig, manifest: Manifest, make_metrics: Make) -> None:
    earlier = dataclasses.replace(manifest, start_ns=0)
    for changed, code, words in (
        ({"first_ns": 315_966_000 * NS_PER_S}, "CLK005", "they begin at 1980-01-06, before the year 2000"),
        ({"first_ns": -10 * NS_PER_S, "log_offset_p50_ns": 315_964_782 * NS_PER_S}, "CLK005", "known: the GPS epoch"),
        ({"clock_steps": 1, "set_by_ns": -7200 * NS_PER_S}, "CLK008", "2 h: a time zone"),
        ({"domain_offset_ns": -619_315_200 * NS_PER_S}, "CLK007", "1024 weeks: a rollover of the GPS week number"),
    ):
        found = evaluate_drive(rig, earlier, [make_metrics(**changed)])
        assert words in next(entry for entry in found if entry.rule_id == code).message


@pytest.mark.parametrize("weeks", [1024, 2048, -1024])
def test_a_rig_that_lost_the_week_does_not_agree_with_its_log_times(
    rig: Rig, manifest: Manifest, make_metrics: Make, weeks: int
) -> None:
    lag_s = weeks * 7 * 86_400
    found = evaluate_drive(rig, manifest, [make_metrics(log_offset_p50_ns=lag_s * NS_PER_S)])
    (entry,) = (one for one in found if one.rule_id.startswith("CLK"))
    assert (entry.rule_id, entry.severity, entry.measured) == ("CLK005", Severity.ERROR, abs(lag_s))
    assert f"{abs(weeks)} weeks: a rollover of the GPS week number" in entry.message
    other = dataclasses.replace(rig, time_base=TimeBase.OTHER)
    for drive_rig, offset_s in ((other, lag_s), (rig, lag_s + 120), (rig, 86_400 * 55)):
        found = evaluate_drive(drive_rig, manifest, [make_metrics(log_offset_p50_ns=offset_s * NS_PER_S)])
        assert not any(one.rule_id == "CLK005" for one in found), "a playback, or stamps that are no dates"


def test_losses_of_an_import_are_one_finding_a_sensor(rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    losses = (
        SourceLoss("cam_front", 3, "three files are absent"),
        SourceLoss(None, None, "a chunk is damaged"),
        SourceLoss("cam_front", 2, "two rows have no sensor"),
        *(SourceLoss("gone", 1, f"loss {number}") for number in range(5)),
    )
    found = evaluate_drive(rig, dataclasses.replace(manifest, losses=losses), clean)
    assert [(one.rule_id, one.sensor, one.measured, one.severity.value) for one in found] == [
        ("CMP008", None, None, "warning"),
        ("CMP008", "cam_front", 5, "warning"),
        ("CMP008", "gone", 5, "warning"),
    ]
    assert [one.outcome for one in found] == [Outcome.UNKNOWN, Outcome.FAILED, Outcome.FAILED]
    assert found[1].message == "cam_front: lost at import: three files are absent; two rows have no sensor"
    assert found[2].message.endswith("loss 0; loss 1; loss 2 and 2 more")
    assert verdict(found) == "build"


def test_a_rig_may_refuse_or_tolerate_losses(rig: Rig, manifest: Manifest, clean: tuple[SensorMetrics, ...]) -> None:
    lossy = dataclasses.replace(manifest, losses=(SourceLoss("cam_front", 3, "absent"),))
    strict = dataclasses.replace(rig, policy=Policy(rules=(RuleOverride("CMP008", severity="error"),)))
    assert verdict(evaluate_drive(strict, lossy, clean)) == "quarantine"
    lenient = dataclasses.replace(rig, policy=Policy(rules=(RuleOverride("CMP008", threshold=3),)))
    assert evaluate_drive(lenient, lossy, clean) == ()
