"""The fate of every frame of a drive: gold, quarantined or unmatched, the latter two with a reason."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.landing import DriveId
from lake.tables.schemas import FRAMES, GOLD, QUARANTINED, UNMATCHED
from quality.evaluators.frame import undecodable
from quality.rules.catalogue import Severity
from quality.rules.findings import Finding
from scenes.documents import DataFile, FrameReport, SceneReport, WindowReport, merged
from scenes.left_out import NOTHING, LeftOut, Why
from scenes.outcome.unmatched import unmatched_reasons
from scenes.plan.drive_frames import in_objects, readable
from scenes.plan.match_plan import ScenePlan
from scenes.plan.window_table import FrameRef
from scenes.plan.windows import DAY_ZERO
from sensors.rig import Rig
from sensors.time_units import NS_PER_DAY

FAULTY_OBJECT = "object_quarantined"
IN_QUARANTINED_SCENE = "scene_quarantined"
OFF_LINE_RULE = "CLK011"


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a drive's windows: its scenes in plan order, its quarantined and its released frames by id, and the files
    that hold them."""

    scenes: Sequence[SceneReport]
    quarantined_frames: Sequence[FrameReport]
    released_frames: Sequence[FrameReport]
    gold_files: Sequence[DataFile]

    @classmethod
    def of(cls, windows: Sequence[WindowReport]) -> Self:
        """Merge the reports of all windows; a frame used by scenes of two windows counts once."""
        return cls(
            scenes=[scene for window in windows for scene in window.scenes],
            quarantined_frames=merged(frame for window in windows for frame in window.quarantined_frames),
            released_frames=merged(frame for window in windows for frame in window.released_frames),
            gold_files=[window.gold for window in windows if window.gold is not None],
        )


@dataclass(frozen=True, slots=True)
class IndexedDrive:
    """The frames of one drive revision: its frame index, the keys of its quarantined objects, and the frames that no scene holds
    because of their stamps."""

    drive: DriveId
    revision: str
    index: pa.Table
    faulty_keys: frozenset[str]
    left_out: LeftOut = NOTHING

    def frames_built(self, plan: ScenePlan, rig: Rig, built: Built) -> pa.Table:
        """Rows of `lake.tables.schemas.FRAMES` for a drive whose scenes were built.

        Each frame has one fate, by the first of these that holds: its object is quarantined; it cannot be read, and so was never
        matched, although a reviewer released its object; its stamp is off the time line; it is in a gold scene, as the matched
        frame or as an earlier sweep (or, a pose sample, brackets the anchor or a frame of one, or moved points of one);
        it is quarantined itself; it is only in quarantined scenes; it is unmatched.
        """
        fates = np.full(len(self.index), UNMATCHED, dtype=object)
        reasons = unmatched_reasons(self.index, plan, rig, self.faulty_keys, self.left_out)
        in_scenes = np.zeros(len(self.index), dtype=np.int32)
        _mark_scenes(fates, reasons, in_scenes, built)
        for frame in built.quarantined_frames:
            fates[frame.frame_id] = QUARANTINED
            reasons[frame.frame_id] = reason_of(frame.findings)
        _mark_poses(fates, self.index["stamp_ns"].to_numpy()[in_scenes > 0], plan, built)
        off_line = self.left_out.ids(Why.OFF_LINE)
        fates[off_line], reasons[off_line] = QUARANTINED, OFF_LINE_RULE
        for frame in self.unreadable():
            fates[frame.frame_id], reasons[frame.frame_id] = QUARANTINED, reason_of(frame.findings)
        faulty = in_objects(self.index, self.faulty_keys)
        fates[faulty], reasons[faulty] = QUARANTINED, FAULTY_OBJECT
        reasons[fates == GOLD] = None
        return self._rows(fates, reasons, in_scenes)

    def off_line(self) -> list[tuple[FrameRef, int]]:
        """The frames of sound objects whose stamps are off the time line, and by how many ns, by frame."""
        chosen = self.left_out.why == Why.OFF_LINE
        frame_ids, off_ns = self.left_out.frame_ids[chosen], self.left_out.off_ns[chosen]
        sound = ~in_objects(self.index, self.faulty_keys)[frame_ids]
        rows = self.index.select(FrameRef._fields).take(pa.array(frame_ids[sound])).to_pylist()
        return [(FrameRef(**row), off) for row, off in zip(rows, off_ns[sound].tolist(), strict=True)]

    def unreadable(self) -> list[FrameReport]:
        """The frames of released objects that cannot be read as what their sensor records, by id."""
        chosen = np.flatnonzero(~readable(self.index) & ~in_objects(self.index, self.faulty_keys))
        names = ["sensor", "stamp_ns", "key", "chunk_offset", "message_offset", "message_type"]
        reports = []
        for frame_id, row in zip(chosen.tolist(), self.index.select(names).take(pa.array(chosen)).to_pylist(), strict=True):
            problem = f"{row['message_type']} at byte {row['chunk_offset']}+{row['message_offset']} of {row['key']}"
            reports.append(
                FrameReport(
                    frame_id=frame_id,
                    sensor=row["sensor"],
                    stamp_ns=row["stamp_ns"],
                    key=row["key"],
                    offset=row["chunk_offset"],
                    message_offset=row["message_offset"],
                    findings=(undecodable(row["sensor"], "message", problem),),
                )
            )
        return reports

    def frames_quarantined(self, reason: str) -> pa.Table:
        """Rows of `lake.tables.schemas.FRAMES` for a drive that is quarantined as a whole; `reason`: which rules did it."""
        reasons = np.full(len(self.index), reason, dtype=object)
        reasons[in_objects(self.index, self.faulty_keys)] = FAULTY_OBJECT
        fates = np.full(len(self.index), QUARANTINED, dtype=object)
        return self._rows(fates, reasons, np.zeros(len(self.index), dtype=np.int32))

    @property
    def day(self) -> datetime.date:
        """UTC day of the first frame, which the drive's frames and records are filed under; without frames, the first of all."""
        first_ns = int(self.index["stamp_ns"].to_numpy().min()) if len(self.index) else 0
        return DAY_ZERO + datetime.timedelta(days=first_ns // NS_PER_DAY)

    def _rows(
        self, fates: npt.NDArray[np.object_], reasons: npt.NDArray[np.object_], in_scenes: npt.NDArray[np.int32]
    ) -> pa.Table:
        count = len(self.index)
        columns: dict[str, Any] = {
            "vehicle_id": [self.drive.vehicle_id] * count,
            "drive_id": [self.drive.drive_id] * count,
            "revision": [self.revision] * count,
            "day": [self.day] * count,
            "fate": fates.tolist(),
            "reason": reasons.tolist(),
            "scenes": in_scenes,
        }
        arrays = [
            pa.array(columns[field.name], field.type) if field.name in columns else self.index[field.name].combine_chunks()
            for field in FRAMES
        ]
        return pa.Table.from_arrays(arrays, schema=FRAMES)


def _mark_scenes(
    fates: npt.NDArray[np.object_], reasons: npt.NDArray[np.object_], in_scenes: npt.NDArray[np.int32], built: Built
) -> None:
    for scene in built.scenes:
        if scene.quarantined:
            frame_ids = list(scene.frame_ids)
            fates[frame_ids], reasons[frame_ids] = QUARANTINED, IN_QUARANTINED_SCENE
    for scene in built.scenes:
        if not scene.quarantined:
            frame_ids = list(scene.frame_ids)
            fates[frame_ids] = GOLD
            in_scenes[frame_ids] += 1  # a scene holds a frame once


def _mark_poses(fates: npt.NDArray[np.object_], stamps_ns: npt.NDArray[np.int64], plan: ScenePlan, built: Built) -> None:
    """A pose sample is in gold if a pose in a gold scene is made of it, or if it moved points of one.

    The former bracket the anchor or a frame. `stamps_ns`: of the frames in gold scenes; an anchor whose own frame did not
    decode is not among them.
    """
    gold = [scene for scene in built.scenes if not scene.quarantined]
    for brackets in (plan.pose_frame_ids[[scene.scene for scene in gold]], plan.track.at(stamps_ns).frame_ids):
        fates[brackets[brackets >= 0]] = GOLD
    samples = plan.track.frames
    used_ns = np.array([span for scene in gold for span in scene.poses_used_ns], dtype=np.int64).reshape(-1, 2)
    begins = np.searchsorted(samples.stamps_ns, used_ns[:, 0], side="left")
    ends = np.searchsorted(samples.stamps_ns, used_ns[:, 1], side="right")
    steps = np.zeros(len(samples.stamps_ns) + 1, dtype=np.int64)
    np.add.at(steps, begins, 1)
    np.add.at(steps, ends, -1)
    fates[samples.frame_ids[np.cumsum(steps)[:-1] > 0]] = GOLD


def reason_of(findings: Iterable[Finding]) -> str:
    """The rules that keep something out of gold, as one reason: the codes of the errors, sorted, each once, joined by `+`."""
    return "+".join(sorted({found.rule_id for found in findings if found.severity is Severity.ERROR}))
