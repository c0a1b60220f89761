"""The match plan of a drive: which frames make which scene. From metadata alone; no payload is read."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sensors.match import match_nearest
from sensors.poses import interpolate
from sensors.rig import Modality, Rig
from spark_jobs.errors import WorkAreaError

MATCHER_VERSION = "nearest-1"  # part of the configuration hash: a changed matcher is a changed dataset

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NO_FRAMES = "no_frames"
OUTSIDE_TOLERANCE = "outside_tolerance"
DUPLICATE_STAMP = "duplicate_stamp"
NOT_NEAREST = "not_nearest"
NOT_IN_RIG = "not_in_rig"
NO_ANCHOR = "no_anchor"
SUPPORT = "support_not_needed"
NO_FRAME = -1


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """S scenes of K sensors, both in a fixed order (anchors by time, sensors as in the rig).

    `frame_ids` (S, K) int64: rows of the frame index, -1 where a sensor has no match. `offsets_ns`, `residuals_ns` (S, K):
    meaningless where there is no match. `poses` (S, 7): x y z m, qw qx qy qz, odom_SE3_ego at the anchor, meaningless
    where not `pose_valid` (S,). `pose_frame_ids` (S, 2) int64: the pose samples before and after the anchor, as rows of the
    frame index; the same one twice where the anchor hits it, -1 where there is no pose. `has_frames` (K,): whether the
    sensor has any usable frame at all.
    """

    anchor_sensor: str
    sensors: tuple[str, ...]
    anchors_ns: Ints
    frame_ids: Ints
    offsets_ns: Ints
    residuals_ns: Ints
    has_frames: Bools
    poses: Floats
    pose_valid: Bools
    pose_frame_ids: Ints

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


def in_objects(index: pa.Table, keys: Set[str]) -> Bools:
    """Which rows of a frame index lie in one of these objects, (N,)."""
    return np.asarray(pc.is_in(index["key"], value_set=pa.array(sorted(keys), pa.string())).to_numpy(), dtype=np.bool_)


def of_sensor(index: pa.Table, sensor: str) -> Bools:
    """Which rows of a frame index are frames of this sensor, (N,)."""
    return np.asarray(pc.equal(index["sensor"], sensor).to_numpy(), dtype=np.bool_)


def usable_frames(index: pa.Table, sensor: str, faulty_keys: Set[str]) -> UsableFrames:
    """The frames of `sensor` that may be matched, from a frame index in (sensor, stamp) order."""
    chosen = of_sensor(index, sensor) & ~in_objects(index, faulty_keys)
    stamps_ns, frame_ids = index["stamp_ns"].to_numpy()[chosen], index["frame_id"].to_numpy()[chosen]
    first = _first_of_each(stamps_ns)
    return UsableFrames(frame_ids[first], stamps_ns[first])


def pose_sensor(rig: Rig) -> str | None:
    """The sensor whose samples give the ego pose: the first pose sensor of the rig, None if it has none.

    Samples of two sources are never mixed: each has an odometry frame of its own.
    """
    return next((sensor.name for sensor in rig.sensors if sensor.modality is Modality.POSE), None)


def plan_scenes(index: pa.Table, poses: pa.Table, rig: Rig, faulty_keys: Set[str]) -> ScenePlan:
    """Match every usable sweep of the reference sensor with the nearest frame of each other sensor (promise P4).

    `index` has schema `lake.tables.FRAME_INDEX`; `poses` are the samples (`stamp_ns`, x_m … qz) of the rig's pose sensor
    in sound objects, in the order of key and position.

    Raises:
        WorkAreaError: The pose samples are not those of the index.
    """
    anchors = usable_frames(index, rig.reference, faulty_keys)
    sensors = [sensor for sensor in rig.sensors if sensor.modality.in_scene]
    shape = (len(anchors.stamps_ns), len(sensors))
    frame_ids, offsets_ns, residuals_ns = (np.full(shape, NO_FRAME, dtype=np.int64) for _ in range(3))
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
    pose_frames = _pose_frames(index, rig, faulty_keys)
    bracketed = interpolate(
        anchors.stamps_ns, pose_frames.stamps_ns, _pose_samples(poses, pose_frames), rig.policy.pose_bracket_ns
    )
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
        pose_frame_ids=_bracketing(anchors.stamps_ns, pose_frames, bracketed.valid),
    )


def unmatched_reasons(index: pa.Table, plan: ScenePlan, rig: Rig, faulty_keys: Set[str]) -> npt.NDArray[np.object_]:
    """For every row of the index (N,), why it would not be in a scene; means nothing for a row that is in one.

    `support_not_needed`: its sensor's frames are in no scene by their kind. `not_in_rig`: the rig does not know the sensor.
    `duplicate_stamp`: an earlier frame of the sensor has the stamp. `not_nearest`: an anchor would accept it, but has a
    nearer frame. `no_anchor`: no anchor would accept it. Frames of faulty objects are told by their object, not here.
    """
    reasons = np.full(len(index), NOT_IN_RIG, dtype=object)
    for sensor in rig.sensors:
        if not sensor.modality.in_scene:
            reasons[of_sensor(index, sensor.name)] = SUPPORT
            continue
        usable = usable_frames(index, sensor.name, faulty_keys)
        near = _within_tolerance(usable.stamps_ns, plan.anchors_ns, sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
        reasons[of_sensor(index, sensor.name)] = DUPLICATE_STAMP
        reasons[usable.frame_ids] = np.where(near, NOT_NEAREST, NO_ANCHOR)  # a frame's id is its row
    return reasons


def _within_tolerance(stamps_ns: Ints, anchors_ns: Ints, expected_delay_ns: int, tolerance_ns: int) -> Bools:
    """Whether any anchor would accept the frame if it had no nearer one."""
    targets = anchors_ns + expected_delay_ns
    after = np.searchsorted(targets, stamps_ns - tolerance_ns, side="left")
    before = np.searchsorted(targets, stamps_ns + tolerance_ns, side="right")
    return np.asarray(before > after)


def _first_of_each(stamps_ns: Ints) -> Bools:
    first = np.ones(len(stamps_ns), dtype=np.bool_)
    first[1:] = stamps_ns[1:] != stamps_ns[:-1]
    return first


def _pose_frames(index: pa.Table, rig: Rig, faulty_keys: Set[str]) -> UsableFrames:
    name = pose_sensor(rig)
    if name is None:
        return UsableFrames(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    return usable_frames(index, name, faulty_keys)


def _pose_samples(poses: pa.Table, frames: UsableFrames) -> Floats:
    stamps_ns = poses["stamp_ns"].to_numpy()
    order = np.argsort(stamps_ns, kind="stable")
    order = order[_first_of_each(stamps_ns[order])]
    if not np.array_equal(stamps_ns[order], frames.stamps_ns):
        raise WorkAreaError(
            f"{len(order)} pose samples do not have the stamps of the {len(frames.stamps_ns)} pose frames indexed"
        )
    return np.stack([poses[name].to_numpy()[order] for name in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")], axis=1)


def _bracketing(anchors_ns: Ints, frames: UsableFrames, valid: Bools) -> Ints:
    brackets = np.full((len(anchors_ns), 2), NO_FRAME, dtype=np.int64)
    before = np.searchsorted(frames.stamps_ns, anchors_ns[valid], side="right") - 1
    after = np.searchsorted(frames.stamps_ns, anchors_ns[valid], side="left")
    brackets[valid] = np.stack([frames.frame_ids[before], frames.frame_ids[after]], axis=1)
    return brackets
