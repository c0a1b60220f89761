"""The timing of the benchmark's drive: the cases that matchers get wrong are in it."""

from __future__ import annotations

import numpy as np

from bench.build_scenes.raw import anchors_of
from bench.build_scenes.timing import REFERENCE, rig, timing
from sensors.match.nearest import match_nearest


def test_a_minute_has_ties_that_match_and_frames_that_are_too_far_away() -> None:
    stamps_ns = timing(60.0, 1).stamps_ns
    anchors = stamps_ns[REFERENCE]
    for sensor in rig().sensors[1:]:
        if not sensor.modality.in_scene:
            continue
        stamps, target = stamps_ns[sensor.name], anchors + sensor.sync.expected_delay_ns
        assert (np.diff(stamps) > 0).all()
        after = np.searchsorted(stamps, target)
        distance = stamps[after] - target
        ties = (distance == target - stamps[after - 1]) & (distance <= sensor.sync.tolerance_ns)
        assert ties.any(), sensor.name
        found = match_nearest(anchors, stamps, sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
        assert (found.index[ties] == after[ties] - 1).all()
        assert 0.95 < found.matched.mean() <= 1.0


def test_a_keyframe_is_the_first_sweep_of_its_cell() -> None:
    stamps = np.array([999_999_999, 1_000_000_000, 1_400_000_000, 1_500_000_000, 2_600_000_000])
    assert anchors_of(stamps, "keyframe").tolist() == [999_999_999, 1_000_000_000, 1_500_000_000, 2_600_000_000]
    assert anchors_of(stamps, "sweep") is stamps
