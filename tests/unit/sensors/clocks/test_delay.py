"""Delay estimates: known delays near every part of the period, free-running streams, an oracle, and laws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.clocks.delay import MIN_PAIRS, Delay, Phase, estimate_delay, tick_of

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_001
Stamps = np.ndarray[tuple[int], np.dtype[np.int64]]


def every(period_ns: int, count: int, first_ns: int = 0, jitter_ns: int = 0, seed: int = 0) -> Stamps:
    jitter = np.random.default_rng(seed).integers(-jitter_ns, jitter_ns, count, endpoint=True)
    return np.asarray(EPOCH_NS + first_ns + period_ns * np.arange(count, dtype=np.int64) + jitter)


LIDAR = every(100 * MS, 100)


@pytest.mark.parametrize("delay_ms", [-99, -60, -50, -49, -1, 0, 1, 49, 50, 60, 99])
def test_a_declared_delay_chooses_the_reading(delay_ms: int) -> None:
    found = estimate_delay(LIDAR, every(100 * MS, 100, delay_ms * MS, 200_000), delay_ms * MS)
    assert found.phase is Phase.LOCKED and found.delay_ns is not None and found.uncertainty_ns is not None
    assert abs(found.delay_ns - delay_ms * MS) <= found.uncertainty_ns < MS
    assert found.period_ns == pytest.approx(100 * MS, rel=0.01)
    assert found.other_ns is not None
    assert abs(abs(found.other_ns - found.delay_ns) - 100 * MS) < MS
    assert (found.other_ns > 0) != (found.delay_ns > 0)


@pytest.mark.parametrize(("delay_ms", "nearest_ms"), [(-99, 1), (-60, 40), (-40, -40), (40, 40), (70, -30)])
def test_without_a_declaration_the_reading_is_the_nearer_one_and_the_other_is_reported(delay_ms: int, nearest_ms: int) -> None:
    found = estimate_delay(LIDAR, every(100 * MS, 100, delay_ms * MS))
    assert found.delay_ns == nearest_ms * MS
    assert found.other_ns == (nearest_ms - 100 if nearest_ms > 0 else nearest_ms + 100) * MS
    assert (found.uncertainty_ns, found.spread_ns, found.mean_ns) == (0, 0, found.delay_ns)


def test_near_half_a_period_the_mean_of_nearest_offsets_would_be_meaningless() -> None:
    """Half of the nearest offsets are +49.9 ms and half -49.9: their mean is 0, and no frame lies there."""
    camera = every(100 * MS, 100, 50 * MS, 400_000)
    found = estimate_delay(LIDAR, camera)
    assert found.phase is Phase.LOCKED and found.delay_ns is not None and found.other_ns is not None
    assert sorted((abs(found.delay_ns), abs(found.other_ns))) == pytest.approx([50 * MS, 50 * MS], abs=MS)
    nearest = [min((int(stamp - anchor) for stamp in camera), key=abs) for anchor in LIDAR[1:-1]]
    assert min(abs(offset) for offset in nearest) > 49 * MS


@pytest.mark.parametrize("period_ms", [73, 77, 83, 130, 240])
def test_another_rate_is_free_running(period_ms: int) -> None:
    found = estimate_delay(LIDAR, every(period_ms * MS, 120, 11 * MS, 400_000), 11 * MS)
    assert (found.phase, found.delay_ns, found.other_ns, found.spread_ns) == (Phase.FREE, None, None, None)
    assert found.pairs >= 30


@pytest.mark.parametrize(("period_ms", "delay_ms"), [(50, 13), (200, -30), (300, 44), (20, 4)])
def test_a_multiple_or_a_fraction_of_the_rate_is_locked(period_ms: int, delay_ms: int) -> None:
    found = estimate_delay(LIDAR, every(period_ms * MS, 500, delay_ms * MS, 50_000))
    assert found.phase is Phase.LOCKED and found.delay_ns is not None
    assert abs(found.delay_ns - delay_ms * MS) < MS / 10
    assert found.period_ns == pytest.approx(min(period_ms, 100) * MS, rel=0.01)


def test_keyframes_of_a_triggered_camera_are_locked_and_those_of_a_free_radar_are_not() -> None:
    """2 Hz keyframes, each the nearest frame of a 20 Hz lidar (with irregular steps), a camera and a 13.5 Hz radar."""
    rng = np.random.default_rng(3)
    lidar = np.cumsum(rng.choice([8, 9, 10, 10, 10, 10, 10, 11, 12], 280)) * 50 * MS + EPOCH_NS
    camera = lidar - 43 * MS + rng.integers(-MS, MS, lidar.size)
    radar = every(74 * MS, 2100, 5 * MS)
    radar = radar[np.argmin(np.abs(radar[None, :] - lidar[:, None]), axis=1)]
    assert estimate_delay(lidar, camera).delay_ns == pytest.approx(-43 * MS, abs=MS / 4)
    assert estimate_delay(lidar, radar).phase is Phase.FREE


def test_dropped_late_and_doubled_frames_do_not_move_it() -> None:
    rng = np.random.default_rng(4)
    camera = every(100 * MS, 300, -31 * MS, 100_000)
    camera[rng.choice(300, 30, replace=False)] += 37 * MS
    camera = np.concatenate([np.delete(camera, rng.choice(300, 40, replace=False)), camera[:50]])
    found = estimate_delay(every(100 * MS, 300), rng.permutation(camera))
    assert found.phase is Phase.LOCKED and found.delay_ns == pytest.approx(-31 * MS, abs=30_000)


@pytest.mark.parametrize(
    ("reference", "stamps"),
    [([], [1, 2]), ([1, 2], [5]), (LIDAR, LIDAR[:3]), (LIDAR, LIDAR + 10**15), (LIDAR[: MIN_PAIRS - 1], LIDAR[: MIN_PAIRS - 1])],
)
def test_too_little_data_gives_no_result(reference: object, stamps: object) -> None:
    found = estimate_delay(np.asarray(reference, dtype=np.int64), np.asarray(stamps, dtype=np.int64))
    assert (found.phase, found.delay_ns) == (Phase.UNKNOWN, None)


def test_a_declaration_beyond_the_recording_does_not_hide_what_was_measured() -> None:
    found = estimate_delay(LIDAR, LIDAR + 20 * MS, 10**17)
    assert (found.delay_ns, found.pairs) == (20 * MS, 100)


def test_extreme_stamps_do_not_overflow() -> None:
    far = 4 * 10**18
    assert estimate_delay([-far, far], [far, -far]) == Delay(Phase.UNKNOWN, 2 * far, None, None, None, None, None, 2)


@settings(deadline=None)
@given(
    st.integers(-(10**17), 10**18),
    st.integers(10, 300),
    st.integers(-999, 999),
    st.permutations(range(40)),
    st.integers(1, 7),
)
def test_epoch_order_and_scale_do_not_matter(shift_ns: int, period_ms: int, permille: int, order: list[int], scale: int) -> None:
    period_ns = period_ms * MS
    lidar, camera = every(period_ns, 40), every(period_ns, 40, period_ns * permille // 1000, 1000)
    one = estimate_delay(lidar, camera)
    assert estimate_delay(lidar[order] + shift_ns, camera[order] + shift_ns) == one
    scaled = estimate_delay((lidar - EPOCH_NS) * scale, (camera - EPOCH_NS) * scale)
    assert scaled.phase is one.phase is Phase.LOCKED
    assert scaled.delay_ns is not None and one.delay_ns is not None and one.other_ns is not None
    # Just at half a period the two readings are equally near, and rounding chooses.
    assert min(abs(scaled.delay_ns - reading * scale) for reading in (one.delay_ns, one.other_ns)) <= 1000 * scale


@given(st.integers(1, 12), st.lists(st.integers(1, 9), min_size=20, max_size=60))
def test_the_tick_is_the_longest_that_all_steps_are_multiples_of(unit_ms: int, counts: list[int]) -> None:
    """Oracle: if the steps are multiples of a unit and their median is at most 16 units, the tick is their common divisor."""
    steps = np.array(counts, dtype=np.int64) * unit_ms * MS
    tick = tick_of(steps)
    assert tick is not None
    off = [abs(step / tick - round(step / tick)) for step in steps.tolist()]
    assert sum(one <= 0.081 for one in off) >= 0.95 * len(off)
    assert tick >= int(np.gcd.reduce(steps)) * 0.9


def test_irregular_steps_have_no_tick() -> None:
    assert tick_of(np.random.default_rng(5).integers(1, 10**9, 400)) is None
    assert tick_of(np.array([5, 5, 5])) is None


def test_the_median_and_its_interval_are_order_statistics() -> None:
    offsets = sorted(np.random.default_rng(6).integers(-5 * MS, 5 * MS, 101).tolist())
    camera = LIDAR_101 + np.array(offsets)
    found = estimate_delay(LIDAR_101, camera)
    assert found.delay_ns == offsets[50]
    assert found.mean_ns == pytest.approx(sum(offsets) / 101, abs=1)
    assert found.uncertainty_ns == -(-(offsets[60] - offsets[40]) // 2)
    assert found.spread_ns == sorted(abs(offset - offsets[50]) for offset in offsets)[95]
    assert all(a <= b for a, b in pairwise(offsets))


LIDAR_101 = every(100 * MS, 101)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        estimate_delay([1.0], [1])
    with pytest.raises(ValueError, match="declared_ns"):
        estimate_delay(LIDAR, LIDAR, 2 * 10**18)
