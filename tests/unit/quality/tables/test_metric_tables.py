"""Great Expectations on the tables of objects and scenes agrees with the evaluators."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.documents import Manifest
from quality.evaluators.drive import evaluate_completeness
from quality.evaluators.object import ObjectFacts, evaluate_object
from quality.evaluators.scene import evaluate_scene
from quality.gx.checkpoint import ValidatedSuite, run_checkpoint
from quality.gx.suites import object_suite, scene_suite
from quality.rules.catalogue import RULES, Level, Severity
from quality.rules.findings import Finding, finding, has_errors
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from quality.tables.object import OBJECT_MEASURES, object_table
from quality.tables.scene import COUNTED, SCENE_METRICS, SceneFacts, scene_table
from sensors.rig import Rig
from tests.unit.quality.conftest import rig_document

# A validation costs the same for many scenes as for one: few examples of many.
SLOW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes(found: Sequence[Finding], severity: Severity) -> set[str]:
    return {entry.rule_id for entry in found if entry.severity is severity}


def of_objects(facts: Sequence[ObjectFacts], rules: RuleBook = DEFAULT_RULES, kept_out: Sequence[str] = ()) -> ValidatedSuite:
    return run_checkpoint([(object_suite(rules), object_table(facts, kept_out))], rules).suites["objects"]


@pytest.fixture
def whole(manifest: Manifest) -> ObjectFacts:
    entry = manifest.objects[0]
    return ObjectFacts(entry.key, entry.sensor, entry, entry.size_bytes, entry.sha256, frames_read=entry.frame_count)


FAULTS: Mapping[str, dict[str, Any]] = {
    "whole": {},
    "checksum": {"sha256": "b" * 64},
    "size": {"size_bytes": 999},
    "container": {"faults": ("byte 5: cut", "byte 9: cut")},
    "types": {"unknown_types": {"x": 3}},
    "foreign": {"foreign": {"frame 'b' instead of 'a'": 3}},
    "frames": {"frames_read": 98},
    "unnamed": {"expected": None},
    "unread": {"sha256": None},
}


def test_objects_that_are_to_be_published_are_judged_as_they_were(whole: ObjectFacts) -> None:
    facts = [dataclasses.replace(whole, key=name, **changed) for name, changed in FAULTS.items()]
    result = of_objects(facts)
    judged = {entry.key: evaluate_object(entry) for entry in facts}
    assert {key: set(found) for key, found in result.failed.items()} == {
        key: codes(found, Severity.ERROR) for key, found in judged.items() if codes(found, Severity.ERROR)
    }
    assert dict(result.flagged)["frames"] == ("CMP004",)
    unknown = [entry.rows for entry in result.results.expectations if entry.outcome == "unknown"]
    assert ("unnamed", "unread") in unknown


def test_absent_and_empty_objects_fail_unless_they_are_kept_out(whole: ObjectFacts) -> None:
    facts = [
        dataclasses.replace(whole, key="gone", size_bytes=None, sha256=None),
        dataclasses.replace(whole, key="hollow", size_bytes=0),
    ]
    assert {key: found[0] for key, found in of_objects(facts).failed.items()} == {"gone": "CMP001", "hollow": "DEC001"}
    assert dict(of_objects(facts, kept_out=["gone", "hollow"]).failed) == {}


def test_objects_follow_the_rigs_overrides(whole: ObjectFacts) -> None:
    rig = Rig.from_dict(rig_document(rules={"CMP004": {"threshold": 1, "severity": "error"}}))
    facts = [dataclasses.replace(whole, key=str(lost), frames_read=100 - lost) for lost in (0, 1, 2)]
    assert dict(of_objects(facts, RuleBook.of(rig.policy)).failed) == {"2": ("CMP004",)}


def test_every_object_rule_is_measured_or_counted() -> None:
    covered = {measure.code for measure in OBJECT_MEASURES} | set(COUNTED) | {"KEY001"}
    assert covered == {entry.code for entry in RULES if entry.level is Level.OBJECT} | (set(COUNTED) - {"DEC001"})
    assert set(COUNTED) >= {"DEC005", "DEC006", "DEC007", "LID001", "LID002"}


def report(rig: Rig, number: int, **changed: Any) -> SceneFacts:
    """A scene as its window reports it, judged by the evaluator."""
    values: dict[str, Any] = {
        "missing": {},
        "residuals": {"cam_front": 0, "radar_front": 0},
        "has_pose": True,
        "uncompensated": {},
        "payload_findings": (),
        **changed,
    }
    verdict = evaluate_scene(rig, **values, rules=RuleBook.of(rig.policy))
    return SceneFacts(
        scene_id=f"s{number}",
        anchor_ns=number,
        quarantined=verdict.quarantined,
        complete=not values["missing"],
        frames=1,
        missing=sorted(values["missing"]),
        has_pose=values["has_pose"],
        uncompensated=None if values["uncompensated"] is None else sorted(values["uncompensated"]),
        residuals_ns=values["residuals"],
        findings=verdict.findings,
    )


def of_scenes(scenes: Sequence[SceneFacts], rig: Rig) -> ValidatedSuite:
    rules = RuleBook.of(rig.policy)
    return run_checkpoint([(scene_suite(rules, rig.policy), scene_table(scenes, rig))], rules).suites["scenes"]


NAN_POINTS = finding("LID002", "3 NaN", sensor="lidar_top", measured=3)
scenes = st.fixed_dictionaries(
    {
        "missing": st.dictionaries(st.sampled_from(["lidar_top", "cam_front", "radar_front"]), st.just("no frame")),
        "residuals": st.dictionaries(
            st.sampled_from(["cam_front", "radar_front"]), st.sampled_from([0, -25_000_000, 25_000_001, -(10**9)])
        ),
        "has_pose": st.sampled_from([True, False, None]),
        "uncompensated": st.sampled_from([{}, {"lidar_top": "no times"}, None]),
        "payload_findings": st.sampled_from([(), (NAN_POINTS,)]),
    }
)
policies = st.fixed_dictionaries(
    {"publish_incomplete": st.booleans(), "pose_required": st.booleans()},
    optional={"rules": st.just({"SYN002": {"severity": "error"}, "CMP006": {"threshold": 0.5}})},
)


@SLOW
@given(policies, st.lists(scenes, min_size=1, max_size=40))
def test_scenes_that_are_to_be_published_are_judged_as_they_were(policy: dict[str, Any], drawn: list[dict[str, Any]]) -> None:
    rig = Rig.from_dict(rig_document(**policy))
    for entry in drawn:  # a sensor is matched or missing
        entry["residuals"] = {name: value for name, value in entry["residuals"].items() if name not in entry["missing"]}
    reports = [report(rig, number, **entry) for number, entry in enumerate(drawn)]
    result = of_scenes(reports, rig)
    flags = {
        entry.scene_id: tuple(sorted({found.rule_id for found in entry.findings}))
        for entry in reports
        if not entry.quarantined and entry.findings
    }
    table = dict(result.flagged)
    whole_table = table.pop("*", ())
    assert table == flags
    assert dict(result.failed) == {}, "a scene that fails an error rule is quarantined"
    lacking = {entry.scene_id for entry in reports for found in entry.findings if found.rule_id == "SYN001"}
    whole = [entry.scene_id not in lacking for entry in reports]
    found = evaluate_completeness(whole, RuleBook.of(rig.policy))
    assert whole_table == tuple(entry.rule_id for entry in found)


def test_an_error_in_a_scene_that_is_to_be_published_is_a_contradiction() -> None:
    rig = Rig.from_dict(rig_document())
    bad = report(rig, 1, missing={"cam_front": "no frame"}, residuals={"radar_front": 0})
    cut = report(rig, 2, payload_findings=(finding("DEC005", "cut", sensor="cam_front", measured=1),))
    assert bad.quarantined
    assert cut.quarantined
    assert dict(of_scenes([bad, cut, report(rig, 3)], rig).failed) == {}
    leaked = of_scenes([*(dataclasses.replace(entry, quarantined=False) for entry in (bad, cut)), report(rig, 3)], rig)
    assert dict(leaked.failed) == {"s1": ("ACC002", "SYN001"), "s2": ("ACC002",)}


def test_many_rows_are_counted_and_a_few_named() -> None:
    rig = Rig.from_dict(rig_document())
    result = of_scenes([report(rig, number, has_pose=False) for number in range(50)], rig)
    (entry,) = [entry for entry in result.results.expectations if not entry.success]
    assert (entry.rule_id, entry.failing, len(entry.rows)) == ("POS001", 50, 20)
    assert len(msgspec.json.encode(result.report)) < 90_000
    assert len(result.flagged) == 50


@pytest.mark.parametrize(("whole", "measured"), [([True] * 9 + [False], None), ([True] * 8 + [False] * 2, 0.8), ([], "unknown")])
def test_the_share_of_whole_scenes(whole: list[bool], measured: float | str | None) -> None:
    found = evaluate_completeness(whole, DEFAULT_RULES)
    assert has_errors(found) is False
    if measured is None:
        assert found == ()
        return
    (entry,) = found
    assert (entry.rule_id, entry.measured, entry.threshold) == ("CMP006", None if measured == "unknown" else measured, 0.9)
    rig = Rig.from_dict(rig_document())
    missing = {"missing": {"cam_front": "no frame"}, "residuals": {"radar_front": 0}}
    reports = [report(rig, number, **({} if complete else missing)) for number, complete in enumerate(whole)]
    result = of_scenes(reports, rig)
    assert dict(result.flagged)["*"] == ("CMP006",)
    judged = [row for row in result.results.expectations if row.rule_id == "CMP006"]
    assert [row.outcome for row in judged] == [entry.outcome]
    assert scene_table(reports, rig).schema == SCENE_METRICS
