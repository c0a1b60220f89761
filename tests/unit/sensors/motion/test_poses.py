"""Interpolation of the ego pose: never beyond a sample, never across a wide gap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.motion.poses import interpolate

EPOCH_NS = 1_700_000_000_123_456_789
MS = 1_000_000


def yaw(angle_rad: float, x_m: float = 0.0) -> list[float]:
    return [x_m, 0.0, 0.0, math.cos(angle_rad / 2), 0.0, 0.0, math.sin(angle_rad / 2)]


SAMPLES = [yaw(0.0, 0.0), yaw(0.2, 1.0), yaw(0.4, 2.0), yaw(0.6, 10.0)]
STAMPS = [EPOCH_NS + at * MS for at in (0, 10, 20, 100)]


@pytest.mark.parametrize(
    ("at_ms", "valid", "left", "x_m", "angle_rad"),
    [
        (-1, False, -1, math.nan, math.nan),
        (0, True, 0, 0.0, 0.0),
        (5, True, 0, 0.5, 0.1),
        (10, True, 1, 1.0, 0.2),
        (12, True, 1, 1.2, 0.24),
        (20, True, 2, 2.0, 0.4),  # hits a sample beside a gap of 80 ms
        (60, False, 2, math.nan, math.nan),  # in the gap
        (100, True, 3, 10.0, 0.6),
        (101, False, 3, math.nan, math.nan),
    ],
)
def test_the_rules(at_ms: int, valid: bool, left: int, x_m: float, angle_rad: float) -> None:
    found = interpolate([EPOCH_NS + at_ms * MS], STAMPS, SAMPLES, 50 * MS)
    assert (found.valid.tolist(), found.left.tolist()) == ([valid], [left])
    expected = yaw(angle_rad, x_m) if valid else [math.nan] * 7
    np.testing.assert_allclose(found.poses[0], expected, rtol=0, atol=1e-12)


def test_a_gap_as_wide_as_the_bracket_is_bridged_and_a_nanosecond_more_is_not() -> None:
    poses = [yaw(0.0), yaw(0.1)]
    middle = [EPOCH_NS + 25 * MS]
    assert interpolate(middle, [EPOCH_NS, EPOCH_NS + 50 * MS], poses, 50 * MS).valid.tolist() == [True]
    assert interpolate(middle, [EPOCH_NS, EPOCH_NS + 50 * MS + 1], poses, 50 * MS).valid.tolist() == [False]


def test_a_hit_is_the_sample_unchanged_and_of_doubled_samples_the_first() -> None:
    poses = np.array([yaw(0.0), yaw(0.5), yaw(0.9), yaw(1.0)])
    found = interpolate([10, 15], [0, 10, 10, 20], poses, 100)
    np.testing.assert_array_equal(found.poses[0], poses[1])
    assert found.left.tolist() == [1, 1]
    np.testing.assert_allclose(found.poses[1], yaw(0.95), atol=1e-12)  # from the last of the two, which is nearer in log order


def test_rotation_takes_the_shorter_arc() -> None:
    there = np.array([yaw(0.0), yaw(0.2)])
    there[1, 3:] *= -1  # the same rotation
    np.testing.assert_allclose(interpolate([5], [0, 10], there, 10).poses[0], yaw(0.1), atol=1e-12)


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples_bracket_nothing(samples: int) -> None:
    found = interpolate([1, 2], [2][:samples], np.array([yaw(0.3)])[:samples], 10)
    assert found.valid.tolist() == [False, samples == 1]
    assert found.left.tolist() == [-1, samples - 1]


def test_no_instants_give_no_poses() -> None:
    assert interpolate([], STAMPS, SAMPLES, 10).poses.shape == (0, 7)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=20, unique=True).map(sorted), st.integers(-20, 220), st.integers(0, 60))
def test_constant_motion_is_met_exactly_wherever_it_is_valid(stamps: list[int], at: int, bracket: int) -> None:
    """Constant speed and yaw rate: linear and spherical interpolation are exact; the epoch does not blur them."""
    poses = [yaw(0.01 * stamp, 0.5 * stamp) for stamp in stamps]
    found = interpolate([at + EPOCH_NS], [stamp + EPOCH_NS for stamp in stamps], poses, bracket)
    before, after = [s for s in stamps if s <= at], [s for s in stamps if s >= at]
    bracketed = bool(before and after) and (before[-1] == after[0] or after[0] - before[-1] <= bracket)
    assert found.valid.tolist() == [bracketed]
    assert found.left.tolist() == [len(before) - 1]
    if bracketed:
        np.testing.assert_allclose(found.poses[0], yaw(0.01 * at, 0.5 * at), rtol=0, atol=1e-9)
        assert abs(np.linalg.norm(found.poses[0, 3:]) - 1) < 1e-12


@pytest.mark.parametrize(
    ("stamps", "poses", "bracket", "message"),
    [
        ([0, 1], [yaw(0.0)], 10, r"shape \(2, 7\), got \(1, 7\)"),
        ([1, 0], [yaw(0.0)] * 2, 10, "ascend"),
        ([0.0, 1.0], [yaw(0.0)] * 2, 10, "float64"),
        ([0, 1], [yaw(0.0)] * 2, -1, "bracket_ns is -1"),
    ],
)
def test_wrong_input_is_refused(stamps: list[int], poses: list[list[float]], bracket: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpolate([0], stamps, poses, bracket)
