"""The vehicle's motion, and the choice of frames to examine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.calibration.motion import VehicleMotion, motion_at, way_ahead
from sensors.calibration.sampling import CANDIDATES, candidates, choose, nearest, spread

NS = 1_000_000_000
START = 1_750_000_000 * NS


def circle(speed_m_s: float, turn_rad_s: float, seconds: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Poses, at 100 Hz, of a vehicle that drives a circle to the left."""
    t = np.arange(0, seconds, 0.01)
    yaw, radius = turn_rad_s * t, speed_m_s / turn_rad_s
    poses = np.zeros((len(t), 7))
    poses[:, 0], poses[:, 1] = radius * np.sin(yaw), radius * (1 - np.cos(yaw))
    poses[:, 3], poses[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
    return START + np.rint(t * NS).astype(np.int64), poses


def test_velocity_points_ahead_on_a_circle_and_the_turn_rate_is_its() -> None:
    stamps, poses = circle(9.0, 0.4)
    motion = motion_at(stamps[[0, 500, 1200, -1]], stamps, poses, 50_000_000)
    assert motion.valid.tolist() == [False, True, True, False]
    assert motion.velocity_m_s[1:3] == pytest.approx(np.array([[9.0, 0, 0]] * 2), abs=1e-2)
    assert motion.turn_rad_s[1:3] == pytest.approx(np.array([[0, 0, 0.4]] * 2), abs=1e-6)
    assert motion.speed_m_s[0] == 0.0
    assert way_ahead(motion) == pytest.approx((1.0, 0.0), abs=1e-3)


def test_places_are_at_least_five_metres_apart_and_a_standing_vehicle_has_one() -> None:
    stamps, poses = circle(10.0, 0.01)
    places = motion_at(stamps, stamps, poses, 50_000_000).place
    assert places[0] == 0 and (np.diff(places) >= 0).all()
    # Poses are looked at every 0.1 s, so that the next place begins up to a metre later.
    assert 199.9 / 6 - 1 <= places[-1] <= 199.9 / 5
    standing = poses.copy()
    standing[:, :3] = np.random.default_rng(0).normal(0, 0.3, (len(stamps), 3))
    assert set(motion_at(stamps, stamps, standing, 50_000_000).place) == {0}


def test_without_poses_nothing_is_known_of_the_motion() -> None:
    none = motion_at(np.array([START]), np.empty(0, dtype=np.int64), np.empty((0, 7)), 50_000_000)
    assert not none.valid.any()
    assert way_ahead(none) is None


@given(st.integers(0, 500), st.integers(1, 40))
def test_candidates_are_bounded_ascending_and_in_every_stretch(count: int, stretches: int) -> None:
    at, stretch = candidates(count, stretches)
    assert len(at) <= CANDIDATES * stretches
    assert (np.diff(at) > 0).all() and (len(at) == 0 or 0 <= at[0] <= at[-1] < count)
    assert set(stretch) == set(range(min(count, stretches)))
    assert (spread(count, stretches) < max(count, 1)).all()


def motion(speeds_m_s: list[float], valid: list[bool] | None = None) -> VehicleMotion:
    count = len(speeds_m_s)
    velocity = np.column_stack([speeds_m_s, np.zeros(count), np.zeros(count)])
    known = np.ones(count, dtype=bool) if valid is None else np.array(valid)
    return VehicleMotion(velocity, np.zeros((count, 3)), np.zeros(count, dtype=np.int64), known)


def test_moving_frames_with_near_images_are_chosen_one_a_stretch() -> None:
    stretch = np.array([0, 0, 0, 1, 1, 1])
    moving = motion([0.0, 5.0, 5.0, 5.0, 5.0, 5.0], [True, True, True, False, True, True])
    assert choose(stretch, moving, [np.array([0.0, 0.4, 0.1, 0.0, 0.2, 0.2])]).tolist() == [2, 4]
    assert choose(stretch[:0], motion([]), []).tolist() == []


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.lists(st.integers(0, 50), max_size=8).map(sorted))
def test_nearest_is_that_of_a_search_through_all(wanted: list[int], stamps: list[int]) -> None:
    found = nearest(np.array(wanted, dtype=np.int64), np.array(stamps, dtype=np.int64))
    for instant, at in zip(wanted, found, strict=True):
        assert at == -1 if not stamps else abs(stamps[at] - instant) == min(abs(stamp - instant) for stamp in stamps)
        if stamps:
            assert stamps[at] == min(stamp for stamp in stamps if abs(stamp - instant) == abs(stamps[at] - instant))


def test_the_way_ahead_may_be_any_axis_of_the_ego_frame() -> None:
    sideways = VehicleMotion(
        np.array([[0.0, 7.0, 0.1]] * 3), np.zeros((3, 3)), np.zeros(3, dtype=np.int64), np.ones(3, dtype=bool)
    )
    assert way_ahead(sideways) == pytest.approx((0.0, 1.0))
    assert math.hypot(*(way_ahead(sideways) or (0, 0))) == pytest.approx(1.0)
