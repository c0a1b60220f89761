"""The match plan against a matcher that tries every pair, on timelines with every kind of trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.rig import Rig
from spark_jobs.errors import WorkAreaError
from spark_jobs.plan import ScenePlan, plan_scenes, pose_sensor, unmatched_reasons, usable_frames
from spark_jobs.window_plan import WINDOW_PLAN, scene_bytes, window_rows
from spark_jobs.windows import Window
from tests.unit.spark_jobs.job_builders import MS, T0, F, frame_index, make_rig, pose_table, sensor

SENSORS = ("cam", "odo", "odo2", "radar", "stranger", "top")
KINDS = {"cam": "camera", "odo": "pose", "odo2": "pose", "radar": "radar", "stranger": "camera", "top": "lidar"}


@dataclass(frozen=True)
class Timeline:
    index: pa.Table
    poses: pa.Table
    rig: Rig
    faulty: frozenset[str]

    def plan(self) -> ScenePlan:
        return plan_scenes(self.index, self.poses, self.rig, self.faulty)

    def rows(self) -> list[dict[str, Any]]:
        return list(self.index.to_pylist())

    def usable(self, name: str) -> list[dict[str, Any]]:
        """By definition: of sound objects, one for each stamp, the first by key and position."""
        found: dict[int, dict[str, Any]] = {}
        for row in self.rows():
            if row["sensor"] == name and row["key"] not in self.faulty:
                found.setdefault(row["stamp_ns"], row)
        return list(found.values())


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    # Steps of 1 ms around stamps of epoch size: ties and duplicates are common, and a float would already be wrong.
    frames = []
    for name in SENSORS:
        for number, step in enumerate(draw(st.lists(st.integers(-12, 12), max_size=9))):
            key = f"{name}-{draw(st.integers(0, 2))}"
            frames.append(F(name, T0 + step * MS, KINDS[name], key, chunk_offset=number, message_bytes=1 + number))
    faulty = frozenset(draw(st.sets(st.sampled_from([f"{name}-{part}" for name in SENSORS for part in range(3)]), max_size=4)))
    reference = draw(st.sampled_from(("top", "cam")))
    delays = st.integers(-4, 4).map(lambda step: step * MS)
    tolerances = st.sampled_from((0, MS - 1, MS, 3 * MS, 20 * MS))
    rig = make_rig(
        sensor("odo", "pose"),
        *(sensor(name, KINDS[name], delay_ns=draw(delays), tolerance_ns=draw(tolerances)) for name in ("cam", "radar", "top")),
        sensor("odo2", "pose"),
        reference=reference,
        pose_bracket_ns=draw(st.sampled_from((1, 5 * MS, 50 * MS))),
    )
    index = frame_index(frames)
    stamps = [row["stamp_ns"] for row in index.to_pylist() if row["sensor"] == "odo" and row["key"] not in faulty]
    return Timeline(index, pose_table(stamps), rig, faulty)


@given(timelines())
def test_every_match_is_the_nearest_within_tolerance_ties_to_the_earlier(timeline: Timeline) -> None:
    plan = timeline.plan()
    anchors = timeline.usable(timeline.rig.reference)
    assert plan.anchors_ns.tolist() == [row["stamp_ns"] for row in anchors]
    assert plan.sensors == ("cam", "radar", "top")
    for column, name in enumerate(plan.sensors):
        frames, sync = timeline.usable(name), timeline.rig[name].sync
        assert plan.has_frames[column] == bool(frames)
        for scene, anchor in enumerate(anchors):
            anchor_ns = anchor["stamp_ns"]
            target_ns = anchor_ns + sync.expected_delay_ns
            ranked = sorted((abs(row["stamp_ns"] - target_ns), row["stamp_ns"], row["frame_id"]) for row in frames)
            cell = (
                int(plan.frame_ids[scene, column]),
                int(plan.offsets_ns[scene, column]),
                int(plan.residuals_ns[scene, column]),
            )
            if name == timeline.rig.reference:
                assert cell == (anchor["frame_id"], 0, 0)
            elif ranked and ranked[0][0] <= sync.tolerance_ns:
                _, stamp_ns, frame_id = ranked[0]
                assert cell == (frame_id, stamp_ns - anchor_ns, stamp_ns - target_ns)
            else:
                assert cell[0] == -1
                assert plan.reason(column) == ("outside_tolerance" if frames else "no_frames")


@given(timelines())
def test_a_pose_comes_from_the_two_samples_around_the_anchor_of_one_source(timeline: Timeline) -> None:
    plan = timeline.plan()
    samples = [(row["stamp_ns"], row["frame_id"]) for row in timeline.usable("odo")]
    for scene, anchor_ns in enumerate(plan.anchors_ns.tolist()):
        before = max((sample for sample in samples if sample[0] <= anchor_ns), default=None)
        after = min((sample for sample in samples if sample[0] >= anchor_ns), default=None)
        bracketed = before is not None and after is not None and after[0] - before[0] <= timeline.rig.policy.pose_bracket_ns
        assert plan.pose_valid[scene] == bracketed
        if before is not None and after is not None and bracketed:
            assert plan.pose_frame_ids[scene].tolist() == [before[1], after[1]]
            assert plan.poses[scene, 0] == pytest.approx((anchor_ns - T0) / 1e9, abs=1e-12)
        else:
            assert plan.pose_frame_ids[scene].tolist() == [-1, -1]


@given(timelines())
def test_every_unmatched_frame_has_the_reason_that_is_true_of_it(timeline: Timeline) -> None:
    plan = timeline.plan()
    reasons = unmatched_reasons(timeline.index, plan, timeline.rig, timeline.faulty).tolist()
    matched = set(plan.frame_ids.ravel().tolist())
    usable = {row["frame_id"] for name in SENSORS for row in timeline.usable(name)}
    for row, reason in zip(timeline.rows(), reasons, strict=True):
        name = str(row["sensor"])
        if row["frame_id"] in matched or row["key"] in timeline.faulty:
            continue
        if name == "stranger":
            assert reason == "not_in_rig"
        elif name in ("odo", "odo2"):
            assert reason == "support_not_needed"
        elif row["frame_id"] not in usable:
            assert reason == "duplicate_stamp"
        else:
            sync = timeline.rig[name].sync
            accepted = any(
                abs(row["stamp_ns"] - anchor_ns - sync.expected_delay_ns) <= sync.tolerance_ns
                for anchor_ns in plan.anchors_ns.tolist()
            )
            assert reason == ("not_nearest" if accepted else "no_anchor")


@given(timelines(), st.data())
def test_a_window_holds_its_scenes_by_reference_and_nothing_else(timeline: Timeline, data: st.DataObject) -> None:
    plan = timeline.plan()
    first = data.draw(st.integers(0, plan.scenes))
    window = Window(0, first, data.draw(st.integers(first, plan.scenes)), 0)
    table = window_rows(timeline.index, plan, window)
    assert table.schema.equals(WINDOW_PLAN)
    rows, frames = table.to_pylist(), {row["frame_id"]: row for row in timeline.rows()}
    assert [(row["scene"], row["plan_sensor"]) for row in rows] == [
        (scene, name) for scene in range(window.first, window.last) for name in plan.sensors
    ]
    for row in rows:
        scene, column = row["scene"], plan.sensors.index(row["plan_sensor"])
        frame_id = int(plan.frame_ids[scene, column])
        assert row["anchor_ns"] == plan.anchors_ns[scene]
        if frame_id < 0:
            assert row["missing"] == plan.reason(column)
            assert {row[name] for name in (*frames.get(0, {}), "offset_ns", "residual_ns")} <= {None}
        else:
            assert row["missing"] is None
            assert {name: row[name] for name in frames[frame_id]} == frames[frame_id]
            assert (row["offset_ns"], row["residual_ns"]) == (
                plan.offsets_ns[scene, column],
                plan.residuals_ns[scene, column],
            )
        if plan.pose_valid[scene]:
            assert row["pose"] == plan.poses[scene].tolist()
            assert row["pose_keys"] == [frames[pose]["key"] for pose in plan.pose_frame_ids[scene].tolist()]
        else:
            assert (row["pose"], row["pose_keys"]) == (None, None)


@given(timelines())
def test_the_size_of_a_scene_is_that_of_its_frames(timeline: Timeline) -> None:
    plan = timeline.plan()
    sizes = [row["message_bytes"] for row in timeline.rows()]
    expected = [sum(sizes[frame] for frame in scene if frame >= 0) for scene in plan.frame_ids.tolist()]
    assert scene_bytes(timeline.index, plan).tolist() == expected


def test_an_empty_drive_has_an_empty_plan() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera"), sensor("odo", "pose"))
    index = frame_index([])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    assert (plan.scenes, plan.frame_ids.shape, plan.pose_frame_ids.shape) == (0, (0, 2), (0, 2))
    assert unmatched_reasons(index, plan, rig, frozenset()).tolist() == []
    assert scene_bytes(index, plan).tolist() == []


def test_a_drive_without_anchors_has_no_scene_and_says_so_of_each_frame() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera"))
    index = frame_index([F("cam", T0), F("cam", T0 + MS), F("cam", T0 + MS, key="z.mcap")])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    assert plan.scenes == 0
    assert unmatched_reasons(index, plan, rig, frozenset()).tolist() == ["no_anchor", "no_anchor", "duplicate_stamp"]


def test_a_rig_without_a_pose_sensor_takes_no_pose_from_a_stranger() -> None:
    rig = make_rig(sensor("top", "lidar"))
    index = frame_index([F("top", T0, "lidar"), F("odo", T0, "pose")])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    assert (pose_sensor(rig), plan.pose_valid.tolist()) == (None, [False])


def test_pose_samples_of_another_index_are_refused() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("odo", "pose"))
    index = frame_index([F("top", T0, "lidar"), F("odo", T0, "pose")])
    with pytest.raises(WorkAreaError, match="2 pose samples"):
        plan_scenes(index, pose_table([T0, T0 + MS]), rig, frozenset())


def test_of_equal_stamps_the_first_sound_frame_counts() -> None:
    frames = [F("cam", T0, key=key, chunk_offset=offset) for key, offset in (("b", 9), ("a", 7), ("a", 3), ("0", 1))]
    index = frame_index(frames)
    usable = usable_frames(index, "cam", {"0"})
    assert index["key"].to_pylist()[int(usable.frame_ids[0])] == "a"
    assert index["chunk_offset"].to_pylist()[int(usable.frame_ids[0])] == 3
    assert usable.stamps_ns.tolist() == [T0]
    assert usable_frames(index, "cam", {"0", "a", "b"}).frame_ids.tolist() == []


def test_stamps_keep_their_nanoseconds() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera", delay_ns=1, tolerance_ns=1))
    index = frame_index([F("top", T0, "lidar"), F("cam", T0), F("cam", T0 + 2), F("cam", T0 + 3)])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    column = plan.sensors.index("cam")
    assert (plan.offsets_ns[0, column], plan.residuals_ns[0, column]) == (0, -1), "a tie goes to the earlier frame"
    assert plan.frame_ids.dtype == plan.offsets_ns.dtype == np.int64
