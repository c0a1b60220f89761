"""One window of a match plan as rows: what a worker needs to build its scenes, by reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from lake.tables.schemas import FRAME_INDEX
from scenes.plan.drive_frames import Bools, Ints
from scenes.plan.plan import MISSING, ScenePlan
from scenes.plan.pose_track import NO_SAMPLE, Floats
from scenes.plan.windows import Window

BLOCK_SCENES = 1024
_POSE = pa.list_(pa.float64(), 7)
_KEYS = pa.list_(pa.string(), 2)
_MATCH_FIELDS = [
    pa.field("scene", pa.int64(), nullable=False),  # row of the plan
    pa.field("anchor_ns", pa.int64(), nullable=False),
    pa.field("offset_ns", pa.int64()),  # of this frame
    pa.field("residual_ns", pa.int64()),  # of the matched frame, also on its earlier sweeps
    pa.field("plan_sensor", pa.string(), nullable=False),
    pa.field("sweep", pa.int32(), nullable=False),  # 0: the matched frame; k: the k-th frame of the sensor before it
    pa.field("frame_pose", _POSE),  # odom_SE3_ego at the frame's stamp; null where not bracketed
    pa.field("frame_pose_keys", _KEYS),  # objects of the two samples that frame_pose is made of
    pa.field("missing", pa.string()),  # reason; null where the sensor has a frame
    pa.field("pose", _POSE),  # at the anchor; null where not bracketed; the same in all rows of a scene
    pa.field("pose_keys", _KEYS),  # objects of the two samples that the pose is made of
]
_FRAME_FIELDS = [field.with_nullable(True) for field in FRAME_INDEX]
WINDOW_PLAN = pa.schema(_MATCH_FIELDS + _FRAME_FIELDS)


def scene_bytes(index: pa.Table, plan: ScenePlan) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Payload bytes of each scene, (S,) int64."""
    sizes = np.append(index["message_bytes"].to_numpy(), 0)  # the last entry serves frame id -1
    total = np.zeros(plan.scenes, dtype=np.int64)
    for slot in range(len(plan.slots)):
        total += sizes[plan.frame_ids[:, slot]]
    return total


def window_tables(index: pa.Table, plan: ScenePlan, windows: Sequence[Window]) -> Iterator[dict[int, pa.Table]]:
    """The plan of each window by its number, some windows at a time; consecutive ones as they come from `cut`.

    Rows are made for many windows together and then cut: a window holds a few hundred rows, too few to be worth the calls.
    """
    block: list[Window] = []
    for window in windows:
        if block and window.last - block[0].first > BLOCK_SCENES:
            yield _tables(index, plan, block)
            block = []
        block.append(window)
    if block:
        yield _tables(index, plan, block)


def _tables(index: pa.Table, plan: ScenePlan, block: Sequence[Window]) -> dict[int, pa.Table]:
    rows = scene_rows(index, plan, block[0].first, block[-1].last)
    edges = np.searchsorted(rows["scene"].to_numpy(), [block[0].first, *(window.last for window in block)]).tolist()
    return {window.number: rows.slice(first, end - first) for window, (first, end) in zip(block, pairwise(edges), strict=True)}


def scene_rows(index: pa.Table, plan: ScenePlan, first: int, last: int) -> pa.Table:
    """The plan of the scenes [first, last): scenes in order, in each the slots of the plan.

    A row for every sensor with sweep 0, whether it has a frame or not; further rows for the earlier sweeps that exist.
    """
    every_id = plan.frame_ids[first:last]
    sweeps = np.array([slot.sweep for slot in plan.slots], dtype=np.int32)
    within, slots = np.nonzero((every_id >= 0) | (sweeps == 0))
    scenes = within + first
    frame_ids = every_id[within, slots]
    columns = np.array([slot.column for slot in plan.slots], dtype=np.int64)[slots]
    there = frame_ids >= 0
    reasons = plan.reasons[scenes, columns]
    frames = index.take(pa.array(frame_ids, mask=~there))
    anchors_ns = plan.anchors_ns[scenes]
    stamps_ns = frames["stamp_ns"].combine_chunks().fill_null(0).to_numpy()
    words = pa.array([None, *MISSING.values()], pa.string())  # in the order of `sensors.match.nearest.Reason`
    arrays: dict[str, Any] = {
        "scene": pa.array(scenes),
        "anchor_ns": pa.array(anchors_ns),
        "offset_ns": pa.array(stamps_ns - anchors_ns, mask=~there),
        "residual_ns": pa.array(plan.residuals_ns[scenes, columns], mask=~there),
        "plan_sensor": pa.array(plan.sensors, pa.string()).take(pa.array(columns)),
        "sweep": pa.array(sweeps[slots]),
        "missing": words.take(pa.array(reasons)),
        **_anchor_poses(index, plan, scenes),
        **_frame_poses(index, plan, frame_ids, stamps_ns, slots),
    }
    for field in _FRAME_FIELDS:
        arrays[field.name] = frames[field.name].combine_chunks()
    return pa.Table.from_pydict(arrays, schema=WINDOW_PLAN)


def _anchor_poses(index: pa.Table, plan: ScenePlan, scenes: Ints) -> dict[str, pa.Array]:
    valid = plan.pose_valid[scenes]
    return {"pose": _pose_array(plan.poses[scenes], valid), "pose_keys": _key_array(index, plan.pose_frame_ids[scenes])}


def _frame_poses(index: pa.Table, plan: ScenePlan, frame_ids: Ints, stamps_ns: Ints, slots: Ints) -> dict[str, pa.Array]:
    """A frame that several scenes hold has one pose: in a slot its rows are neighbours, so it is computed once a run."""
    there = np.flatnonzero(frame_ids >= 0)
    order = there[np.argsort(slots[there], kind="stable")]
    by_slot = frame_ids[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = by_slot[1:] != by_slot[:-1]
    found = plan.track.at(stamps_ns[order][begins])
    run = np.full(len(frame_ids), len(found.valid), dtype=np.int64)  # the last entry serves rows without a frame
    run[order] = np.cumsum(begins) - 1
    poses = np.concatenate([found.poses, np.zeros((1, 7))])[run]
    samples = np.concatenate([found.frame_ids, np.full((1, 2), NO_SAMPLE)])[run]
    return {"frame_pose": _pose_array(poses, samples[:, 0] >= 0), "frame_pose_keys": _key_array(index, samples)}


def _pose_array(poses: Floats, valid: Bools) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(poses.ravel(), pa.float64()), 7, mask=pa.array(~valid))


def _key_array(index: pa.Table, samples: Ints) -> pa.Array:
    absent = samples < 0
    keys = index["key"].take(pa.array(samples.ravel(), mask=absent.ravel())).combine_chunks()
    return pa.FixedSizeListArray.from_arrays(keys, 2, mask=pa.array(absent[:, 0]))
