"""The match plan of a drive: the frames of each scene. Made from metadata alone; no payload is read."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.left_out import NOTHING, LeftOut
from scenes.plan.drive_frames import Bools, DriveFrames, Ints, UsableFrames
from scenes.plan.pose_track import Floats, PoseTrack
from sensors.match.nearest import Matches, MatchReason, history_horizon_ns, history_lengths
from sensors.match.scene import match_rig
from sensors.rig import Rig, Sensor

MATCHER_VERSION = "match-3"  # part of the configuration hash: a changed matcher is a changed dataset

MISSING = {
    MatchReason.NO_FRAME: "no_frames",
    MatchReason.OUTSIDE_TOLERANCE: "outside_tolerance",
    MatchReason.FRAME_OF_NEARER_ANCHOR: "frame_of_nearer_anchor",
}
NO_FRAME = -1


class Slot(NamedTuple):
    """A position for a frame in every scene. `column`: of its sensor in the plan; `sweep`: 0 for the matched frame, k for
    the k-th frame before it."""

    column: int
    sweep: int


@dataclass(frozen=True, slots=True, eq=False)
class ScenePlan:
    """S scenes of K sensors with L slots, all in a fixed order: anchors by time, sensors as in the rig, sweeps from the latest.

    `frame_ids` (S, L) int64: rows of the frame index, -1 where a slot is empty. `offsets_ns`, `residuals_ns` (S, K): of the
    matched frames, meaningless where there is none. `reasons` (S, K) int8: `sensors.match.nearest.MatchReason`. `poses` (S, 7):
    x y z m, qw qx qy qz, odom_SE3_ego at the anchor, meaningless where not `pose_valid` (S,). `pose_frame_ids` (S, 2) int64:
    the pose samples before and after the anchor, as rows of the frame index; the same one twice where the anchor hits it, -1
    where there is no pose. `track`: the poses at every other time.
    """

    anchor_sensor: str
    sensors: tuple[str, ...]
    slots: tuple[Slot, ...]
    anchors_ns: Ints
    frame_ids: Ints
    offsets_ns: Ints
    residuals_ns: Ints
    reasons: npt.NDArray[np.int8]
    poses: Floats
    pose_valid: Bools
    pose_frame_ids: Ints
    track: PoseTrack

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return len(self.anchors_ns)


def plan_scenes(index: pa.Table, poses: pa.Table, rig: Rig, faulty_keys: Set[str], left_out: LeftOut = NOTHING) -> ScenePlan:
    """Choose anchors and match the frames of every sensor with them, as the rig's policy says (`sensors.match.scene`).

    `index` has schema `lake.tables.schemas.FRAME_INDEX`; `poses` are the samples (`stamp_ns`, x_m … qz) of the rig's pose sensor
    in sound objects, in the order of key and position. No scene holds a frame that is `left_out`.

    Raises:
        WorkAreaError: The index is not sorted, or the pose samples are not those of the index.
    """
    frames = DriveFrames.of(index, faulty_keys, left_out)
    sensors = [sensor for sensor in rig.sensors if sensor.modality.in_scene]
    usable = {sensor.name: frames.usable(sensor.name) for sensor in sensors}
    matched = match_rig(rig, {name: one.stamps_ns for name, one in usable.items()})
    anchors_ns = usable[rig.reference].stamps_ns[matched.anchors]
    shape = (len(anchors_ns), len(sensors))
    offsets_ns, residuals_ns = (np.empty(shape, dtype=np.int64) for _ in range(2))
    reasons = np.empty(shape, dtype=np.int8)
    for column, sensor in enumerate(sensors):
        matches = matched.sensors[sensor.name]
        offsets_ns[:, column], residuals_ns[:, column] = matches.offset_ns, matches.residual_ns
        reasons[:, column] = matches.reason
    track = PoseTrack.of(poses, frames, rig)
    at_anchors = track.at(anchors_ns)
    return ScenePlan(
        anchor_sensor=rig.reference,
        sensors=tuple(sensor.name for sensor in sensors),
        slots=tuple(Slot(column, sweep) for column, sensor in enumerate(sensors) for sweep in range(sensor.sync.sweeps)),
        anchors_ns=anchors_ns,
        frame_ids=_frame_ids(sensors, usable, matched.sensors, len(anchors_ns)),
        offsets_ns=offsets_ns,
        residuals_ns=residuals_ns,
        reasons=reasons,
        poses=at_anchors.poses,
        pose_valid=at_anchors.valid,
        pose_frame_ids=at_anchors.frame_ids,
        track=track,
    )


def _frame_ids(sensors: list[Sensor], usable: Mapping[str, UsableFrames], matches: Mapping[str, Matches], scenes: int) -> Ints:
    """The frame of every slot, (S, L)."""
    slots = sum(sensor.sync.sweeps for sensor in sensors)
    # Slot after slot in memory: a slot's frames ascend, and later steps work on whole slots.
    frame_ids = np.full((scenes, slots), NO_FRAME, dtype=np.int64, order="F")
    slot = 0
    for sensor in sensors:
        sync, frames, index = sensor.sync, usable[sensor.name], matches[sensor.name].index
        lengths = history_lengths(frames.stamps_ns, index, sync.sweeps, history_horizon_ns(sync.sweeps, sensor.period_ns))
        for sweep in range(sync.sweeps):
            there = (index >= 0) & (lengths >= sweep)
            frame_ids[there, slot] = frames.frame_ids[index[there] - sweep]
            slot += 1
    return frame_ids
