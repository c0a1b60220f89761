"""One fate for every frame, by the stated precedence, and the records that hold exactly what is kept out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.drive_input import DriveInput
from lake.overrides import NONE
from lake.tables.rows import RawPosition
from lake.tables.schemas import FRAMES
from quality.evaluators.drive import GateVerdict
from quality.records import Origin
from quality.rules.findings import Finding, finding
from scenes.documents import DataFile, FrameReport, Inspection, ObjectReport, SceneReport, WindowReport
from scenes.outcome.fates import Built, IndexedDrive
from scenes.outcome.records import RecordKeeper
from scenes.plan.match_plan import ScenePlan, plan_scenes
from scenes.targets import DriveTargets
from sensors.rig import Rig
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.scenes.job_builders import (
    DRIVE,
    MS,
    PROVENANCE,
    REVISION,
    T0,
    F,
    Landed,
    frame_index,
    make_rig,
    pose_table,
    sensor,
)

RIG = make_rig(sensor("top", "lidar"), sensor("cam", "camera", tolerance_ns=200 * MS), sensor("odo", "pose"))
RIGS = [
    make_rig(
        sensor("top", "lidar", sweeps=sweeps),
        sensor("cam", "camera", rate_hz=20, tolerance_ns=200 * MS, sweeps=sweeps),
        sensor("odo", "pose"),
        pose_bracket_ns=bracket_ns,
        **policy,
    )
    for sweeps, bracket_ns, policy in (
        (1, 50 * MS, {}),
        (1, 20 * MS, {"frame_use": "exclusive"}),
        (3, 50 * MS, {"keyframe_hz": 5}),
        (2, 30 * MS, {"keyframe_hz": 5, "frame_use": "exclusive"}),
        (2, 50 * MS, {"matcher": "approximate_time"}),
    )
]
REASONS = {
    "support_not_needed",
    "not_in_rig",
    "duplicate_stamp",
    "not_nearest",
    "no_anchor",
    "not_keyframe",
    "not_in_set",
    "kept_by_nearer_anchor",
}
ORIGIN = Origin(DRIVE, REVISION, "code", "config")
FAULTY = "bad.mcap"
STEPS = st.integers(-1, 9).map(lambda step: T0 + step * 25 * MS)
USED = st.lists(st.tuples(STEPS, STEPS).map(sorted).map(tuple), max_size=2)  # of pose samples, by the scene


TARGETS = DriveTargets(DRIVE, REVISION, "raw", "lake", "quarantine")


def indexed(index: pa.Table, faulty: frozenset[str] = frozenset()) -> IndexedDrive:
    return IndexedDrive(DRIVE, REVISION, index, faulty)


def bad_frame(index: pa.Table, frame_id: int, *rules: str) -> FrameReport:
    row = index.slice(frame_id, 1).to_pylist()[0]
    findings = tuple(finding(code, f"{code} of {frame_id}", measured=1) for code in rules or ("DEC005",))
    return FrameReport(
        **{name: row[name] for name in ("frame_id", "sensor", "stamp_ns", "key", "message_offset")},
        offset=row["chunk_offset"],
        payload_uri=f"s3://quarantine/frames/{frame_id}",
        findings=findings,
    )


def scene(
    number: int, anchor_ns: int, frame_ids: list[int], quarantined: bool, used_ns: Sequence[tuple[int, int]] = ()
) -> SceneReport:
    return SceneReport(
        scene_id=f"s{number}",
        scene=number,
        anchor_ns=anchor_ns,
        quarantined=quarantined,
        complete=True,
        missing=(),
        has_pose=True,
        uncompensated=(),
        admitted=False,
        released=(),
        residuals_ns={},
        frame_ids=tuple(frame_ids),
        poses_used_ns=tuple(used_ns),
        findings=(finding("SYN001", "cam: no_frames", measured=1),) if quarantined else (),
        payload_uri="s3://quarantine/scenes/x" if quarantined else None,
        digest="",
    )


def window(scenes: list[SceneReport], bad: list[FrameReport]) -> WindowReport:
    gold = sum(not entry.quarantined for entry in scenes)
    return WindowReport(
        number=0,
        scenes=tuple(scenes),
        quarantined_frames=tuple(bad),
        released_frames=(),
        gold=DataFile("s3://lake/x", gold, 1, "") if gold else None,
        quarantined=None,
    )


def object_report(key: str) -> ObjectReport:
    return ObjectReport(
        number=0, key=key, sensor="cam", version_id="v1", sha256="", size_bytes=0, frames=0, samples=0, faults=(),
        unknown_types={}, origins=(), index="",
    )  # fmt: skip


def keeper(
    landed: Landed, origin: Origin, objects: Iterable[str] = (), findings: Mapping[str, tuple[Finding, ...]] | None = None
) -> RecordKeeper:
    inspection = Inspection(
        provenance=PROVENANCE,
        verdict=GateVerdict.BUILD,
        objects={key: object_report(key) for key in objects},
        object_findings=dict(findings or {}),
        faulty_keys=tuple(sorted(findings or ())),
        released_keys=(),
        findings=(),
        frames=0,
    )
    return RecordKeeper(landed.store, TARGETS, origin, inspection, NONE)


class Drive(NamedTuple):
    index: pa.Table
    rig: Rig
    plan: ScenePlan
    built: Built
    faulty: frozenset[str]


@st.composite
def built_drives(draw: st.DrawFn) -> Drive:
    """A real plan, and any outcome that the build could have: each frame good or bad, each scene gold or quarantined."""
    frames = [F("top", T0 + n * 100 * MS, "lidar", f"top-{n % 2}.mcap", n) for n in range(draw(st.integers(0, 5)))]
    frames += [
        F("cam", T0 + step * 50 * MS, "camera", draw(st.sampled_from(("cam.mcap", FAULTY))), number)
        for number, step in enumerate(draw(st.lists(st.integers(-2, 12), max_size=6)))
    ]
    frames += [F("odo", T0 + step * 25 * MS, "pose", "odo.mcap", step) for step in range(draw(st.integers(0, 9)))]
    frames += [F("stranger", T0, "camera")]
    index, faulty = frame_index(frames), draw(st.sampled_from((frozenset({FAULTY}), frozenset[str]())))
    rig = draw(st.sampled_from(RIGS))
    plan = plan_scenes(index, pose_table([frame.stamp_ns for frame in frames if frame.sensor == "odo"]), rig, faulty)
    planned = sorted({frame for frame in plan.frame_ids.ravel().tolist() if frame >= 0})
    bad = draw(st.frozensets(st.sampled_from(planned))) if planned else frozenset[int]()
    windows = []
    for number, (anchor_ns, ids) in enumerate(zip(plan.anchors_ns.tolist(), plan.frame_ids.tolist(), strict=True)):
        sound = [frame for frame in ids if frame >= 0 and frame not in bad]
        bad_here = [bad_frame(index, frame) for frame in sorted(bad & set(ids))]
        windows.append(window([scene(number, anchor_ns, sound, draw(st.booleans()), draw(USED))], bad_here))
    return Drive(index, rig, plan, Built.of(windows), faulty)


@given(built_drives())
def test_each_frame_has_one_fate_and_each_frame_kept_out_one_record(drive: Drive) -> None:
    index, rig, plan, built, faulty = drive
    frames = indexed(index, faulty).frames_built(plan, rig, built)
    assert frames.schema.equals(FRAMES)
    rows, sources = frames.to_pylist(), index.to_pylist()
    assert len(rows) == len(sources)
    gold = [entry for entry in built.scenes if not entry.quarantined]
    quarantined = {frame for entry in built.scenes if entry.quarantined for frame in entry.frame_ids}
    bad = {entry.frame_id for entry in built.quarantined_frames}
    poses = samples_of(sources, gold, rig)
    for row, source in zip(rows, sources, strict=True):
        frame_id = source["frame_id"]
        scenes = sum(frame_id in entry.frame_ids for entry in gold)
        assert row["scenes"] == scenes
        if source["key"] in faulty:
            expected = ("quarantined", "object_quarantined")
        elif scenes or frame_id in poses:
            expected = ("gold", None)
        elif frame_id in bad:
            expected = ("quarantined", "DEC005")
        elif frame_id in quarantined:
            expected = ("quarantined", "scene_quarantined")
        else:
            assert row["reason"] in REASONS
            expected = ("unmatched", row["reason"])
        assert (row["fate"], row["reason"]) == expected
    landed = Landed(FakeS3(versions={("raw", key): [("v1", b"raw")] for key in faulty}))
    cut = {key: (finding("DEC002", "cut", measured=1),) for key in faulty}
    made = keeper(landed, ORIGIN, {source["key"] for source in sources} | faulty, cut)
    records = [*made.of_objects(frames), *made.of_built(built, "top", frames)]
    assert sum(record.frames for record in records) == sum(row["fate"] == "quarantined" for row in rows)
    assert len({record.record_id for record in records}) == len(records)
    assert len(records) == len(faulty) + len(bad) + (len(built.scenes) - len(gold))


def samples_of(sources: list[dict[str, Any]], gold: list[SceneReport], rig: Rig) -> set[int]:
    """By definition: the samples right around an anchor or a frame of a gold scene, if they are near enough to each other, and
    those that moved points of one."""
    instants = {entry.anchor_ns for entry in gold} | {sources[frame]["stamp_ns"] for entry in gold for frame in entry.frame_ids}
    samples = sorted((row["stamp_ns"], row["frame_id"]) for row in sources if row["sensor"] == "odo")
    moved = [span for entry in gold for span in entry.poses_used_ns]
    found = {frame_id for stamp_ns, frame_id in samples if any(first <= stamp_ns <= last for first, last in moved)}
    for at_ns in instants:
        before = max((sample for sample in samples if sample[0] <= at_ns), default=None)
        after = min((sample for sample in samples if sample[0] >= at_ns), default=None)
        if before and after and after[0] - before[0] <= rig.policy.pose_bracket_ns:
            found |= {before[1], after[1]}
    return found


def test_a_bad_frame_that_two_windows_asked_for_is_one_bad_frame() -> None:
    index = frame_index([F("cam", T0)])
    built = Built.of([window([], [bad_frame(index, 0)]), window([], [bad_frame(index, 0)])])
    assert [entry.frame_id for entry in built.quarantined_frames] == [0]


def test_the_reason_of_a_bad_frame_is_its_errors_not_its_warnings() -> None:
    index = frame_index([F("top", T0, "lidar")])
    plan = plan_scenes(index, pose_table([]), RIG, frozenset())
    built = Built.of([window([scene(0, T0, [], True)], [bad_frame(index, 0, "LID001", "CMP004", "DEC006", "LID001")])])
    frames = indexed(index).frames_built(plan, RIG, built)
    assert frames["reason"].to_pylist() == ["DEC006+LID001"]


def test_a_gold_scene_saves_a_frame_that_a_quarantined_scene_also_holds() -> None:
    index = frame_index([F("cam", T0), F("top", T0, "lidar"), F("top", T0 + 100 * MS, "lidar")])
    plan = plan_scenes(index, pose_table([]), RIG, frozenset())
    for flags in ((True, False), (False, True)):
        built = Built.of([window([scene(n, T0 + n * 100 * MS, [0, n + 1], flag) for n, flag in enumerate(flags)], [])])
        frames = indexed(index).frames_built(plan, RIG, built).to_pylist()
        assert (frames[0]["fate"], frames[0]["scenes"]) == ("gold", 1)
        assert [row["fate"] for row in frames[1:]] == ["quarantined" if flag else "gold" for flag in flags]


def test_a_drive_refused_as_a_whole_keeps_every_frame_with_its_own_reason() -> None:
    index = frame_index([F("cam", T0, key=FAULTY), F("cam", T0 + 1), F("odo", T0, "pose")])
    drive_input = DriveInput(DRIVE, frozenset(), None, None)
    frames = indexed(index, frozenset({FAULTY})).frames_quarantined("CAL001")
    assert frames.schema.equals(FRAMES)
    assert frames["fate"].to_pylist() == ["quarantined"] * 3
    assert frames["reason"].to_pylist() == ["object_quarantined", "CAL001", "CAL001"]
    landed = Landed()
    origin = Origin(DRIVE, drive_input.revision, "code", "config")
    findings = [finding("CAL001", "no rig", measured=1), finding("CLK004", "gap", measured=3)]
    record = keeper(landed, origin).of_whole_drive(drive_input, findings, frames)
    assert (record.frames, record.rule_ids, record.level) == (2, ("CAL001", "CLK004"), "drive")
    kept = json.loads(landed.s3.body(record.payload_uri or ""))
    assert kept == json.loads(drive_input.to_bytes())


@pytest.mark.parametrize("stamp_ns", [T0, -1, 0])
def test_all_rows_of_a_drive_have_the_day_of_its_first_frame(stamp_ns: int) -> None:
    index = frame_index([F("cam", stamp_ns), F("cam", stamp_ns + 3 * 86_400 * 10**9)])
    frames = indexed(index).frames_quarantined("CAL001")
    first = datetime.datetime.fromtimestamp(stamp_ns // 10**9, datetime.UTC).date()
    assert frames["day"].to_pylist() == [first, first]


def test_an_empty_drive_has_no_rows() -> None:
    index = frame_index([])
    frames = indexed(index).frames_quarantined("CMP002")
    assert (len(frames), frames.schema) == (0, FRAMES)
    plan = plan_scenes(index, pose_table([]), RIG, frozenset())
    assert len(indexed(index).frames_built(plan, RIG, Built.of([]))) == 0


def test_an_object_that_is_gone_has_a_record_without_a_copy() -> None:
    landed = Landed()
    gone = {FAULTY: (Finding("CMP001", "cam", 1, 0, "not there"),)}
    (record,) = keeper(landed, ORIGIN, findings=gone).of_objects(FRAMES.empty_table())
    assert (record.payload_uri, record.frames, record.sensor) == (None, 0, "cam")
    assert record.source == RawPosition(key=FAULTY)
    assert landed.s3.versions == {}
