"""The match plan of a drive: which frames make which scene. From metadata alone; no payload is read."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sensors.match import match_nearest
from sensors.poses import interpolate
from sensors.rig import Rig

MATCHER_VERSION = "nearest-1"  # part of the configuration hash: a changed matcher is a changed dataset

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_FRAMES = "no_frames"
OUTSIDE_TOLERANCE = "outside_tolerance"
DUPLICATE_STAMP = "duplicate_stamp"
NOT_NEAREST = "not_nearest"
NOT_IN_RIG = "not_in_rig"
NO_ANCHOR = "no_anchor"
SUPPORT = "support_not_needed"


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """S scenes of K sensors, both in a fixed order (anchors by time, sensors as in the rig).

    `frame_ids` (S, K) int64: rows of the frame index, -1 where a sensor has no match. `offsets_ns`, `residuals_ns` (S, K):
    meaningless where there is no match. `poses` (S, 7): x y z m, qw qx qy qz, odom_SE3_ego at the anchor, meaningless
    where not `pose_valid` (S,). `pose_left`, `pose_right` (S,): which of the pose samples `pose_stamps_ns` (P,) bracket it, the
    same one where the anchor hits it. `has_frames` (K,): whether the sensor has any usable frame at all.
    """

    anchor_sensor: str
    sensors: tuple[str, ...]
    anchors_ns: Ints
    frame_ids: Ints
    offsets_ns: Ints
    residuals_ns: Ints
    has_frames: npt.NDArray[np.bool_]
    poses: Floats
    pose_valid: npt.NDArray[np.bool_]
    pose_stamps_ns: Ints
    pose_left: Ints
    pose_right: Ints

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return len(self.anchors_ns)

    def reason(self, column: int) -> str:
        """Why an unmatched cell of this sensor has no frame."""
        return OUTSIDE_TOLERANCE if self.has_frames[column] else NO_FRAMES


@dataclass(frozen=True, slots=True)
class UsableFrames:
    """Frames of one sensor that may be matched: from sound objects, by stamp, the first of each stamp. (N,) each."""

    frame_ids: Ints
    stamps_ns: Ints


def usable_frames(index: pa.Table, sensor: str, faulty_keys: Set[str]) -> UsableFrames:
    """The frames of `sensor` that may be matched, from a frame index in (sensor, stamp) order."""
    of_sensor = np.asarray(index["sensor"].to_numpy(zero_copy_only=False) == sensor)
    keys = index["key"].to_pylist() if faulty_keys else []
    sound = np.array([key not in faulty_keys for key in keys], dtype=bool) if faulty_keys else np.ones(len(index), dtype=bool)
    chosen = of_sensor & sound
    stamps_ns = index["stamp_ns"].to_numpy()[chosen]
    frame_ids = index["frame_id"].to_numpy()[chosen]
    first = np.ones(len(stamps_ns), dtype=bool)
    first[1:] = stamps_ns[1:] != stamps_ns[:-1]
    return UsableFrames(frame_ids[first], stamps_ns[first])


def plan_scenes(index: pa.Table, poses: pa.Table, rig: Rig, faulty_keys: Set[str]) -> ScenePlan:
    """Match every usable sweep of the reference sensor with the nearest frame of each other sensor (promise P4).

    `index` has schema `lake.tables.FRAME_INDEX`, `poses` the pose samples (`stamp_ns`, x_m … qz), by stamp.
    """
    anchors = usable_frames(index, rig.reference, faulty_keys)
    sensors = [sensor for sensor in rig.sensors if sensor.modality.in_scene]
    shape = (len(anchors.stamps_ns), len(sensors))
    frame_ids, offsets_ns, residuals_ns = (np.full(shape, -1, dtype=np.int64) for _ in range(3))
    has_frames = np.zeros(len(sensors), dtype=bool)
    for column, sensor in enumerate(sensors):
        frames = usable_frames(index, sensor.name, faulty_keys)
        has_frames[column] = len(frames.stamps_ns) > 0
        if sensor.name == rig.reference:
            # The anchor is its own frame, whatever the rig declares about it.
            frame_ids[:, column], offsets_ns[:, column], residuals_ns[:, column] = anchors.frame_ids, 0, 0
            continue
        matches = match_nearest(anchors.stamps_ns, frames.stamps_ns, sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
        matched = matches.index >= 0
        frame_ids[matched, column] = frames.frame_ids[matches.index[matched]]
        offsets_ns[:, column], residuals_ns[:, column] = matches.offset_ns, matches.residual_ns
    pose_stamps_ns, samples = _pose_samples(poses)
    bracketed = interpolate(anchors.stamps_ns, pose_stamps_ns, samples, rig.pose_bracket_ns)
    return ScenePlan(
        anchor_sensor=rig.reference,
        sensors=tuple(sensor.name for sensor in sensors),
        anchors_ns=anchors.stamps_ns,
        frame_ids=frame_ids,
        offsets_ns=offsets_ns,
        residuals_ns=residuals_ns,
        has_frames=has_frames,
        poses=bracketed.poses,
        pose_valid=bracketed.valid,
        pose_stamps_ns=pose_stamps_ns,
        pose_left=bracketed.left,
        pose_right=np.minimum(np.searchsorted(pose_stamps_ns, anchors.stamps_ns), max(len(pose_stamps_ns) - 1, 0)),
    )


def unmatched_reasons(index: pa.Table, plan: ScenePlan, rig: Rig, faulty_keys: Set[str]) -> list[str]:
    """For every row of the index, why it would not be in a scene; only meaningful for rows that are in none."""
    names = index["sensor"].to_numpy(zero_copy_only=False)
    reasons = np.full(len(names), NOT_IN_RIG, dtype=object)
    for sensor in rig.sensors:
        if not sensor.modality.in_scene:
            reasons[names == sensor.name] = SUPPORT
            continue
        usable = usable_frames(index, sensor.name, faulty_keys)
        near = _within_tolerance(usable.stamps_ns, plan.anchors_ns, sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
        reasons[names == sensor.name] = DUPLICATE_STAMP
        reasons[usable.frame_ids] = np.where(near, NOT_NEAREST, NO_ANCHOR)  # a frame's id is its row
    return [str(reason) for reason in reasons]


def _within_tolerance(stamps_ns: Ints, anchors_ns: Ints, expected_delay_ns: int, tolerance_ns: int) -> npt.NDArray[np.bool_]:
    """Whether any anchor would accept the frame if it had no nearer one."""
    targets = anchors_ns + expected_delay_ns
    after = np.searchsorted(targets, stamps_ns - tolerance_ns, side="left")
    before = np.searchsorted(targets, stamps_ns + tolerance_ns, side="right")
    return np.asarray(before > after)


def _pose_samples(poses: pa.Table) -> tuple[Ints, Floats]:
    stamps_ns = poses["stamp_ns"].to_numpy()
    values = np.stack([poses[name].to_numpy() for name in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")], axis=1)
    order = np.argsort(stamps_ns, kind="stable")
    stamps_ns, values = stamps_ns[order], values[order]
    first = np.ones(len(stamps_ns), dtype=bool)
    first[1:] = stamps_ns[1:] != stamps_ns[:-1]
    return stamps_ns[first], values[first]
