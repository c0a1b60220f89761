"""The match plan under every policy, against a matcher that tries every pair, on timelines with every kind of fault."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.errors import WorkAreaError
from scenes.outcome.unmatched import unmatched_reasons
from scenes.plan.drive_frames import DriveFrames
from scenes.plan.match_plan import MISSING, plan_scenes
from scenes.plan.pose_track import pose_sensor
from scenes.plan.window_table import WINDOW_TABLE, scene_bytes, scene_rows, window_tables
from scenes.plan.windows import Window
from sensors.match.nearest import MatchReason
from tests.unit.scenes import timelines as oracle
from tests.unit.scenes.job_builders import MS, T0, F, frame_index, make_rig, pose_table, sensor
from tests.unit.scenes.timelines import SENSORS, Timeline, matched_frame_ids, slots_of

TIMELINES = oracle.timelines()


@given(TIMELINES)
def test_every_scene_holds_the_frames_that_its_definition_gives_it(timeline: Timeline) -> None:
    plan, expected = timeline.plan(), timeline.scenes()
    assert plan.sensors == oracle.PLANNED
    assert plan.anchors_ns.tolist() == [cells[timeline.rig.reference].frames[0]["stamp_ns"] for cells in expected]
    for scene, cells in enumerate(expected):
        for column, name in enumerate(plan.sensors):
            cell = cells[name]
            assert slots_of(plan, scene, column) == [row["frame_id"] for row in cell.frames]
            assert MISSING.get(MatchReason(plan.reasons[scene, column])) == cell.missing
            if cell.frames:
                offset_ns = cell.frames[0]["stamp_ns"] - plan.anchors_ns[scene]
                delay_ns = 0 if name == timeline.rig.reference else timeline.rig[name].sync.expected_delay_ns
                assert (plan.offsets_ns[scene, column], plan.residuals_ns[scene, column]) == (offset_ns, offset_ns - delay_ns)
                assert matched_frame_ids(plan, column)[scene] == cell.frames[0]["frame_id"]


@given(oracle.timelines(every_policy=False))
def test_the_default_policy_is_promise_p4(timeline: Timeline) -> None:
    """Nearest to anchor + expected delay, within the tolerance, ties to the earlier; every usable sweep an anchor."""
    plan = timeline.plan()
    anchors = timeline.usable(timeline.rig.reference)
    assert plan.anchors_ns.tolist() == [row["stamp_ns"] for row in anchors]
    for column, name in enumerate(plan.sensors):
        frames, sync = timeline.usable(name), timeline.rig[name].sync
        for scene, anchor in enumerate(anchors):
            target_ns = anchor["stamp_ns"] + sync.expected_delay_ns
            ranked = sorted((abs(row["stamp_ns"] - target_ns), row["stamp_ns"], row["frame_id"]) for row in frames)
            if name == timeline.rig.reference:
                assert slots_of(plan, scene, column) == [anchor["frame_id"]]
            else:
                near = [ranked[0][2]] if ranked and ranked[0][0] <= sync.tolerance_ns else []
                assert slots_of(plan, scene, column) == near


@given(TIMELINES)
def test_a_pose_comes_from_the_two_samples_around_the_anchor_of_one_source(timeline: Timeline) -> None:
    plan = timeline.plan()
    for scene, anchor_ns in enumerate(plan.anchors_ns.tolist()):
        around = oracle.brackets(timeline, anchor_ns)
        assert plan.pose_valid[scene] == (around is not None)
        if around is not None:
            assert plan.pose_frame_ids[scene].tolist() == [row["frame_id"] for row in around]
            assert plan.poses[scene, 0] == pytest.approx((anchor_ns - T0) / 1e9, abs=1e-12)
        else:
            assert plan.pose_frame_ids[scene].tolist() == [-1, -1]


@given(TIMELINES)
def test_every_unmatched_frame_has_the_reason_that_is_true_of_it(timeline: Timeline) -> None:
    plan = timeline.plan()
    reasons = unmatched_reasons(timeline.index, plan, timeline.rig, timeline.faulty).tolist()
    held = set(plan.frame_ids.ravel().tolist())
    usable = {row["frame_id"] for name in SENSORS for row in timeline.usable(name)}
    for row, reason in zip(timeline.rows(), reasons, strict=True):
        name = str(row["sensor"])
        if row["frame_id"] in held or row["key"] in timeline.faulty:
            continue
        if name == "stranger":
            assert reason == "not_in_rig"
        elif name in ("odo", "odo2"):
            assert reason == "support_not_needed"
        elif row["frame_id"] not in usable:
            assert reason == "duplicate_stamp"
        elif name == timeline.rig.reference:
            assert reason == reason_of_reference(timeline, row, plan.anchors_ns.tolist())
        else:
            assert reason == reason_of_matched(timeline, name, row, plan.anchors_ns.tolist())


def reason_of_reference(timeline: Timeline, row: oracle.Row, anchors_ns: list[int]) -> str:
    policy = timeline.rig.policy
    if policy.keyframe_hz is None:
        assert policy.matcher == "approximate_time"
        return "not_in_set"
    cells = timeline.in_cells([{"stamp_ns": anchor_ns} for anchor_ns in anchors_ns])
    assert policy.matcher == "approximate_time" or timeline.in_cells([row])[0] in cells
    return "not_keyframe" if timeline.in_cells([row])[0] in cells else "not_in_set"


def reason_of_matched(timeline: Timeline, name: str, row: oracle.Row, anchors_ns: list[int]) -> str:
    sync, policy = timeline.rig[name].sync, timeline.rig.policy
    targets = [anchor_ns + sync.expected_delay_ns for anchor_ns in anchors_ns]
    accepting = [target for target in targets if abs(row["stamp_ns"] - target) <= sync.tolerance_ns]
    if not accepting:
        return "no_anchor"
    if policy.matcher == "approximate_time":
        return "not_in_set"
    stamps = [frame["stamp_ns"] for frame in timeline.usable(name)]
    wanted = any(min((abs(stamp - target), stamp) for stamp in stamps)[1] == row["stamp_ns"] for target in accepting)
    assert not wanted or policy.frame_use == "exclusive"
    return "kept_by_nearer_anchor" if wanted else "not_nearest"


@given(TIMELINES, st.data())
def test_a_window_holds_its_scenes_by_reference_and_nothing_else(timeline: Timeline, data: st.DataObject) -> None:
    plan, expected, frames = timeline.plan(), timeline.scenes(), timeline.rows()
    first = data.draw(st.integers(0, plan.scenes))
    window = Window(0, first, data.draw(st.integers(first, plan.scenes)), 0, 0)
    table = scene_rows(timeline.index, plan, window.first, window.last)
    assert table.schema.equals(WINDOW_TABLE)
    rows = table.to_pylist()
    assert [(row["scene"], row["plan_sensor"], row["sweep"]) for row in rows] == [
        (scene, name, sweep)
        for scene in range(window.first, window.last)
        for name in plan.sensors
        for sweep in range(max(1, len(expected[scene][name].frames)))
    ]
    for row in rows:
        scene, cell = row["scene"], expected[row["scene"]][row["plan_sensor"]]
        assert row["anchor_ns"] == plan.anchors_ns[scene]
        assert row["missing"] == cell.missing
        check_frame(row, cell, plan.residuals_ns[scene, plan.sensors.index(row["plan_sensor"])], timeline)
        if plan.pose_valid[scene]:
            assert row["pose"] == plan.poses[scene].tolist()
            assert row["pose_keys"] == [frames[pose]["key"] for pose in plan.pose_frame_ids[scene].tolist()]
        else:
            assert (row["pose"], row["pose_keys"]) == (None, None)


def check_frame(row: oracle.Row, cell: oracle.Cell, residual_ns: int, timeline: Timeline) -> None:
    if not cell.frames:
        names = (*timeline.index.column_names, "offset_ns", "residual_ns", "frame_pose", "frame_pose_keys")
        assert {row[name] for name in names} == {None}
        return
    frame = cell.frames[row["sweep"]]
    assert {name: row[name] for name in frame} == frame
    assert (row["offset_ns"], row["residual_ns"]) == (frame["stamp_ns"] - row["anchor_ns"], residual_ns)
    around = oracle.brackets(timeline, frame["stamp_ns"])
    assert row["frame_pose_keys"] == (None if around is None else [sample["key"] for sample in around])
    if around is None:
        assert row["frame_pose"] is None
    else:
        assert row["frame_pose"][0] == pytest.approx((frame["stamp_ns"] - T0) / 1e9, abs=1e-12)
        assert row["frame_pose"][1:] == [0, 0, 1, 0, 0, 0]


@given(TIMELINES, st.lists(st.integers(0, 9), max_size=3), st.sampled_from((1, 2, 1024)))
def test_windows_cut_anywhere_are_the_rows_of_the_whole(timeline: Timeline, cuts: list[int], block: int) -> None:
    plan = timeline.plan()
    borders = sorted({0, plan.scenes, *(cut for cut in cuts if cut < plan.scenes)})
    windows = [Window(number, first, last, 0, 0) for number, (first, last) in enumerate(pairwise(borders))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenes.plan.window_table.BLOCK_SCENES", block)
        tables = {number: table for block in window_tables(timeline.index, plan, windows) for number, table in block.items()}
    assert list(tables) == [window.number for window in windows]
    for window, table in zip(windows, tables.values(), strict=True):
        assert table.equals(scene_rows(timeline.index, plan, window.first, window.last))
        stored = io.BytesIO()
        pq.write_table(table, stored)
        assert pq.read_table(stored).equals(table), "a slice is stored as what it shows"


@given(TIMELINES, st.randoms(use_true_random=False))
def test_the_order_in_which_objects_were_indexed_changes_nothing(timeline: Timeline, random: object) -> None:
    """The index is sorted before it is numbered, whichever object came first."""
    rows = [F(**{name: value for name, value in row.items() if name in F._fields}) for row in timeline.rows()]
    random.shuffle(rows)  # type: ignore[attr-defined]
    index = frame_index(rows)
    assert index.equals(timeline.index)
    again = plan_scenes(index, timeline.poses, timeline.rig, timeline.faulty)
    np.testing.assert_array_equal(again.frame_ids, timeline.plan().frame_ids)


@given(TIMELINES)
def test_the_size_of_a_scene_is_that_of_its_frames(timeline: Timeline) -> None:
    plan = timeline.plan()
    sizes = [row["message_bytes"] for row in timeline.rows()]
    expected = [sum(sizes[frame] for frame in scene if frame >= 0) for scene in plan.frame_ids.tolist()]
    assert scene_bytes(timeline.index, plan).tolist() == expected


def test_an_empty_drive_has_an_empty_plan() -> None:
    for matcher in ("nearest", "approximate_time"):
        rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera", sweeps=3), sensor("odo", "pose"), matcher=matcher)
        index = frame_index([])
        plan = plan_scenes(index, pose_table([]), rig, frozenset())
        assert (plan.scenes, plan.frame_ids.shape, plan.pose_frame_ids.shape) == (0, (0, 4), (0, 2))
        assert unmatched_reasons(index, plan, rig, frozenset()).tolist() == []
        assert scene_bytes(index, plan).tolist() == []
        assert list(window_tables(index, plan, [])) == []


def test_a_drive_without_anchors_has_no_scene_and_says_so_of_each_frame() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera"))
    index = frame_index([F("cam", T0), F("cam", T0 + MS), F("cam", T0 + MS, key="z.mcap")])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    assert plan.scenes == 0
    assert unmatched_reasons(index, plan, rig, frozenset()).tolist() == ["no_anchor", "no_anchor", "duplicate_stamp"]


def test_a_frame_that_an_exclusive_anchor_kept_and_did_not_use_says_so() -> None:
    """Anchors at 0 and 10: the frame at 6 is the nearest to 0 but nearer to 10, which has one at 9."""
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera", tolerance_ns=20 * MS), frame_use="exclusive")
    frames = [F("top", T0 + step * MS, "lidar") for step in (0, 10)] + [F("cam", T0 + step * MS) for step in (6, 9, 14)]
    index = frame_index(frames)
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    assert matched_frame_ids(plan, plan.sensors.index("cam")).tolist() == [-1, 1]
    assert MISSING[MatchReason(plan.reasons[0, 1])] == "frame_of_nearer_anchor"
    reasons = unmatched_reasons(index, plan, rig, frozenset()).tolist()
    assert (reasons[0], reasons[2]) == ("kept_by_nearer_anchor", "not_nearest")


def test_ros_sets_end_where_a_sensor_dies_and_nearest_goes_on() -> None:
    frames = [F("top", T0 + n * 100 * MS, "lidar") for n in range(9)] + [F("cam", T0 + n * 100 * MS) for n in range(4)]
    index = frame_index(frames)
    scenes = {}
    for matcher in ("nearest", "approximate_time"):
        rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera"), sensor("radar", "radar"), matcher=matcher)
        plan = plan_scenes(index, pose_table([]), rig, frozenset())
        scenes[matcher] = plan.scenes
        assert {MISSING[MatchReason(code)] for code in plan.reasons[:, 2]} == {"no_frames"}, "a sensor without frames is no topic"
    assert scenes == {"nearest": 9, "approximate_time": 4}


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


def test_an_index_that_is_not_sorted_by_sensor_is_refused() -> None:
    index = frame_index([F("cam", T0), F("top", T0, "lidar"), F("cam", T0 + MS)])
    torn = pa.concat_tables([index.slice(0, 1), index.slice(2, 1), index.slice(1, 1)])
    with pytest.raises(WorkAreaError, match="2 sensors in 3 pieces"):
        DriveFrames.of(torn, frozenset())


def test_of_equal_stamps_the_first_sound_frame_counts() -> None:
    frames = [F("cam", T0, key=key, chunk_offset=offset) for key, offset in (("b", 9), ("a", 7), ("a", 3), ("0", 1))]
    index = frame_index(frames)
    usable = DriveFrames.of(index, {"0"}).usable("cam")
    assert index["key"].to_pylist()[int(usable.frame_ids[0])] == "a"
    assert index["chunk_offset"].to_pylist()[int(usable.frame_ids[0])] == 3
    assert usable.stamps_ns.tolist() == [T0]
    assert DriveFrames.of(index, {"0", "a", "b"}).usable("cam").frame_ids.tolist() == []
    assert DriveFrames.of(index, {"0"}).usable("top").frame_ids.tolist() == []


def test_stamps_keep_their_nanoseconds() -> None:
    rig = make_rig(sensor("top", "lidar"), sensor("cam", "camera", delay_ns=1, tolerance_ns=1))
    index = frame_index([F("top", T0, "lidar"), F("cam", T0), F("cam", T0 + 2), F("cam", T0 + 3)])
    plan = plan_scenes(index, pose_table([]), rig, frozenset())
    column = plan.sensors.index("cam")
    assert (plan.offsets_ns[0, column], plan.residuals_ns[0, column]) == (0, -1), "a tie goes to the earlier frame"
    assert plan.frame_ids.dtype == plan.offsets_ns.dtype == np.int64
