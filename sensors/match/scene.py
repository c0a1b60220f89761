"""All sensors of a rig against its anchors, under the rig's policy (promise P4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sensors.match.anchors import keyframes
from sensors.match.approximate_time import form_sets
from sensors.match.exclusive import match_exclusive
from sensors.match.nearest import NO_MATCH, Matches, MatchReason, match_nearest
from sensors.policy import FrameUse, Matcher
from sensors.rig import Rig, Sensor
from sensors.stamps import Nanoseconds


@dataclass(frozen=True, slots=True, eq=False)
class RigMatches:
    """`anchors` (S,): positions among the reference's stamps; `sensors`: every lidar, camera and radar of the rig."""

    anchors: Nanoseconds
    sensors: Mapping[str, Matches]


def match_rig(rig: Rig, stamps_ns: Mapping[str, Nanoseconds]) -> RigMatches:
    """Choose the anchors and match every lidar, camera and radar of the rig with them.

    `stamps_ns`: by sensor, ascending and distinct; a sensor that is left out has no frames. The anchor is the reference's own
    match, whatever the rig declares about its delay and tolerance.

    With `nearest`, anchors are the frames of the reference, or its first frame in each cell of the keyframe grid. With
    `approximate_time`, they are the reference's members of the sets that ROS would form of all sensors that have a frame,
    or the first of them in each cell. ROS knows no delay and no tolerance: a member that is outside its sensor's tolerance
    is then reported as OUTSIDE_TOLERANCE, and no other frame takes its place.

    Raises:
        ValueError: Stamps do not ascend or are not integer nanoseconds.
    """
    sensors = [sensor for sensor in rig.sensors if sensor.modality.in_scene]
    streams = {sensor.name: stamps_ns.get(sensor.name, np.empty(0, dtype=np.int64)) for sensor in sensors}
    if rig.policy.matcher is Matcher.APPROXIMATE_TIME:
        return _by_sets(rig, sensors, streams)
    anchors = np.flatnonzero(keyframes(streams[rig.reference], rig.policy.keyframe_hz))
    anchors_ns = streams[rig.reference][anchors]
    match = match_exclusive if rig.policy.frame_use is FrameUse.EXCLUSIVE else match_nearest
    matches = {
        sensor.name: _itself(anchors)
        if sensor.name == rig.reference
        else match(anchors_ns, streams[sensor.name], sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
        for sensor in sensors
    }
    return RigMatches(anchors, matches)


def _by_sets(rig: Rig, sensors: list[Sensor], streams: Mapping[str, Nanoseconds]) -> RigMatches:
    topics = [sensor.name for sensor in sensors if streams[sensor.name].size]
    if rig.reference not in topics:
        return RigMatches(np.empty(0, dtype=np.int64), {sensor.name: Matches.none(0) for sensor in sensors})
    sets = form_sets([streams[topic] for topic in topics])
    reference = sets[:, topics.index(rig.reference)]
    chosen = keyframes(streams[rig.reference][reference], rig.policy.keyframe_hz)
    anchors, sets = reference[chosen], sets[chosen]
    anchors_ns = streams[rig.reference][anchors]
    matches = {
        sensor.name: _itself(anchors)
        if sensor.name == rig.reference
        else _members(sensor, sets[:, topics.index(sensor.name)], streams[sensor.name], anchors_ns)
        if sensor.name in topics
        else Matches.none(anchors.size)
        for sensor in sensors
    }
    return RigMatches(anchors, matches)


def _members(sensor: Sensor, positions: Nanoseconds, stamps_ns: Nanoseconds, anchors_ns: Nanoseconds) -> Matches:
    offset_ns = stamps_ns[positions] - anchors_ns
    residual_ns = offset_ns - sensor.sync.expected_delay_ns
    accepted = np.abs(residual_ns) <= sensor.sync.tolerance_ns
    return Matches(
        index=np.where(accepted, positions, NO_MATCH),
        offset_ns=offset_ns,
        residual_ns=residual_ns,
        reason=np.where(accepted, MatchReason.MATCHED, MatchReason.OUTSIDE_TOLERANCE).astype(np.int8),
    )


def _itself(anchors: Nanoseconds) -> Matches:
    zeros = np.zeros(anchors.size, dtype=np.int64)
    return Matches(anchors, zeros, zeros, np.full(anchors.size, MatchReason.MATCHED, dtype=np.int8))
