"""Motion of a track: against motion that is known, and jumps put into it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.motion.track_metrics import LEAST_STEP_NS, EgoTrack, triangle_mean, window_mean
from sensors.time_units import NS_PER_S

T0 = 1_700_000_000 * NS_PER_S
MS = 1_000_000


def circle(seconds: float = 4.0, hz: int = 100, speed_m_s: float = 10.0, radius_m: float = 50.0) -> EgoTrack:
    times_s = np.arange(round(seconds * hz)) / hz
    angle = times_s * speed_m_s / radius_m
    poses = np.zeros((len(times_s), 7))
    poses[:, 0], poses[:, 1] = radius_m * np.sin(angle), radius_m * (1 - np.cos(angle))
    poses[:, 3], poses[:, 6] = np.cos(angle / 2), np.sin(angle / 2)
    return EgoTrack.of(T0 + (times_s * NS_PER_S).astype(np.int64), poses)


def at(*seconds: float) -> npt.NDArray[np.int64]:
    return T0 + (np.array(seconds) * NS_PER_S).astype(np.int64)


@pytest.mark.parametrize("hz", [2, 10, 100])
def test_a_steady_turn_is_measured_and_has_no_step(hz: int) -> None:
    track = circle(hz=hz)
    found = track.windows(at(0.0, 2.0, 3.9))
    np.testing.assert_allclose(found.speed_m_s, 10.0, rtol=0.02)
    np.testing.assert_allclose(found.yaw_rate_rad_s, 0.2, rtol=0.02)
    np.testing.assert_allclose(found.acceleration_m_s2, 2.0, rtol=0.05)
    np.testing.assert_allclose(found.forward_m_s2, 0.0, atol=0.2)
    assert track.steps_m().max() == 0.0


@given(st.integers(0, 398), st.floats(1.0, 20.0), st.sampled_from([10, 100]))
def test_a_jump_is_one_step_of_its_size_wherever_it_is(place: int, metres: float, hz: int) -> None:
    track = circle(hz=hz)
    place %= len(track.stamps_ns) - 1
    poses = track.poses.copy()
    poses[place + 1 :, 1] += metres
    steps = EgoTrack.of(track.stamps_ns, poses).steps_m()
    assert int(np.argmax(steps)) == place
    allowed = 2 * 20.0 / hz**2 + 0.1
    assert metres - allowed - 0.05 <= steps[place] <= metres + 0.05
    assert (np.delete(steps, place) == 0).all()


@pytest.mark.parametrize("apart_ns", [1_000, 9_140_000, 15_000_000, 30_000_000, 50_000_000])
def test_poses_of_two_sensors_in_one_track_make_no_step(apart_ns: int) -> None:
    """Mixed with 4 cm between them: the velocity of a short step, stretched over the long one after it, is all noise."""
    own = T0 + 100 * MS * np.arange(60, dtype=np.int64)
    stamps = np.stack([own - apart_ns, own], axis=1).ravel()
    poses = np.zeros((len(stamps), 7))
    poses[:, 0], poses[:, 3] = 12.6 * (stamps - T0) / NS_PER_S, 1.0
    poses[::2, 1] = 0.04
    assert EgoTrack.of(stamps, poses).steps_m().max() < 0.1
    poses[60:, 0] += 1.0
    assert EgoTrack.of(stamps, poses).steps_m().max() > 0.6


def test_a_step_concerns_the_instants_around_it() -> None:
    track = circle()
    poses = track.poses.copy()
    poses[200:, 0] += 3.0
    found = EgoTrack.of(track.stamps_ns, poses).steps_near_m(at(1.0, 1.85, 2.1, 2.4), 200 * MS)
    assert (found > 1.0).tolist() == [False, True, True, False]


def test_samples_that_are_too_close_are_left_out_and_short_tracks_say_less() -> None:
    stamps_ns = T0 + np.array([0, 1, LEAST_STEP_NS, LEAST_STEP_NS + 10, 3 * LEAST_STEP_NS])
    assert EgoTrack.of(stamps_ns, np.zeros((5, 7))).stamps_ns.tolist() == [T0, T0 + LEAST_STEP_NS, T0 + 3 * LEAST_STEP_NS]
    short = circle(seconds=0.3).windows(at(0.1))
    assert short.speed_m_s[0] == pytest.approx(10.0, rel=0.01)
    assert np.isnan(short.acceleration_m_s2[0])
    one = EgoTrack.of(at(0.0), np.zeros((1, 7)))
    assert one.windows(at(0.0)).half_ns == 0
    assert one.steps_m().tolist() == []


def test_means_compare_with_the_differences_that_they_are_made_for() -> None:
    """Constant jerk: a second difference of positions is the mean of the acceleration under a triangle, exactly."""
    times_s = np.arange(400) / 100
    poses = np.zeros((400, 7))
    poses[:, 0], poses[:, 3] = times_s**3, 1.0
    track = EgoTrack.of(T0 + (times_s * NS_PER_S).astype(np.int64), poses)
    windows = track.windows(at(2.0))
    mean = triangle_mean(windows, track.stamps_ns, 6 * times_s)
    assert windows.forward_m_s2[0] == pytest.approx(mean[0], rel=1e-3)
    assert window_mean(windows, track.stamps_ns, times_s)[0] == pytest.approx(2.0, abs=0.01)
    assert np.isnan(window_mean(windows, track.stamps_ns[:5], times_s[:5])[0])
