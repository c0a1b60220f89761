"""The match plan as two Arrow files: `build_scenes` computes and writes it once, and the audit reads it back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from scenes.errors import DocumentError
from scenes.plan.drive_frames import UsableFrames
from scenes.plan.plan import ScenePlan, Slot
from scenes.plan.pose_track import POSE_VALUES, PoseTrack
from scenes.work_area import PLAN, TRACK, WorkArea

VERSION = 1
_HEAD = b"scenelake"


def plan_tables(plan: ScenePlan) -> dict[str, pa.Table]:
    """The plan (a row for each scene) and its track (a row for each pose sample), by their names in the work area."""
    scenes = pa.table(
        {
            "anchor_ns": pa.array(plan.anchors_ns),
            "pose": _lists(plan.poses),
            "pose_valid": pa.array(plan.pose_valid),
            "pose_frame_ids": _lists(plan.pose_frame_ids),
            "frame_ids": _lists(plan.frame_ids),
            "offsets_ns": _lists(plan.offsets_ns),
            "residuals_ns": _lists(plan.residuals_ns),
            "reasons": _lists(plan.reasons),
        }
    )
    track = plan.track
    samples = {name: pa.array(track.samples[:, column]) for column, name in enumerate(POSE_VALUES)}
    poses = pa.table({"frame_id": pa.array(track.frames.frame_ids), "stamp_ns": pa.array(track.frames.stamps_ns), **samples})
    head = {"anchor_sensor": plan.anchor_sensor, "sensors": plan.sensors, "slots": plan.slots}
    return {PLAN: _with_head(scenes, head), TRACK: _with_head(poses, {"bracket_ns": track.bracket_ns})}


def read_plan(area: WorkArea) -> ScenePlan:
    """Read what `plan_tables` made.

    Raises:
        WorkAreaError: It is missing.
        DocumentError: It is of another version.
    """
    scenes, poses = area.read_tables([PLAN, TRACK])
    head, of_track = _head(scenes, area.at(PLAN).uri), _head(poses, area.at(TRACK).uri)
    samples = np.stack([poses[name].to_numpy() for name in POSE_VALUES], axis=1)
    frames = UsableFrames(poses["frame_id"].to_numpy(), poses["stamp_ns"].to_numpy())
    return ScenePlan(
        anchor_sensor=head["anchor_sensor"],
        sensors=tuple(head["sensors"]),
        slots=tuple(Slot(*slot) for slot in head["slots"]),
        anchors_ns=scenes["anchor_ns"].to_numpy(),
        frame_ids=_matrix(scenes["frame_ids"]),
        offsets_ns=_matrix(scenes["offsets_ns"]),
        residuals_ns=_matrix(scenes["residuals_ns"]),
        reasons=_matrix(scenes["reasons"]),
        poses=_matrix(scenes["pose"]),
        pose_valid=scenes["pose_valid"].to_numpy(zero_copy_only=False),
        pose_frame_ids=_matrix(scenes["pose_frame_ids"]),
        track=PoseTrack(frames, samples, of_track["bracket_ns"]),
    )


def _lists(values: np.ndarray[Any, Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _matrix(column: pa.ChunkedArray) -> Any:
    array = column.combine_chunks()
    return array.flatten().to_numpy().reshape(len(array), array.type.list_size)


def _with_head(table: pa.Table, head: dict[str, Any]) -> pa.Table:
    return table.replace_schema_metadata({_HEAD: json.dumps({"version": VERSION, **head})})


def _head(table: pa.Table, place: str) -> dict[str, Any]:
    head: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_HEAD, b"{}"))
    if head.get("version") != VERSION:
        found = "without a version" if "version" not in head else f"of version {head['version']}"
        raise DocumentError(f"{place} is a match plan {found}; this code reads version {VERSION}")
    return head
