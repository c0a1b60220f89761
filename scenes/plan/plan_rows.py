"""A window's plan as a worker reads it: one value for each planned cell, with the frame's place in S3."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

Pose = tuple[float, float, float, float, float, float, float]
ABSENT = -1


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
    """The rows of a table of schema `WINDOW_PLAN`, in its order."""
    frames = [
        frame if frame.frame_id != ABSENT else None
        for frame in map(FrameRef._make, zip(*(_values(table[name]) for name in FrameRef._fields), strict=True))
    ]
    cells = zip(
        *(_values(table[name]) for name in ("scene", "anchor_ns", "plan_sensor", "sweep", "offset_ns", "residual_ns", "missing")),
        *_anchor_poses(table),
        _poses(table["frame_pose"]),
        _keys(table["frame_pose_keys"]),
        frames,
        strict=True,
    )
    return list(map(PlanRow._make, cells))


def _anchor_poses(table: pa.Table) -> tuple[list[Pose | None], list[tuple[str, str] | None]]:
    """`pose` and `pose_keys`, which all rows of a scene share: made once a scene."""
    scenes = table["scene"].to_numpy()
    first = np.flatnonzero(np.diff(scenes, prepend=scenes[:1] - 1))
    counts = np.diff(np.append(first, len(scenes))).tolist()
    found = table.select(["pose", "pose_keys"]).take(pa.array(first))
    poses = [pose for pose, count in zip(_poses(found["pose"]), counts, strict=True) for _ in range(count)]
    return poses, [keys for keys, count in zip(_keys(found["pose_keys"]), counts, strict=True) for _ in range(count)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values; an absent integer is -1, an absent string None. Many times faster than `to_pylist`."""
    array = column.combine_chunks()
    if pa.types.is_integer(array.type):
        values: list[Any] = array.fill_null(ABSENT).to_numpy(zero_copy_only=False).tolist()
        return values
    coded = array.dictionary_encode()
    words = [*coded.dictionary.to_pylist(), None]
    return [words[code] for code in coded.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).tolist()]


def _poses(column: pa.ChunkedArray) -> list[Pose | None]:
    array = column.combine_chunks()
    numbers = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, 7).tolist()
    return _spread(array, [tuple(pose) for pose in numbers])


def _keys(column: pa.ChunkedArray) -> list[tuple[str, str] | None]:
    array = column.combine_chunks()
    words = _values(pa.chunked_array([array.flatten()]))
    return _spread(array, list(zip(words[::2], words[1::2], strict=True)))


def _spread(array: pa.Array, present: list[Any]) -> list[Any]:
    """`present` holds a value for each valid slot; None for the others."""
    valid = np.asarray(array.is_valid())
    place = np.where(valid, np.cumsum(valid) - 1, ABSENT).tolist()
    padded = [*present, None]
    return [padded[at] for at in place]
