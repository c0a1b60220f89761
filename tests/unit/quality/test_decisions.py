"""The effect of decisions on findings: a release covers exactly what it names, a rejection always keeps data out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lake.errors import OverrideError
from lake.landing import DriveId
from lake.overrides import NONE, Decisions, Override, Verdict, scene_target
from lake.tables.rows import RawPosition, RecordRow
from quality.decisions import NOT_RELEASABLE, decided, record_target, reject, release, with_rejections
from quality.records import RELEASED, Origin, Position, record
from quality.rules.catalogue import RULES, Level, Severity
from quality.rules.findings import Finding, finding, has_errors, rule_ids

CODES = [entry.code for entry in RULES]
FINDINGS = st.lists(
    st.builds(
        lambda code, sensor, severity: finding(code, "said", sensor=sensor, measured=1, severity=severity),
        st.sampled_from(CODES),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from(Severity),
    ),
    max_size=6,
).map(tuple)
OVERRIDES = st.lists(st.sampled_from(CODES), min_size=1, max_size=4, unique=True).map(
    lambda codes: Override(Verdict.RELEASE, "0" * 64, (scene_target(1),), tuple(codes), "alice", "seen it")
)

ORIGIN = Origin(DriveId("car-1", "d-1"), "r1", "c" * 40, "h" * 64)
BAD = [finding("LID001", "few points", sensor="top", measured=1)]
PLACE = Position("car-1/d-1/lidar/top/1.mcap", "v1")
OF_SCENE = record(Level.SCENE, ORIGIN, BAD, frames=3, sensor="top", anchor_ns=1)
OF_FRAME = record(Level.OBJECT, ORIGIN, BAD, frames=1, sensor="top", stamp_ns=7, position=PLACE)
OF_OBJECT = record(Level.OBJECT, ORIGIN, BAD, frames=9, sensor="top", position=PLACE)
OF_DRIVE = record(Level.DRIVE, ORIGIN, BAD, frames=99)


def test_what_a_record_is_about() -> None:
    targets = ["scene:1", "frame:top:7", f"object:{PLACE.key}@v1", "drive"]
    assert [record_target(one) for one in (OF_SCENE, OF_FRAME, OF_OBJECT, OF_DRIVE)] == targets


@pytest.mark.parametrize(
    "incomplete", [replace(OF_SCENE, anchor_ns=None), replace(OF_FRAME, sensor=None), replace(OF_OBJECT, source=RawPosition())]
)
def test_a_record_that_does_not_name_what_it_is_about_is_refused(incomplete: RecordRow) -> None:
    with pytest.raises(OverrideError, match=incomplete.record_id):
        record_target(incomplete)


def test_a_decision_is_kept_in_the_record() -> None:
    override = Override(Verdict.REJECT, "0" * 64, (scene_target(1),), ("LID001",), "alice", "seen it")
    rejected = replace(OF_SCENE, status="rejected", reviewer="alice", reason="seen it")
    assert with_rejections([OF_SCENE, OF_FRAME], {scene_target(1): override}) == [rejected, OF_FRAME]
    released = replace(OF_FRAME, status="released", frames=0, reviewer="alice", reason="seen it")
    assert decided(OF_FRAME, override, RELEASED) == released


@given(FINDINGS, OVERRIDES)
def test_a_release_changes_severities_only_and_only_of_what_it_names(findings: tuple[Finding, ...], override: Override) -> None:
    after = release(findings, override)
    assert rule_ids(after) == rule_ids(findings)
    assert len(after) == len(findings)
    for one in after:
        if one.severity is Severity.ERROR:
            assert one.rule_id not in override.rules or one.rule_id in NOT_RELEASABLE
    kept = {one.rule_id for one in findings if one.severity is Severity.ERROR} - set(override.rules)
    assert kept <= set(rule_ids(after, Severity.ERROR))
    assert release(after, override) == after


@given(FINDINGS)
def test_no_decision_changes_nothing(findings: tuple[Finding, ...]) -> None:
    assert release(findings, None) == reject(findings, None, Level.SCENE) == tuple(sorted(findings))


@given(FINDINGS, st.sampled_from(Level))
def test_what_was_rejected_is_kept_out_whatever_the_rules_say(findings: tuple[Finding, ...], level: Level) -> None:
    override = Override(Verdict.REJECT, "0" * 64, (scene_target(1),), ("SYN001",), "alice", "seen it")
    after = reject(findings, override, level)
    assert has_errors(after)
    assert set(findings) <= set(after)
    assert len(after) == len(findings) + (not has_errors(findings))


@pytest.mark.parametrize("code", sorted(NOT_RELEASABLE))
def test_what_is_not_there_is_never_released(code: str) -> None:
    override = Override(Verdict.RELEASE, "0" * 64, (scene_target(1),), (code,), "alice", "seen it")
    assert has_errors(release([finding(code, "said", measured=1, severity=Severity.ERROR)], override))


def test_a_scene_without_its_anchor_is_never_released() -> None:
    override = Override(Verdict.RELEASE, "0" * 64, (scene_target(1),), ("SYN001",), "alice", "seen it")
    findings = [finding("SYN001", "said", sensor=name, measured=1) for name in ("top", "cam")]
    after = release(findings, override, anchor_sensor="top")
    assert {one.sensor: one.severity for one in after} == {"top": Severity.ERROR, "cam": Severity.WARNING}


def test_a_rejection_wins_and_other_data_does_not_count() -> None:
    both = [
        Override(verdict, "0" * 64, (scene_target(1), scene_target(number)), ("SYN001",), "alice", "seen it")
        for number, verdict in enumerate(Verdict, 2)
    ]
    decisions = Decisions.among(both, "0" * 64)
    assert set(decisions.rejected) == {scene_target(1), scene_target(3)}
    assert set(decisions.released) == {scene_target(2)}
    assert Decisions.among(both, "1" * 64) == NONE
