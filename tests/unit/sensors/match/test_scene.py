"""The effect of a rig's policy on the same streams; each rule has its own oracle elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensors.match.nearest import Matches, MatchReason
from sensors.match.scene import RigMatches, match_rig
from sensors.policy import FrameUse, Matcher, Policy
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_000


def entry(name: str, modality: Modality, delay_ns: int = 0, tolerance_ns: int = 40 * MS) -> Sensor:
    return Sensor(name, modality, 10, Sync(Stamp.END, delay_ns, tolerance_ns, 25 * MS, required=False))


def matched(streams: dict[str, list[int]], **policy: Any) -> RigMatches:
    rig = Rig(
        "rig-1",
        "top",
        (
            entry("top", Modality.LIDAR, delay_ns=7 * MS, tolerance_ns=0),
            entry("cam", Modality.CAMERA, delay_ns=-10 * MS),
            entry("radar", Modality.RADAR),
            entry("odo", Modality.POSE),
        ),
        Policy(**policy),
    )
    return match_rig(rig, {name: EPOCH_NS + np.array(steps, dtype=np.int64) * MS for name, steps in streams.items()})


def summary(found: Matches) -> list[tuple[int, int]]:
    return list(zip(found.index.tolist(), (found.residual_ns // MS).tolist(), strict=True))


def test_the_anchor_is_its_own_match_and_a_sensor_without_frames_has_none() -> None:
    found = matched({"top": [0, 100], "cam": [-10, 95], "odo": [0]})
    assert list(found.sensors) == ["top", "cam", "radar"]
    assert found.anchors.tolist() == [0, 1]
    assert summary(found.sensors["top"]) == [(0, 0), (1, 0)]
    assert summary(found.sensors["cam"]) == [(0, 0), (1, 5)]
    assert found.sensors["radar"].reason.tolist() == [MatchReason.NO_FRAME] * 2


def test_exclusive_use_gives_a_frame_to_the_nearer_of_two_anchors() -> None:
    streams = {"top": [0, 50], "cam": [20]}
    assert summary(matched(streams).sensors["cam"]) == [(0, 30), (0, -20)]
    found = matched(streams, frame_use=FrameUse.EXCLUSIVE).sensors["cam"]
    assert found.index.tolist() == [-1, 0]
    assert found.reason.tolist() == [MatchReason.FRAME_OF_NEARER_ANCHOR, MatchReason.MATCHED]


def test_keyframes_thin_anchors_and_then_match() -> None:
    found = matched({"top": [0, 100, 600, 700, 1100], "cam": [90, 590]}, keyframe_hz=2)
    assert found.anchors.tolist() == [0, 2, 4]
    assert found.sensors["cam"].index.tolist() == [-1, 1, -1]


@pytest.mark.parametrize(("hz", "anchors"), [(None, [0, 1, 2]), (5.0, [0, 2])])
def test_sets_give_anchors_and_the_tolerance_then_takes_members_away(hz: float | None, anchors: list[int]) -> None:
    """ROS pairs the camera frame at 45 with the sweep at 100; the rig expects it at 90 and accepts 40 ms around it."""
    streams = {"top": [0, 100, 200, 1000], "cam": [0, 45, 200, 1000], "radar": [0, 100, 200, 1000]}
    found = matched(streams, matcher=Matcher.APPROXIMATE_TIME, keyframe_hz=hz)
    assert found.anchors.tolist()[: len(anchors)] == anchors
    every = {0: (0, 10), 1: (-1, -45), 2: (2, 10)}
    assert summary(found.sensors["cam"])[: len(anchors)] == [every[anchor] for anchor in anchors]
    assert summary(found.sensors["radar"])[: len(anchors)] == [(anchor, 0) for anchor in anchors]


def test_without_a_frame_of_the_reference_there_is_no_anchor() -> None:
    for matcher in Matcher:
        found = matched({"cam": [0, 1]}, matcher=matcher)
        assert found.anchors.tolist() == []
        assert [len(one.index) for one in found.sensors.values()] == [0, 0, 0]
