"""One window of a match plan as a table, and its rows as a worker reads them: everything needed to build the scenes.

Payload is referenced by its location in S3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lake.tables.schemas import FRAME_INDEX
from scenes.plan.drive_frames import Bools, Ints
from scenes.plan.match_plan import MISSING, ScenePlan
from scenes.plan.pose_track import NO_SAMPLE, Floats
from scenes.plan.windows import Window
from sensors.match.nearest import MatchReason

BLOCK_SCENES = 1024
ABSENT = -1
_MISSING_WORDS = pa.array([MISSING.get(MatchReason(code)) for code in range(len(MatchReason))], pa.string())
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
WINDOW_TABLE = pa.schema(_MATCH_FIELDS + _FRAME_FIELDS)
Pose = tuple[float, float, float, float, float, float, float]


def scene_bytes(index: pa.Table, plan: ScenePlan) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Payload bytes of each scene, (S,) int64."""
    sizes = np.append(index["message_bytes"].to_numpy(), 0)  # the last entry serves frame id -1
    total = np.zeros(plan.scenes, dtype=np.int64)
    for slot in range(len(plan.slots)):
        total += sizes[plan.frame_ids[:, slot]]
    return total


def window_tables(index: pa.Table, plan: ScenePlan, windows: Sequence[Window]) -> Iterator[dict[int, pa.Table]]:
    """The plan of each window by its number, some windows at a time; consecutive ones as they come from `cut`.

    Rows are made for many windows together and then sliced: the few hundred rows of one window are not worth separate calls.
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
    arrays: dict[str, Any] = {
        "scene": pa.array(scenes),
        "anchor_ns": pa.array(anchors_ns),
        "offset_ns": pa.array(stamps_ns - anchors_ns, mask=~there),
        "residual_ns": pa.array(plan.residuals_ns[scenes, columns], mask=~there),
        "plan_sensor": pa.array(plan.sensors, pa.string()).take(pa.array(columns)),
        "sweep": pa.array(sweeps[slots]),
        "missing": _MISSING_WORDS.take(pa.array(reasons)),
        **_anchor_poses(index, plan, scenes),
        **_frame_poses(index, plan, frame_ids, stamps_ns, slots),
    }
    for field in _FRAME_FIELDS:
        arrays[field.name] = frames[field.name].combine_chunks()
    return pa.Table.from_pydict(arrays, schema=WINDOW_TABLE)


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


class FrameRef(NamedTuple):
    """A row of `lake.tables.schemas.FRAME_INDEX`, as far as reading the frame needs it."""

    frame_id: int
    sensor: str
    modality: str
    stamp_ns: int
    message_type: str
    key: str
    chunk_offset: int
    chunk_bytes: int
    compression: str
    chunk_raw_bytes: int
    message_offset: int
    message_bytes: int


class PlanRow(NamedTuple):
    """One cell of the plan: a sensor's frame in a scene, or, where `frame` is None, why there is none (`missing`).

    Poses are odom_SE3_ego, x y z m, qw qx qy qz; None where no samples bracket the instant.
    """

    scene: int
    anchor_ns: int
    sensor: str
    sweep: int
    offset_ns: int
    residual_ns: int
    missing: str | None
    pose: Pose | None
    pose_keys: tuple[str, str] | None
    frame_pose: Pose | None
    frame_pose_keys: tuple[str, str] | None
    frame: FrameRef | None


def plan_rows(table: pa.Table) -> list[PlanRow]:
    """The rows of a table of schema `WINDOW_TABLE`, in its order."""
    frames = [
        frame if frame.frame_id != ABSENT else None
        for frame in map(FrameRef._make, zip(*(_values(table[name]) for name in FrameRef._fields), strict=True))
    ]
    cells = zip(
        *(_values(table[name]) for name in ("scene", "anchor_ns", "plan_sensor", "sweep", "offset_ns", "residual_ns", "missing")),
        *_read_anchor_poses(table),
        _read_poses(table["frame_pose"]),
        _read_keys(table["frame_pose_keys"]),
        frames,
        strict=True,
    )
    return list(map(PlanRow._make, cells))


def _read_anchor_poses(table: pa.Table) -> tuple[list[Pose | None], list[tuple[str, str] | None]]:
    """`pose` and `pose_keys`, which all rows of a scene share: made once a scene."""
    scenes = table["scene"].to_numpy()
    first = np.flatnonzero(np.diff(scenes, prepend=scenes[:1] - 1))
    counts = np.diff(np.append(first, len(scenes))).tolist()
    found = table.select(["pose", "pose_keys"]).take(pa.array(first))
    poses = [pose for pose, count in zip(_read_poses(found["pose"]), counts, strict=True) for _ in range(count)]
    return poses, [keys for keys, count in zip(_read_keys(found["pose_keys"]), counts, strict=True) for _ in range(count)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values; an absent integer is -1, an absent string None. Many times faster than `to_pylist`."""
    array = column.combine_chunks()
    if pa.types.is_integer(array.type):
        values: list[Any] = array.fill_null(ABSENT).to_numpy(zero_copy_only=False).tolist()
        return values
    coded = array.dictionary_encode()
    words = [*coded.dictionary.to_pylist(), None]
    return [words[code] for code in coded.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).tolist()]


def _read_poses(column: pa.ChunkedArray) -> list[Pose | None]:
    array = column.combine_chunks()
    numbers = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, 7).tolist()
    return _spread(array, [tuple(pose) for pose in numbers])


def _read_keys(column: pa.ChunkedArray) -> list[tuple[str, str] | None]:
    array = column.combine_chunks()
    words = _values(pa.chunked_array([array.flatten()]))
    return _spread(array, list(zip(words[::2], words[1::2], strict=True)))


def _spread(array: pa.Array, present: list[Any]) -> list[Any]:
    """`present` holds a value for each valid slot; None for the others."""
    valid = np.asarray(array.is_valid())
    place = np.where(valid, np.cumsum(valid) - 1, ABSENT).tolist()
    padded = [*present, None]
    return [padded[at] for at in place]
