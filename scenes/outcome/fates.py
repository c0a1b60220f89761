"""Where every frame of a drive went: gold, quarantined or unmatched, each of the latter two with its reason."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.drive_input import DriveInput
from lake.tables.schemas import FRAMES, GOLD, QUARANTINED, UNMATCHED
from quality.rules.catalogue import Severity
from scenes.build.window_build import DAY_ZERO, DriveContext
from scenes.outcome.unmatched import unmatched_reasons
from scenes.plan.drive_frames import in_objects
from scenes.plan.plan import ScenePlan
from sensors.time_units import NS_PER_DAY

Report = Mapping[str, Any]
FAULTY_OBJECT = "object_quarantined"
IN_QUARANTINED_SCENE = "scene_quarantined"


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a drive's windows: its scenes in plan order, its bad and its released frames by id, and the files that
    hold them."""

    scenes: Sequence[Report]
    bad_frames: Sequence[Report]
    gold_files: Sequence[Report]
    quarantined_files: Sequence[Report]
    released_frames: Sequence[Report] = ()

    @classmethod
    def of(cls, windows: Sequence[Report]) -> Built:
        """Put the reports of all windows together; a bad frame that scenes of two windows asked for is one bad frame."""
        bad_frames = {frame["frame_id"]: frame for window in windows for frame in window["bad_frames"]}
        released = {frame["frame_id"]: frame for window in windows for frame in window["released_frames"]}
        return cls(
            scenes=[scene for window in windows for scene in window["scenes"]],
            bad_frames=[bad_frames[frame_id] for frame_id in sorted(bad_frames)],
            released_frames=[released[frame_id] for frame_id in sorted(released)],
            gold_files=[window["gold"] for window in windows if window["gold"]],
            quarantined_files=[window["quarantined"] for window in windows if window["quarantined"]],
        )


def frames_of_built_drive(
    index: pa.Table, plan: ScenePlan, context: DriveContext, built: Built, faulty_keys: frozenset[str]
) -> pa.Table:
    """Rows of `lake.tables.schemas.FRAMES` for a drive whose scenes were built.

    Each frame has one fate, by the first of these that holds: its object is quarantined; it is in a gold scene, as the matched
    frame or as an earlier sweep (or, a pose sample, brackets the anchor or a frame of one, or moved points of one); it does not
    decode; it is only in quarantined scenes; it is unmatched.
    """
    fates = np.full(len(index), UNMATCHED, dtype=object)
    reasons = unmatched_reasons(index, plan, context.rig, faulty_keys)
    in_scenes = np.zeros(len(index), dtype=np.int32)
    _mark_scenes(fates, reasons, in_scenes, built)
    for frame in built.bad_frames:
        fates[frame["frame_id"]] = QUARANTINED
        reasons[frame["frame_id"]] = _decisive(frame["findings"])
    _mark_poses(fates, index["stamp_ns"].to_numpy()[in_scenes > 0], plan, built)
    faulty = in_objects(index, faulty_keys)
    fates[faulty], reasons[faulty] = QUARANTINED, FAULTY_OBJECT
    reasons[fates == GOLD] = None
    return _rows(index, context.drive.vehicle_id, context.drive.drive_id, context.revision, fates, reasons, in_scenes)


def frames_of_quarantined_drive(index: pa.Table, drive_input: DriveInput, faulty_keys: frozenset[str], reason: str) -> pa.Table:
    """Rows of `lake.tables.schemas.FRAMES` for a drive that is quarantined as a whole; `reason` is the rule that did it."""
    reasons = np.full(len(index), reason, dtype=object)
    reasons[in_objects(index, faulty_keys)] = FAULTY_OBJECT
    fates = np.full(len(index), QUARANTINED, dtype=object)
    drive = drive_input.drive
    return _rows(
        index, drive.vehicle_id, drive.drive_id, drive_input.revision, fates, reasons, np.zeros(len(index), dtype=np.int32)
    )


def _mark_scenes(
    fates: npt.NDArray[np.object_], reasons: npt.NDArray[np.object_], in_scenes: npt.NDArray[np.int32], built: Built
) -> None:
    for scene in built.scenes:
        if scene["quarantined"]:
            fates[scene["frame_ids"]], reasons[scene["frame_ids"]] = QUARANTINED, IN_QUARANTINED_SCENE
    for scene in built.scenes:
        if not scene["quarantined"]:
            fates[scene["frame_ids"]] = GOLD
            in_scenes[scene["frame_ids"]] += 1  # a scene holds a frame once


def _mark_poses(fates: npt.NDArray[np.object_], stamps_ns: npt.NDArray[np.int64], plan: ScenePlan, built: Built) -> None:
    """A pose sample is in gold if a pose in a gold scene is made of it, or if it moved points of one.

    The former bracket the anchor or a frame. `stamps_ns`: of the frames in gold scenes; an anchor whose own frame did not
    decode is none of them.
    """
    gold = [scene for scene in built.scenes if not scene["quarantined"]]
    for brackets in (plan.pose_frame_ids[[scene["scene"] for scene in gold]], plan.track.at(stamps_ns).frame_ids):
        fates[brackets[brackets >= 0]] = GOLD
    samples = plan.track.frames
    used_ns = np.array([span for scene in gold for span in scene["poses_used_ns"]], dtype=np.int64).reshape(-1, 2)
    begins = np.searchsorted(samples.stamps_ns, used_ns[:, 0], side="left")
    ends = np.searchsorted(samples.stamps_ns, used_ns[:, 1], side="right")
    steps = np.zeros(len(samples.stamps_ns) + 1, dtype=np.int64)
    np.add.at(steps, begins, 1)
    np.add.at(steps, ends, -1)
    fates[samples.frame_ids[np.cumsum(steps)[:-1] > 0]] = GOLD


def _decisive(findings: Sequence[Report]) -> str:
    errors: list[str] = [found["rule_id"] for found in findings if found["severity"] == Severity.ERROR.value]
    return errors[0]


def _rows(
    index: pa.Table,
    vehicle_id: str,
    drive_id: str,
    revision: str,
    fates: npt.NDArray[np.object_],
    reasons: npt.NDArray[np.object_],
    in_scenes: npt.NDArray[np.int32],
) -> pa.Table:
    count = len(index)
    first_ns = int(index["stamp_ns"].to_numpy().min()) if count else 0
    day = DAY_ZERO + datetime.timedelta(days=first_ns // NS_PER_DAY)
    columns: dict[str, Any] = {
        "vehicle_id": [vehicle_id] * count,
        "drive_id": [drive_id] * count,
        "revision": [revision] * count,
        "day": [day] * count,
        "fate": fates.tolist(),
        "reason": reasons.tolist(),
        "scenes": in_scenes,
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else index[field.name].combine_chunks()
        for field in FRAMES
    ]
    return pa.Table.from_arrays(arrays, schema=FRAMES)
