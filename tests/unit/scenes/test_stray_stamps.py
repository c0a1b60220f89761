"""Frames with stamps that do not fit, and clocks that were set or are another's, through inspect, build and audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.drive_input import DriveInput
from lake.overrides import Override, Verdict, frame_target
from lake.storage import ObjectVersion
from quality.decisions import why_not_releasable
from quality.rules.findings import rule_ids
from scenes.outcome.account import AuditOutcome
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, pose, recording, rig_document, sensor

S = 1000 * MS
FRAMES = 40
TRUE = [T0 + number * 100 * MS for number in range(FRAMES)]
MAKE: Mapping[str, Callable[[int], bytes]] = {"lidar": cloud, "camera": image, "pose": pose}
_TYPES = {"lidar": POINT_CLOUD, "camera": IMAGE, "pose": ODOMETRY}
KINDS = {"top": "lidar", "cam": "camera", "odo": "pose"}
Stamps = Mapping[str, Mapping[int, int]]
NONE: Mapping[str, int] = MappingProxyType({})


def rig(*, required: bool = True, time_base: str | None = None) -> dict[str, Any]:
    document = rig_document(
        sensor("top", "lidar", required=True),
        sensor("cam", "camera", required=required),
        sensor("odo", "pose"),
        pose_bracket_ns=150 * MS,
        publish_incomplete=True,
    )
    return document if time_base is None else {**document, "time_base": time_base}


def logged(true_ns: int) -> int:
    return true_ns + 3 * MS


def land(
    changed: Stamps, document: Mapping[str, Any], log_ns: Callable[[int], int] = logged, begins: Mapping[str, int] = NONE
) -> tuple[Landed, DriveInput]:
    """A drive whose frames have their true stamps but for those `changed`, by sensor and number; logged 3 ms after the truth.

    `begins`: the first frame of a sensor that has none before.
    """
    landed = Landed()
    for name, modality in KINDS.items():
        first = begins.get(name, 0)
        stamps = [changed.get(name, {}).get(number, true) for number, true in enumerate(TRUE)][first:]
        frames = [(stamp, MAKE[modality](stamp)) for stamp in stamps]
        body = recording(_TYPES[modality], frames, log_ns=[log_ns(true) for true in TRUE[first:]])
        key = f"{landed.drive}/{modality}/{name}/{stamps[0]:019d}.mcap"
        landed.land_bytes(key, body, len(frames), max(stamps))
    return landed, landed.finish(document, TRUE[-1])


def processed(changed: Stamps, document: Mapping[str, Any], **more: Any) -> tuple[Landed, DriveInput, Any, AuditOutcome]:
    landed, drive_input = land(changed, document, **more)
    inspection = serial_jobs.inspect(landed, drive_input).inspection
    if inspection.verdict == "build":
        serial_jobs.build(landed, drive_input)
    outcome = serial_jobs.outcome(landed, drive_input)
    serial_jobs.check_identity(landed, drive_input, outcome)
    return landed, drive_input, inspection, outcome


def fates(outcome: AuditOutcome, name: str) -> Counter[tuple[str, str | None]]:
    return Counter((row["fate"], row["reason"]) for row in outcome.frames.to_pylist() if row["sensor"] == name)


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("wild", [0, T0 - 2 * S, TRUE[18], T0 + 10**17, T0 + 4 * 10**8 * S])
def test_one_wild_stamp_is_quarantined_and_the_drive_goes_on(name: str, wild: int) -> None:
    landed, _, inspection, outcome = processed({name: {20: wild}}, rig())
    assert inspection.verdict == "build"
    assert [(found.rule_id, found.sensor) for found in inspection.frame_findings] == [("CLK011", name)]
    assert fates(outcome, name)["quarantined", "CLK011"] == 1
    (record,) = (record for record in outcome.records if list(record.rule_ids) == ["CLK011"])
    assert (record.sensor, record.stamp_ns, record.frames, record.status) == (name, wild, 1, "quarantined")
    assert record.payload_uri is not None
    assert landed.store.read(ObjectVersion.from_uri(record.payload_uri)) == MAKE[KINDS[name]](wild)
    assert why_not_releasable(record) is not None
    drive_rules = {found.rule_id for found in inspection.findings if found.measured is not None}
    assert drive_rules <= {"CLK004"}, "a hole where it should be, and nothing else"
    if name != "odo":
        whole = [scene for scene in serial_jobs.scenes(landed) if scene["complete"]]
        assert len(whole) == FRAMES - 1


def test_too_many_wild_stamps_condemn_the_drive() -> None:
    wild = dict.fromkeys(range(5, 40, 4), T0 - 50 * S)
    _, _, inspection, outcome = processed({"cam": wild}, rig())
    assert inspection.verdict == "quarantine"
    assert "CLK012" in rule_ids(inspection.findings)
    assert fates(outcome, "cam") == {("quarantined", "CLK012"): FRAMES}
    _, _, inspection, outcome = processed({"cam": wild}, rig(required=False))
    assert inspection.verdict == "build"
    assert fates(outcome, "cam")["quarantined", "CLK011"] == len(wild)


def test_a_release_brings_no_stray_into_a_scene() -> None:
    landed, drive_input = land({"cam": {20: 0}}, rig())
    override = Override(Verdict.RELEASE, drive_input.base, (frame_target("cam", 0),), ("CLK011",), "alice", "looks fine to me")
    released = DriveInput(
        drive_input.drive, drive_input.objects, drive_input.manifest, drive_input.calibration, frozenset({override.to_string()})
    )
    serial_jobs.inspect(landed, released)
    serial_jobs.build(landed, released)
    outcome = serial_jobs.outcome(landed, released)
    serial_jobs.check_identity(landed, released, outcome)
    assert fates(outcome, "cam")["quarantined", "CLK011"] == 1


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("at", [12, 24])
def test_frames_behind_a_clock_that_was_set_are_in_no_scene(at: int, required: bool) -> None:
    """Set back by two seconds, images pair as well with the sweeps of two seconds ago. Every image in gold is of its own time."""
    behind = {number: TRUE[number] - 2 * S for number in range(at, FRAMES)}
    landed, _, inspection, outcome = processed({"cam": behind}, rig(required=required))
    assert {"CLK008"} <= set(rule_ids(inspection.findings))
    assert fates(outcome, "cam") == {("gold", None): at, ("unmatched", "clock_set"): FRAMES - at}
    for scene in serial_jobs.scenes(landed):
        assert [one["stamp_ns"] for one in scene["cameras"]] == [scene["anchor_ns"]] * len(scene["cameras"])
        assert bool(scene["cameras"]) != ("SYN005" in scene["quality_flags"])


def pairs(landed: Landed, stamps: Mapping[int, int]) -> set[tuple[int, int]]:
    """The true numbers of the sweep and of the image of each scene that has one; `stamps`: of the images that are off."""
    numbers = {stamps.get(number, true): number for number, true in enumerate(TRUE)}
    scenes = serial_jobs.scenes(landed)
    return {(TRUE.index(scene["anchor_ns"]), numbers[one["stamp_ns"]]) for scene in scenes for one in scene["cameras"]}


def test_images_of_a_clock_set_back_by_a_period_are_in_no_scene() -> None:
    """The stamp of the first one repeats that of the last right one; all others are those of the sweep before."""
    behind = {number: TRUE[number - 1] for number in range(20, FRAMES)}
    landed, _, inspection, outcome = processed({"cam": behind}, rig())
    assert "CLK008" in rule_ids(inspection.findings)
    assert fates(outcome, "cam") == {("gold", None): 20, ("unmatched", "clock_set"): 20}
    assert all(one["stamp_ns"] == scene["anchor_ns"] for scene in serial_jobs.scenes(landed) for one in scene["cameras"])
    assert {TRUE.index(scene["anchor_ns"]) for scene in serial_jobs.scenes(landed) if scene["cameras"]} == set(range(20))


@pytest.mark.parametrize("numbers", [range(3), range(37, 40), range(10, 13), range(10, 12)])
@pytest.mark.parametrize("off_ns", [107 * MS, -107 * MS, 207 * MS, -207 * MS])
def test_no_image_of_a_short_run_is_left_in_a_scene_and_no_other_is_lost(numbers: range, off_ns: int) -> None:
    stray = {number: TRUE[number] + off_ns for number in numbers}
    landed, _, inspection, outcome = processed({"cam": stray}, rig())
    assert fates(outcome, "cam") == {("gold", None): FRAMES - len(numbers), ("quarantined", "CLK011"): len(numbers)}
    assert pairs(landed, stray) == {(number, number) for number in range(FRAMES) if number not in numbers}
    assert not {"CLK008", "CLK012"} & set(rule_ids(inspection.findings))


@pytest.mark.parametrize("slow_ms", [6, 8])
@pytest.mark.parametrize("ahead_ms", [100, 600])
def test_a_recorder_that_is_a_little_slow_does_not_hide_a_camera_that_is_ahead(slow_ms: int, ahead_ms: int) -> None:
    ahead = {number: TRUE[number] + ahead_ms * MS for number in range(FRAMES)}
    _, _, inspection, _ = processed({"cam": ahead}, rig(), log_ns=lambda true: logged(true) - slow_ms * MS)
    assert inspection.verdict == "quarantine"
    assert ("CLK007", "cam") in {(found.rule_id, found.sensor) for found in inspection.findings}


def test_a_required_camera_that_was_set_beyond_the_drive_leaves_its_other_frames() -> None:
    set_on = {number: TRUE[number] + 3600 * S for number in range(28, FRAMES)}
    _, _, inspection, outcome = processed({"cam": set_on}, rig())
    assert inspection.verdict == "build"
    assert {found.rule_id for found in inspection.findings if found.measured is not None} == {"CLK008", "CMP005"}
    (named,) = (found.message for found in inspection.findings if found.rule_id == "CLK008")
    assert "1 h: a time zone" in named
    assert fates(outcome, "cam") == {("gold", None): 28, ("unmatched", "clock_set"): 12}


def test_a_rig_that_lost_the_gps_week_is_not_published() -> None:
    lost = {name: {number: true - 619_315_200 * S for number, true in enumerate(TRUE)} for name in KINDS}
    _, _, inspection, _ = processed(lost, rig())
    assert inspection.verdict == "quarantine"
    assert any(found.rule_id == "CLK005" and "1024 weeks" in found.message for found in inspection.findings)


@pytest.mark.parametrize("speed", [1.5, 0.6])
def test_a_playback_condemns_no_sensor_that_came_up_late(speed: float) -> None:
    played = {"log_ns": lambda true: T0 + 86_400 * S + int((true - T0) / speed), "begins": {"cam": 28}}
    _, _, inspection, outcome = processed({}, rig(), **played)
    assert {found.rule_id for found in inspection.findings if found.measured is not None} == {"CLK013", "CMP005"}
    assert fates(outcome, "cam") == {("gold", None): FRAMES - 28}


def test_a_scene_that_lacks_a_sensor_for_another_reason_does_not_blame_its_clock() -> None:
    behind = {number: TRUE[number] - 2 * S for number in range(28, FRAMES)}
    landed, _, _, outcome = processed({"cam": behind, "odo": behind}, rig(required=False), begins={"cam": 10, "odo": 10})
    assert fates(outcome, "cam") == {("gold", None): 18, ("unmatched", "clock_set"): FRAMES - 28}
    gold = serial_jobs.scenes(landed)
    lacking = [number for number, scene in enumerate(gold) if not scene["cameras"]]
    assert lacking == [*range(10), *range(28, FRAMES)], "it came up late, and was set later"
    assert [number for number, scene in enumerate(gold) if "SYN005" in scene["quality_flags"]] == [*range(28, FRAMES)]
    without_pose = {number for number, scene in enumerate(gold) if "POS001" in scene["quality_flags"]}
    assert set(range(10)) | set(range(28, FRAMES)) <= without_pose
    assert [number for number, scene in enumerate(gold) if "POS008" in scene["quality_flags"]] == [*range(28, FRAMES)]


def test_poses_of_another_clock_are_not_used() -> None:
    ahead = {number: TRUE[number] + S for number in range(FRAMES)}
    landed, _, inspection, outcome = processed({"odo": ahead}, rig())
    assert ("CLK007", "odo") in {(found.rule_id, found.sensor) for found in inspection.findings}
    assert fates(outcome, "odo") == {("unmatched", "other_clock"): FRAMES}
    gold = serial_jobs.scenes(landed)
    assert len(gold) == FRAMES
    assert all(scene["ego_pose"] is None and {"POS001", "POS008"} <= set(scene["quality_flags"]) for scene in gold)


@pytest.mark.parametrize("shift_ns", [S, -S, 300 * MS])
def test_a_required_camera_of_another_clock_condemns_the_drive(shift_ns: int) -> None:
    shifted = {number: TRUE[number] + shift_ns for number in range(FRAMES)}
    _, _, inspection, _ = processed({"cam": shifted}, rig())
    assert inspection.verdict == "quarantine"
    assert ("CLK007", "cam") in {(found.rule_id, found.sensor) for found in inspection.findings}


def test_a_reference_ahead_of_its_own_log_times_condemns_the_drive() -> None:
    ahead = {number: TRUE[number] + S for number in range(FRAMES)}
    _, _, inspection, _ = processed({"top": ahead}, rig(required=False))
    assert inspection.verdict == "quarantine"
    assert ("CLK014", "top") in {(found.rule_id, found.sensor) for found in inspection.findings}


def test_log_times_of_a_converter_are_flagged_and_not_believed() -> None:
    _, _, inspection, outcome = processed({}, rig(), log_ns=lambda true: T0 + 30 * 86_400 * S + (true - T0) // 8)
    assert inspection.verdict == "build"
    assert {found.rule_id for found in inspection.findings if found.measured is not None} == {"CLK013"}
    assert fates(outcome, "cam") == {("gold", None): FRAMES}


def test_zero_before_the_clock_came_up_is_kept_out() -> None:
    zeros = {"top": {0: 0, 1: 0}, "cam": {0: 0, 1: 0}}
    _, _, inspection, outcome = processed(zeros, rig())
    assert inspection.verdict == "build"
    assert fates(outcome, "top") == {("gold", None): FRAMES - 2, ("quarantined", "CLK011"): 2}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(0, FRAMES - 1), st.integers(0, 4 * 10**18)), max_size=12))
def test_accounts_balance_whatever_the_stamps(wild: list[tuple[str, int, int]]) -> None:
    changed: dict[str, dict[int, int]] = {}
    for name, number, stamp in wild:
        changed.setdefault(name, {})[number] = min(stamp, (2**31 - 1) * S)
    processed(changed, rig())
