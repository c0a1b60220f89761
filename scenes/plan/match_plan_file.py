"""The match plan as two Arrow files: `build_scenes` computes and writes it once, and the audit reads it back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from scenes.documents import AnyDocument, Document, decode, encode
from scenes.plan.drive_frames import UsableFrames
from scenes.plan.match_plan import ScenePlan, Slot
from scenes.plan.pose_track import POSE_VALUES, PoseTrack
from scenes.work_area import PLAN, TRACK, WorkArea

_HEAD = b"scenelake"


class PlanHead(Document, frozen=True, kw_only=True):
    """Metadata in the plan's schema; `slots` in the order of the columns of `frame_ids`."""

    anchor_sensor: str
    sensors: tuple[str, ...]
    slots: tuple[Slot, ...]


class TrackHead(Document, frozen=True, kw_only=True):
    """Metadata in the schema of the poses."""

    bracket_ns: int


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
    head = PlanHead(anchor_sensor=plan.anchor_sensor, sensors=tuple(plan.sensors), slots=tuple(plan.slots))
    return {PLAN: _with_head(scenes, head), TRACK: _with_head(poses, TrackHead(bracket_ns=track.bracket_ns))}


def read_plan(area: WorkArea) -> ScenePlan:
    """Read the plan that `plan_tables` made.

    Raises:
        WorkAreaError: It is missing.
        DocumentError: It is of another version, or its head is damaged.
    """
    scenes, poses = area.read_tables([PLAN, TRACK])
    head, of_track = _head(scenes, PlanHead, area.at(PLAN).uri), _head(poses, TrackHead, area.at(TRACK).uri)
    samples = np.stack([poses[name].to_numpy() for name in POSE_VALUES], axis=1)
    frames = UsableFrames(poses["frame_id"].to_numpy(), poses["stamp_ns"].to_numpy())
    return ScenePlan(
        anchor_sensor=head.anchor_sensor,
        sensors=head.sensors,
        slots=head.slots,
        anchors_ns=scenes["anchor_ns"].to_numpy(),
        frame_ids=_matrix(scenes["frame_ids"]),
        offsets_ns=_matrix(scenes["offsets_ns"]),
        residuals_ns=_matrix(scenes["residuals_ns"]),
        reasons=_matrix(scenes["reasons"]),
        poses=_matrix(scenes["pose"]),
        pose_valid=scenes["pose_valid"].to_numpy(zero_copy_only=False),
        pose_frame_ids=_matrix(scenes["pose_frame_ids"]),
        track=PoseTrack(frames, samples, of_track.bracket_ns),
    )


def _lists(values: np.ndarray[Any, Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _matrix(column: pa.ChunkedArray) -> Any:
    array = column.combine_chunks()
    return array.flatten().to_numpy().reshape(len(array), array.type.list_size)


def _with_head(table: pa.Table, head: Document) -> pa.Table:
    return table.replace_schema_metadata({_HEAD: encode(head)})


def _head(table: pa.Table, kind: type[AnyDocument], place: str) -> AnyDocument:
    return decode((table.schema.metadata or {}).get(_HEAD, b"{}"), kind, place)
