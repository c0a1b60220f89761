"""A rig's allowed overrides reach every evaluator, and others are refused with the key and the range."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.documents import Manifest, ManifestObject, parse_document
from lake.errors import LandingError
from quality.errors import RuleOverrideError, UnknownRuleError
from quality.evaluators.drive import evaluate_drive, verdict
from quality.evaluators.frame import evaluate_points
from quality.evaluators.object import ObjectFacts, evaluate_object
from quality.evaluators.scene import evaluate_scene
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import RULES, Outcome, Rule, Severity, rule
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.policy import Policy, RuleOverride
from sensors.rig import Modality, Rig
from tests.unit.quality.conftest import rig_document

INTEGRITY = [
    "KEY001",
    "CMP001",
    "CMP002",
    "CMP003",
    "DEC001",
    "DEC002",
    "DEC003",
    "DEC004",
    "DEC005",
    "DEC006",
    "DEC007",
    "CAL001",
    "SYN001",
    "SYN004",
    "ACC001",
]
Metrics = tuple[SensorMetrics, ...]


def book(**rules: dict[str, Any]) -> RuleBook:
    return RuleBook.of(Policy.from_dict({"rules": rules}))


def parse(rules: Any) -> Rig:
    return Rig.from_dict(parse_document(json.dumps(rig_document(rules=rules)).encode(), "calibration"))


def test_without_overrides_the_catalogue_holds() -> None:
    assert list(DEFAULT_RULES.rules.values()) == list(RULES)
    assert DEFAULT_RULES.severities == {}
    assert DEFAULT_RULES["CLK009"] is rule("CLK009")
    with pytest.raises(UnknownRuleError, match="XYZ999"):
        DEFAULT_RULES["XYZ999"]


def test_a_policy_is_written_and_read_back_equal() -> None:
    policy = Policy.from_dict({"rules": {"CLK009": {"threshold": 50}, "CLK002": {"severity": "error"}}})
    assert [entry.code for entry in policy.rules] == ["CLK002", "CLK009"]
    assert policy.to_dict()["rules"] == {"CLK002": {"severity": "error"}, "CLK009": {"threshold": 50}}
    assert Policy.from_dict(policy.to_dict()) == policy
    assert "rules" not in Policy().to_dict(), "calibrations that were written before stay the bytes that they were"


def test_a_book_goes_to_workers() -> None:
    own = book(CLK009={"threshold": 50, "severity": "error"})
    assert pickle.loads(pickle.dumps(own)) == own


def test_nothing_that_says_whether_data_is_what_it_claims_can_be_overridden() -> None:
    assert {entry.code for entry in RULES if not entry.leeway} >= set(INTEGRITY)
    for code in INTEGRITY:
        for override in (RuleOverride(code, threshold=1e6), RuleOverride(code, severity="warning")):
            with pytest.raises(RuleOverrideError, match=rf"policy\.rules\.{code}\."):
                RuleBook.of(Policy(rules=(override,)))


@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.code)
def test_a_declared_leeway_holds_the_default(entry: Rule) -> None:
    low, high = entry.leeway.low, entry.leeway.high
    assert (low is None) == (high is None)
    if low is not None and high is not None:
        assert entry.threshold is not None
        assert low <= entry.threshold <= high
        assert low < high
    assert len(set(entry.leeway.severities)) == len(entry.leeway.severities)
    assert entry.leeway.severities != (Severity.WARNING,), "whoever may be lenient may be strict"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"XYZ999": {"threshold": 1}}, r"\$\.policy\.rules: .*'XYZ999' was unexpected.*allowed: overrides of CMP004, .*CLK009"),
        ({"ACC001": {"severity": "warning"}}, r"\$\.policy\.rules: .*'ACC001' was unexpected"),
        ({"CLK009": {"threshold": "high"}}, r"rules\.CLK009\.threshold: 'high' is not of type.*allowed: 1 to 10000 ppm"),
        ({"CLK009": {"threshold": True}}, r"rules\.CLK009\.threshold: True is not of type.*allowed: 1 to 10000 ppm"),
        ({"CLK009": {"threshold": None}}, r"rules\.CLK009\.threshold: None is not of type.*allowed: 1 to 10000 ppm"),
        ({"CLK009": {"threshold": 0.5}}, r"rules\.CLK009\.threshold: 0\.5 is less than.*allowed: 1 to 10000 ppm"),
        ({"CMP005": {"threshold": 1.5}}, r"rules\.CMP005\.threshold: 1\.5 is greater.*allowed: 0\.1 to 1 share of the drive"),
        ({"CLK009": {"threshold": math.nan}}, "NaN is not finite"),
        ({"CLK009": {"severity": "off"}}, r"rules\.CLK009\.severity: 'off' is not one of.*allowed: error or warning"),
        ({"CAL002": {"severity": "warning"}}, r"rules\.CAL002\.severity: 'warning' is not one of.*allowed: error"),
        ({"SYN003": {"threshold": 0}}, r"rules\.SYN003: .*'threshold' was unexpected.*allowed: severity error or warning"),
        ({"CLK009": {}}, r"rules\.CLK009: .*allowed: threshold 1 to 10000 ppm; severity"),
        ({"CLK009": 50}, r"rules\.CLK009: 50 is not of type 'object'"),
        ([], r"\$\.policy\.rules: \[\] is not of type 'object'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(rules: Any, message: str) -> None:
    with pytest.raises(LandingError, match=message):
        parse(rules)


@given(st.data())
def test_schema_and_book_allow_the_same(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(RULES))
    ends = [value for value in (entry.leeway.low, entry.leeway.high) if value is not None]
    near = st.sampled_from([*ends, *(math.nextafter(end, way) for end in ends for way in (-math.inf, math.inf)), 0.5])
    change = data.draw(
        st.one_of(
            st.fixed_dictionaries({"threshold": near}),
            st.fixed_dictionaries({"severity": st.sampled_from([severity.value for severity in Severity])}),
        )
    )
    try:
        parse({entry.code: change})
        loads = True
    except LandingError:
        loads = False
    try:
        changed = book(**{entry.code: change})[entry.code]
        assert changed == dataclasses.replace(
            entry,
            threshold=change.get("threshold", entry.threshold),
            severity=Severity(change.get("severity", entry.severity)),
        )
        holds = True
    except RuleOverrideError:
        holds = False
    assert loads is holds


def test_drive_rules_follow_the_rig(make_rig: Callable[..., Rig], manifest: Manifest, clean: Metrics) -> None:
    drifting = (clean[0], dataclasses.replace(clean[1], drift_ppm=80.0, drift_uncertainty_ppm=1.0), *clean[2:])
    assert evaluate_drive(make_rig(), manifest, drifting) == ()
    (found,) = evaluate_drive(make_rig(rules={"CLK009": {"threshold": 50}}), manifest, drifting)
    assert (found.rule_id, found.measured, found.threshold, found.severity) == ("CLK009", 79.0, 50, Severity.WARNING)
    assert found.message.endswith("more than 50")
    strict = evaluate_drive(make_rig(rules={"CLK009": {"threshold": 50, "severity": "error"}}), manifest, drifting)
    assert (strict[0].severity, verdict(strict)) == (Severity.ERROR, "quarantine")


def test_a_severity_that_the_rig_sets_holds_for_the_reference_too(
    make_rig: Callable[..., Rig], manifest: Manifest, clean: Metrics
) -> None:
    stepping = tuple(dataclasses.replace(entry, regressions=2) for entry in clean)
    usual = {found.sensor: found.severity for found in evaluate_drive(make_rig(), manifest, stepping)}
    assert {sensor for sensor, severity in usual.items() if severity is Severity.ERROR} == {"lidar_top"}
    lenient = evaluate_drive(make_rig(rules={"CLK001": {"severity": "warning"}}), manifest, stepping)
    assert {found.severity for found in lenient} == {Severity.WARNING}
    strict = evaluate_drive(make_rig(rules={"CLK001": {"severity": "error"}}), manifest, stepping)
    assert {(found.sensor, found.severity) for found in strict} == {(entry.sensor, Severity.ERROR) for entry in clean}


def test_object_rules_follow_the_rig(manifest: Manifest) -> None:
    entry: ManifestObject = manifest.objects[0]
    facts = ObjectFacts(entry.key, entry.sensor, entry, entry.size_bytes, entry.sha256, frames_read=entry.frame_count - 3)
    assert [found.rule_id for found in evaluate_object(facts)] == ["CMP004"]
    assert evaluate_object(facts, book(CMP004={"threshold": 3})) == ()
    (found,) = evaluate_object(facts, book(CMP004={"threshold": 2, "severity": "error"}))
    assert (found.measured, found.threshold, found.severity) == (3, 2, Severity.ERROR)


def test_frame_rules_follow_the_rig() -> None:
    def judge(rules: RuleBook) -> dict[str, tuple[float | None, Severity]]:
        found = evaluate_points("top", Modality.LIDAR, 100, 30, rules)
        return {one.rule_id: (one.threshold, one.severity) for one in found}

    assert judge(DEFAULT_RULES) == {"LID002": (0, Severity.WARNING)}
    assert judge(book(LID001={"threshold": 0.2}, LID002={"threshold": 30})) == {"LID001": (0.2, Severity.ERROR)}


def test_scene_rules_follow_the_rig(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(rules={"SYN002": {"severity": "error"}, "SYN003": {"severity": "error"}})
    for late_ns, uncompensated, code in ((30_000_000, {}, "SYN002"), (0, {"lidar_top": "no times"}, "SYN003")):
        found = evaluate_scene(
            rig,
            missing={},
            residuals={"cam_front": late_ns, "radar_front": 0},
            has_pose=True,
            uncompensated=uncompensated,
            rules=RuleBook.of(rig.policy),
        )
        assert (found.quarantined, [(one.rule_id, one.severity) for one in found.findings]) == (True, [(code, Severity.ERROR)])


def test_unknown_stays_unknown_whatever_the_rig_says() -> None:
    rules = book(LID001={"threshold": 0.99, "severity": "warning"})
    assert rules.judge("LID001", None) is Outcome.UNKNOWN
    (found,) = evaluate_points("top", Modality.LIDAR, 0, 0, rules)
    assert (found.rule_id, found.outcome, found.severity) == ("LID001", Outcome.UNKNOWN, Severity.WARNING)
