"""The reason why a frame is in no scene."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.left_out import NOTHING, LeftOut, Why
from scenes.plan.drive_frames import Bools, DriveFrames, Ints, UsableFrames
from scenes.plan.match_plan import ScenePlan
from sensors.match.anchors import cell_numbers
from sensors.match.nearest import match_nearest
from sensors.policy import FrameUse, Matcher
from sensors.rig import Rig, Sensor

DUPLICATE_STAMP = "duplicate_stamp"
NOT_NEAREST = "not_nearest"
NOT_IN_RIG = "not_in_rig"
NO_ANCHOR = "no_anchor"
SUPPORT = "support_not_needed"
NOT_KEYFRAME = "not_keyframe"
NOT_IN_SET = "not_in_set"
KEPT_BY_NEARER_ANCHOR = "kept_by_nearer_anchor"


def unmatched_reasons(
    index: pa.Table, plan: ScenePlan, rig: Rig, faulty_keys: Set[str], left_out: LeftOut = NOTHING
) -> npt.NDArray[np.object_]:
    """For every row of the index (N,), why it would not be in a scene; meaningless for a row that is in one.

    `support_not_needed`: its sensor's frames are in no scene by their kind, and none was made with this one. `not_in_rig`: the
    rig does not know the sensor. `duplicate_stamp`: an earlier frame of the sensor has the stamp. `not_keyframe`: a frame of
    the reference that is not the first in its cell of the keyframe grid. `not_nearest`: an anchor would accept it, but has a
    nearer frame. `no_anchor`: no anchor would accept it. `kept_by_nearer_anchor`: it is nearest to an anchor, but nearer to
    another one, which has a nearer frame (exclusive use). `not_in_set`: ROS approximate time puts it in no set with an anchor
    that would accept it, or, a frame of the reference, in no set. `clock_set`, `other_clock`, `off_line`: it was left out
    because of its stamp (`scenes.left_out`). Frames of faulty objects have their object's reason instead.
    """
    frames = DriveFrames.of(index, faulty_keys, left_out)
    reasons = np.full(len(index), NOT_IN_RIG, dtype=object)
    for sensor in rig.sensors:
        rows = frames.rows(sensor.name)
        if not sensor.modality.in_scene:
            reasons[rows] = SUPPORT
            continue
        reasons[rows] = DUPLICATE_STAMP
        usable = frames.usable(sensor.name)
        reasons_of = _of_reference if sensor.name == rig.reference else _of_matched
        reasons[usable.frame_ids] = reasons_of(usable, sensor, plan.anchors_ns, rig)
    for why in Why:
        reasons[left_out.ids(why)] = why.reason
    return reasons


def _of_reference(usable: UsableFrames, _: Sensor, anchors_ns: Ints, rig: Rig) -> npt.NDArray[np.object_]:
    keyframe_hz = rig.policy.keyframe_hz
    if rig.policy.matcher is Matcher.NEAREST:
        return np.full(len(usable.stamps_ns), NOT_KEYFRAME, dtype=object)
    if keyframe_hz is None:
        return np.full(len(usable.stamps_ns), NOT_IN_SET, dtype=object)
    has_anchor = np.isin(cell_numbers(usable.stamps_ns, keyframe_hz), cell_numbers(anchors_ns, keyframe_hz))
    return np.where(has_anchor, NOT_KEYFRAME, NOT_IN_SET).astype(object)


def _of_matched(usable: UsableFrames, sensor: Sensor, anchors_ns: Ints, rig: Rig) -> npt.NDArray[np.object_]:
    delay_ns, tolerance_ns = sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns
    near = _within_tolerance(usable.stamps_ns, anchors_ns, delay_ns, tolerance_ns)
    if rig.policy.matcher is Matcher.APPROXIMATE_TIME:
        return np.where(near, NOT_IN_SET, NO_ANCHOR).astype(object)
    reasons = np.where(near, NOT_NEAREST, NO_ANCHOR).astype(object)
    if rig.policy.frame_use is FrameUse.EXCLUSIVE:
        nearest = match_nearest(anchors_ns, usable.stamps_ns, delay_ns, tolerance_ns)
        reasons[nearest.index[nearest.matched]] = KEPT_BY_NEARER_ANCHOR
    return reasons


def _within_tolerance(stamps_ns: Ints, anchors_ns: Ints, expected_delay_ns: int, tolerance_ns: int) -> Bools:
    """Whether any anchor would accept the frame if it had no nearer one."""
    targets = anchors_ns + expected_delay_ns
    after = np.searchsorted(targets, stamps_ns - tolerance_ns, side="left")
    before = np.searchsorted(targets, stamps_ns + tolerance_ns, side="right")
    return np.asarray(before > after)
