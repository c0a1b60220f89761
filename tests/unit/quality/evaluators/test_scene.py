from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quality.evaluators.scene import SceneVerdict, evaluate_scene
from quality.rules.catalogue import Outcome, Severity
from quality.rules.findings import finding
from sensors.rig import Rig

WHOLE: dict[str, Any] = {
    "missing": {},
    "residuals": {"lidar_top": 0, "cam_front": -1_000_000, "radar_front": 2_000_000},
    "has_pose": True,
    "uncompensated": {},
}


def judge(rig: Rig, **changed: Any) -> SceneVerdict:
    return evaluate_scene(rig, **{**WHOLE, **changed})


def test_whole_scene(rig: Rig) -> None:
    assert judge(rig) == SceneVerdict(False, (), ())


def test_a_scene_without_its_anchor_is_quarantined_under_any_policy(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(publish_incomplete=True)
    residuals = {sensor.name: 0 for sensor in rig.sensors if sensor.modality.in_scene and sensor.name != rig.reference}
    verdict = evaluate_scene(rig, {rig.reference: "LID001"}, residuals, has_pose=True, uncompensated={})
    assert verdict.quarantined
    assert [(found.rule_id, found.severity) for found in verdict.findings] == [("SYN001", Severity.ERROR)]


@pytest.mark.parametrize(("publish_incomplete", "severity"), [(False, Severity.ERROR), (True, Severity.WARNING)])
def test_missing_required_sensor_is_policy(make_rig: Callable[..., Rig], publish_incomplete: bool, severity: Severity) -> None:
    rig = make_rig(publish_incomplete=publish_incomplete)
    verdict = judge(rig, missing={"cam_front": "no frame within 50 ms"}, residuals={"radar_front": 0})
    (entry,) = verdict.findings
    assert (entry.rule_id, entry.sensor, entry.severity) == ("SYN001", "cam_front", severity)
    assert "no frame within 50 ms" in entry.message
    assert verdict.quarantined is (severity is Severity.ERROR)
    assert verdict.flags == (("SYN001",) if severity is Severity.WARNING else ())


def test_a_missing_optional_sensor_is_not_a_finding(rig: Rig) -> None:
    assert judge(rig, missing={"radar_front": "out of tolerance"}, residuals={"cam_front": 0}) == SceneVerdict(False, (), ())


def test_a_required_sensor_that_was_not_matched_is_unknown_and_not_passed(rig: Rig) -> None:
    verdict = judge(rig, residuals={"radar_front": 0})
    (entry,) = verdict.findings
    assert (entry.rule_id, entry.sensor, entry.outcome) == ("SYN001", "cam_front", Outcome.UNKNOWN)
    assert verdict.quarantined


@pytest.mark.parametrize(("residual_ns", "flagged"), [(25_000_000, False), (25_000_001, True), (-25_000_001, True)])
def test_residual(rig: Rig, residual_ns: int, flagged: bool) -> None:
    verdict = judge(rig, residuals={"cam_front": residual_ns})
    assert verdict.flags == (("SYN002",) if flagged else ())
    assert not verdict.quarantined
    if flagged:
        assert (verdict.findings[0].measured, verdict.findings[0].threshold) == (25_000_001, 25_000_000)


@pytest.mark.parametrize("has_pose", [False, None])
@pytest.mark.parametrize("required", [False, True])
def test_pose(make_rig: Callable[..., Rig], has_pose: bool | None, required: bool) -> None:
    verdict = judge(make_rig(pose_required=required), has_pose=has_pose)
    (entry,) = verdict.findings
    assert entry.rule_id == "POS001"
    assert entry.outcome is (Outcome.FAILED if has_pose is False else Outcome.UNKNOWN)
    assert verdict.quarantined is required
    assert verdict.flags == (() if required else ("POS001",))


@pytest.mark.parametrize(("reasons", "outcome"), [({"lidar_top": "no times"}, Outcome.FAILED), (None, Outcome.UNKNOWN)])
def test_motion_compensation(rig: Rig, reasons: dict[str, str] | None, outcome: Outcome) -> None:
    verdict = judge(rig, uncompensated=reasons)
    assert [(entry.rule_id, entry.sensor, entry.outcome) for entry in verdict.findings] == [("SYN003", "lidar_top", outcome)]
    assert ("no times" in verdict.findings[0].message) is (reasons is not None)
    assert verdict.flags == ("SYN003",)


def test_payload_errors_quarantine_and_warnings_flag(rig: Rig) -> None:
    broken = finding("DEC005", "cut short", sensor="cam_front", measured=1)
    holes = finding("LID002", "3 NaN", sensor="lidar_top", measured=3)
    assert judge(rig, payload_findings=(holes,)) == SceneVerdict(False, (holes,), ("LID002",))
    assert judge(rig, payload_findings=(holes, broken)) == SceneVerdict(True, (broken, holes), ("LID002",))


def test_a_sensor_outside_the_rig_is_a_mistake_of_the_caller(rig: Rig) -> None:
    with pytest.raises(KeyError, match="cam_rear"):
        judge(rig, missing={"cam_rear": "?"})
