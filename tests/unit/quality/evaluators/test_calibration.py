"""The rules' findings on measured calibrations, and their table."""

from __future__ import annotations

import pytest

from quality.evaluators.calibration import RULE_OF, evaluate_calibration, unchecked
from quality.evaluators.drive import verdict
from quality.rules.catalogue import Outcome, Severity, rule
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from quality.tables.calibration import CALIBRATION_CHECKS, calibration_table, read_calibration_table
from sensors.calibration.result import CalibrationVerdict, Checked, Estimate, Quantity, Unobservable, judge
from sensors.calibration.verdicts import LIMITS
from sensors.policy import Policy
from sensors.rig import Rig


def check(quantity: Quantity, error: float | None, uncertainty: float = 0.1, sensor: str = "camera_front") -> Checked:
    measured = Unobservable("fog", 3, 7) if error is None else Estimate(error, uncertainty, 20, 900)
    return judge(sensor, quantity, measured, LIMITS[quantity])


def camera(yaw: float | None, pitch: float | None = 0.0, roll: float | None = 0.0) -> list[Checked]:
    return [
        check(Quantity.CAMERA_YAW, yaw), check(Quantity.CAMERA_PITCH, pitch), check(Quantity.CAMERA_ROLL, roll),
    ]  # fmt: skip


def test_sound_data_is_not_reported() -> None:
    assert evaluate_calibration(camera(0.1), {"camera_front": ()}, DEFAULT_RULES) == ()


@pytest.mark.parametrize("quantity", list(Quantity))
def test_the_rules_limit_is_that_of_the_verdict(quantity: Quantity) -> None:
    assert rule(RULE_OF[quantity]).threshold == LIMITS[quantity].bad


def test_a_proven_error_is_an_error_and_keeps_the_drive_back() -> None:
    (found,) = evaluate_calibration(camera(-0.5), {}, DEFAULT_RULES)
    assert (found.rule_id, found.sensor, found.severity) == ("CAL005", "camera_front", Severity.ERROR)
    assert found.measured == pytest.approx(0.4)
    assert found.threshold == 0.3
    assert found.message == ("camera_front: camera_yaw is declared -0.5 deg off, uncertain by 0.1, from 900 items in 20 frames")
    assert verdict([found]) == "quarantine"


def test_a_smaller_proven_error_is_a_warning_with_its_own_limit() -> None:
    (found,) = evaluate_calibration(camera(0.1, 0.35), {}, DEFAULT_RULES)
    assert (found.severity, found.threshold, found.outcome) == (Severity.WARNING, 0.15, Outcome.FAILED)
    assert verdict([found]) == "build"


def test_what_was_not_seen_is_unknown_and_only_warned_of() -> None:
    (found,) = evaluate_calibration(camera(None, None, 0.0), {}, DEFAULT_RULES)
    assert (found.outcome, found.severity) == (Outcome.UNKNOWN, Severity.WARNING)
    assert found.message == "camera_front: camera_yaw, camera_pitch not observable: fog"
    assert verdict([found]) == "build"


def test_an_error_is_reported_even_if_another_axis_was_not_seen() -> None:
    (found,) = evaluate_calibration(camera(None, 0.9), {}, DEFAULT_RULES)
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.ERROR)


def test_a_height_without_a_declared_ground_has_no_rule() -> None:
    without = judge(
        "lidar", Quantity.GROUND_HEIGHT, Unobservable("the rig does not say", 20, 900), LIMITS[Quantity.GROUND_HEIGHT]
    )
    nothing = judge("lidar", Quantity.GROUND_HEIGHT, Unobservable("no plane"), LIMITS[Quantity.GROUND_HEIGHT])
    assert evaluate_calibration([without], {}, DEFAULT_RULES) == ()
    assert [found.rule_id for found in evaluate_calibration([nothing], {}, DEFAULT_RULES)] == ["CAL004"]


def test_a_rig_may_ask_for_more_or_for_less() -> None:
    strict = RuleBook.of(Policy.from_dict({"rules": {"CAL005": {"threshold": 0.2}}}))
    lenient = RuleBook.of(Policy.from_dict({"rules": {"CAL005": {"threshold": 1.0, "severity": "warning"}}}))
    (found,) = evaluate_calibration(camera(0.35), {}, strict)
    assert (found.severity, found.threshold) == (Severity.ERROR, 0.2)
    for yaw in (0.5, 2.0):
        (found,) = evaluate_calibration(camera(yaw), {}, lenient)
        assert found.severity is Severity.WARNING


def test_contradictions_are_reported_as_text() -> None:
    (found,) = evaluate_calibration((), {"camera_front": ("images are 8 x 4 px", "too wide"), "camera_back": ()}, DEFAULT_RULES)
    assert (found.rule_id, found.measured, found.message) == ("CAL007", 2, "camera_front: images are 8 x 4 px; too wide")
    assert found.severity is Severity.ERROR


def test_the_table_keeps_checks_and_their_order_does_not_matter() -> None:
    checks = [*camera(0.5, None), check(Quantity.GROUND_HEIGHT, 0.01, sensor="lidar_top")]
    table = calibration_table(checks)
    assert table.schema == CALIBRATION_CHECKS
    assert table == calibration_table(checks[::-1])
    assert sorted(read_calibration_table(table), key=repr) == sorted(checks, key=repr)
    (unseen,) = [row for row in table.to_pylist() if row["verdict"] == CalibrationVerdict.NOT_OBSERVABLE]
    assert (unseen["error"], unseen["reason"], unseen["items"]) == (None, "fog", 7)


def test_what_was_not_looked_into_is_unknown_for_every_sensor_that_the_rules_judge(rig: Rig) -> None:
    found = unchecked(rig, "nobody looked", DEFAULT_RULES)
    assert [(one.rule_id, one.sensor) for one in found] == sorted((one.rule_id, one.sensor) for one in found)
    assert {one.sensor for one in found} == {sensor.name for sensor in rig.sensors if sensor.modality.in_scene}
    assert {(one.outcome, one.severity) for one in found} == {(Outcome.UNKNOWN, Severity.WARNING)}
    assert all("nobody looked" in one.message for one in found)
