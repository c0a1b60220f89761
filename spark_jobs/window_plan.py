"""One window of a match plan as rows: what a worker needs to build its scenes, by reference."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lake.tables import FRAME_INDEX
from spark_jobs.plan import ScenePlan
from spark_jobs.windows import Window

_MATCH_FIELDS = [
    pa.field("scene", pa.int64(), nullable=False),  # row of the plan
    pa.field("anchor_ns", pa.int64(), nullable=False),
    pa.field("offset_ns", pa.int64()),
    pa.field("residual_ns", pa.int64()),
    pa.field("plan_sensor", pa.string(), nullable=False),
    pa.field("sweep", pa.int32(), nullable=False),  # 0: the matched frame; k: the k-th frame of the sensor before it
    pa.field("frame_pose", pa.list_(pa.float64(), 7)),  # odom_SE3_ego at the frame's stamp; null where not bracketed
    pa.field("missing", pa.string()),  # reason; null where the sensor has a frame
    pa.field("pose", pa.list_(pa.float64(), 7)),  # null where not bracketed; the same in all rows of a scene
    pa.field("pose_keys", pa.list_(pa.string(), 2)),  # objects of the two samples that the pose is made of
]
_FRAME_FIELDS = [field.with_nullable(True) for field in FRAME_INDEX]
WINDOW_PLAN = pa.schema(_MATCH_FIELDS + _FRAME_FIELDS)


def scene_bytes(index: pa.Table, plan: ScenePlan) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Payload bytes of each scene, (S,) int64."""
    sizes = np.append(index["message_bytes"].to_numpy(), 0)  # the last entry serves frame id -1
    return np.asarray(sizes[plan.frame_ids].sum(axis=1), dtype=np.int64)


def window_rows(index: pa.Table, plan: ScenePlan, window: Window) -> pa.Table:
    """The plan of one window: one row for each (scene, sensor), scenes in order, sensors as in the rig."""
    scenes = np.repeat(np.arange(window.first, window.last), len(plan.sensors))
    columns = np.tile(np.arange(len(plan.sensors)), window.last - window.first)
    frame_ids = plan.frame_ids[scenes, columns]
    matched = frame_ids >= 0
    reasons = pa.array([plan.reason(column) for column in range(len(plan.sensors))], pa.string())
    arrays = {
        "scene": pa.array(scenes),
        "anchor_ns": pa.array(plan.anchors_ns[scenes]),
        "offset_ns": pa.array(plan.offsets_ns[scenes, columns], mask=~matched),
        "residual_ns": pa.array(plan.residuals_ns[scenes, columns], mask=~matched),
        "plan_sensor": pa.array(plan.sensors, pa.string()).take(pa.array(columns)),
        "sweep": pa.array(np.zeros(len(scenes), dtype=np.int32)),
        "frame_pose": pa.nulls(len(scenes), pa.list_(pa.float64(), 7)),
        "missing": reasons.take(pa.array(columns, mask=matched)),
        **_poses(index, plan, scenes),
    }
    frames = index.take(pa.array(frame_ids, mask=~matched))
    for field in _FRAME_FIELDS:
        arrays[field.name] = frames[field.name].combine_chunks()
    return pa.Table.from_pydict(arrays, schema=WINDOW_PLAN)


def _poses(index: pa.Table, plan: ScenePlan, scenes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, pa.Array]:
    absent = ~plan.pose_valid[scenes]
    poses = pa.array(plan.poses[scenes].ravel(), pa.float64())
    keys = index["key"].take(pa.array(plan.pose_frame_ids[scenes].ravel(), mask=np.repeat(absent, 2))).combine_chunks()
    null = pa.array(absent)
    return {
        "pose": pa.FixedSizeListArray.from_arrays(poses, 7, mask=null),
        "pose_keys": pa.FixedSizeListArray.from_arrays(keys, 2, mask=null),
    }
