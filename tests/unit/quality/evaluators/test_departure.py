"""The comparison of a drive with its vehicle's baseline: what is an error, what is none, and what is not judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lake.vehicle_baseline import BaselineStatistic, CalibrationHistory, LearnedFrom, SensorBaseline, VehicleBaseline
from quality.evaluators.departure import (
    departs,
    evaluate_departures,
    evaluate_observability,
    judged_for,
    not_compared,
)
from quality.rules.findings import Finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity
from sensors.rig import Modality, Rig
from tests.unit.scenes.job_builders import make_rig, sensor


def statistic(name: str, median: float, spread: float = 0.0, least: float | None = None) -> BaselineStatistic:
    return BaselineStatistic(name, median, spread, median if least is None else least, median, median, median)


def baseline(*sensors: SensorBaseline) -> VehicleBaseline:
    return VehicleBaseline("car-1", "code", tuple(LearnedFrom(f"d-{n}", f"{n:064x}", "code") for n in range(5)), sensors)


def known(
    name: str, modality: str, *statistics: BaselineStatistic, calibration: tuple[CalibrationHistory, ...] = ()
) -> SensorBaseline:
    return SensorBaseline(name, modality, 5, statistics, calibration)


TOP = known("top", "lidar", statistic("returns", 1000.0, spread=20.0))
RAD = known("rad", "radar", statistic("detections", 50.0, spread=5.0))
CAM = known("cam", "camera", statistic("relative_edge_energy", 0.5, least=0.2), statistic("relative_chroma", 0.12, least=0.06))
BASELINE = baseline(TOP, RAD, CAM)


def rig(**policy: Any) -> Rig:
    return make_rig(sensor("top", "lidar"), sensor("rad", "radar", required=True), sensor("cam", "camera"), **policy)


def usual(**other: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    values: dict[str, Mapping[str, float]] = {
        "top": {"returns": 990.0},
        "rad": {"detections": 48.0},
        "cam": {"relative_edge_energy": 0.4, "relative_chroma": 0.1},
    }
    return values | other


def judge(
    statistics: Mapping[str, Mapping[str, float]], on: Rig | None = None, against: VehicleBaseline | None = BASELINE
) -> list[Finding]:
    chosen = rig() if on is None else on
    return list(evaluate_departures(chosen, against, statistics, RuleBook.of(chosen.policy)))


def test_usual_values_pass_and_without_a_baseline_nothing_is_judged() -> None:
    assert judge(usual()) == []
    assert judge(usual(top={"returns": 0.0}), against=None) == []
    assert judge(usual(top={"returns": 5000.0}, rad={"detections": 900.0})) == []
    assert judged_for(rig(), None) == []
    assert judged_for(rig(), BASELINE) == [("cam", "CAM011"), ("rad", "RAD006"), ("top", "LID010")]


@pytest.mark.parametrize(
    ("name", "values", "rule", "severity", "share"),
    [
        ("top", {"returns": 499.0}, "LID010", "error", 0.499),  # the reference is critical
        ("top", {"returns": 0.0}, "LID010", "error", 0.0),
        ("rad", {"detections": 9.0}, "RAD006", "error", 0.18),
        ("cam", {"relative_edge_energy": 0.019, "relative_chroma": 0.1}, "CAM011", "warning", 0.095),
        ("cam", {"relative_edge_energy": 0.4, "relative_chroma": 0.0}, "CAM011", "warning", 0.0),
        ("cam", {"relative_edge_energy": 0.019, "relative_chroma": 0.003}, "CAM011", "warning", 0.05),
    ],
)
def test_what_departs_is_found_with_what_is_left(
    name: str, values: Mapping[str, float], rule: str, severity: str, share: float
) -> None:
    (found,) = judge(usual(**{name: values}))
    assert (found.rule_id, found.sensor, found.severity, found.measured) == (rule, name, severity, pytest.approx(share))
    assert "5 earlier drives" in found.message


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("top", {"returns": 500.0}),
        ("rad", {"detections": 10.0}),
        ("cam", {"relative_edge_energy": 0.021, "relative_chroma": 0.0061}),  # a night, hardly a tenth of an afternoon
    ],
)
def test_the_limit_itself_passes(name: str, values: Mapping[str, float]) -> None:
    assert judge(usual(**{name: values})) == []


def test_a_share_within_the_spread_of_the_drives_passes() -> None:
    wide = baseline(known("top", "lidar", statistic("returns", 1000.0, spread=180.0)))
    assert judge({"top": {"returns": 101.0}}, against=wide) == []
    assert [found.rule_id for found in judge({"top": {"returns": 99.0}}, against=wide)] == ["LID010"]


def test_a_camera_without_colour_is_not_asked_for_any_and_another_kind_is_not_compared() -> None:
    grey = baseline(known("cam", "camera", statistic("relative_edge_energy", 0.5), statistic("relative_chroma", 0.004)))
    assert judge({"cam": {"relative_edge_energy": 0.5, "relative_chroma": 0.0}}, against=grey) == []
    other = baseline(known("top", "radar", statistic("detections", 50.0)))
    assert judge({"top": {"returns": 1.0}}, against=other) == []
    nothing = baseline(known("top", "lidar", statistic("returns", 0.0)))
    assert judge({"top": {"returns": 0.0}}, against=nothing) == []


def test_a_sensor_that_was_not_measured_is_unknown() -> None:
    found = {one.rule_id: (one.outcome, one.severity) for one in judge({})}
    assert found == {
        "LID010": ("unknown", "error"), "RAD006": ("unknown", "error"), "CAM011": ("unknown", "warning"),
    }  # fmt: skip
    lenient = judge({}, rig(publish_incomplete=True))
    assert {one.severity for one in lenient} == {"warning"}, "the rig publishes scenes without them"
    structure = not_compared(rig(), BASELINE, "the payload checks are structure", DEFAULT_RULES)
    assert {(one.rule_id, one.outcome, one.severity) for one in structure} == {
        (code, "unknown", "warning") for code in ("LID010", "RAD006", "CAM011")
    }


def test_whether_a_drive_may_teach_does_not_depend_on_the_role() -> None:
    assert departs(Modality.LIDAR, {"returns": 300.0}, TOP, DEFAULT_RULES)
    assert not departs(Modality.LIDAR, {"returns": 600.0}, TOP, DEFAULT_RULES)
    assert not departs(Modality.LIDAR, {}, TOP, DEFAULT_RULES)
    assert not departs(Modality.POSE, {"rate_hz": 1.0}, known("odo", "pose", statistic("rate_hz", 50.0)), DEFAULT_RULES)


# ---- CAL011 ----


def check(name: str, quantity: Quantity, *, observed: bool) -> Checked:
    if observed:
        return Checked(name, quantity, CalibrationVerdict.OK, 0.1, 0.1, 8, 100, "")
    return Checked(name, quantity, CalibrationVerdict.NOT_OBSERVABLE, None, None, 0, 0, "nothing to see")


def history(quantity: Quantity, observed: int) -> CalibrationHistory:
    return CalibrationHistory(quantity.value, 5, observed, 0.1 if observed else None, 0.1 if observed else None)


def lost(checks: list[Checked], *histories: CalibrationHistory) -> list[tuple[str, float | None]]:
    entry = known("top", "lidar", statistic("returns", 1000.0), calibration=histories)
    found = evaluate_observability(baseline(entry), rig(), checks, DEFAULT_RULES)
    assert all(one.severity == "warning" for one in found)
    return [(one.rule_id, one.measured) for one in found]


def test_what_nearly_all_drives_showed_and_this_one_does_not_is_a_warning() -> None:
    roll, pitch = Quantity.GROUND_ROLL, Quantity.GROUND_PITCH
    unseen = [check("top", roll, observed=False), check("top", pitch, observed=False)]
    assert lost(unseen, history(roll, 5), history(pitch, 4)) == [("CAL011", 2)]
    assert lost(unseen, history(roll, 5), history(pitch, 3)) == [("CAL011", 1)]
    assert lost(unseen, history(roll, 0)) == []
    assert lost([check("top", roll, observed=True)], history(roll, 5)) == []
    assert lost([check("top", roll, observed=True)], history(pitch, 5)) == [("CAL011", 1)], "not even checked"
    assert lost([], history(roll, 5)) == [], "no payload was looked at"


def test_a_vehicle_that_stands_loses_nothing_that_only_motion_shows() -> None:
    yaw = Quantity.LIDAR_YAW
    standing = [check("top", yaw, observed=False), check("rad", Quantity.RADAR_YAW, observed=False)]
    assert lost(standing, history(yaw, 5)) == []
    moving = [check("top", yaw, observed=False), check("rad", Quantity.RADAR_YAW, observed=True)]
    assert lost(moving, history(yaw, 5)) == [("CAL011", 1)]
