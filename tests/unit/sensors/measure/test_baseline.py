"""Baselines: a minority of outliers changes nothing, and the fast forms agree with slow ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.measure.baseline import RING, Baseline, repeats, running_median


def test_a_minority_of_odd_values_moves_neither_median_nor_spread_far() -> None:
    values = np.random.default_rng(3).normal(100, 5, 999)
    values[:200] = 1e9
    usual = Baseline.of(values)
    assert usual is not None
    assert usual.median == pytest.approx(100, abs=3)
    assert usual.spread == pytest.approx(5, rel=0.5)
    assert Baseline.of(np.array([np.nan])) is None


@given(st.lists(st.integers(0, 12), max_size=40))
def test_repeats_count_back_through_the_frames_in_reach(content: list[int]) -> None:
    times: list[int] = []
    ago: list[int] = []
    for position, value in enumerate(content):
        before = [back for back in range(1, min(RING, position) + 1) if content[position - back] == value]
        ago.append(before[0] if before else 0)
        times.append(times[position - before[0]] + 1 if before else 0)
    found = repeats(np.array(content, dtype=np.int64))
    assert (found.times.tolist(), found.ago.tolist()) == (times, ago)


@given(st.lists(st.floats(-100, 100) | st.just(np.nan), max_size=20), st.sampled_from([1, 3, 7]))
def test_running_median_is_that_of_each_window(values: list[float], width: int) -> None:
    found = running_median(np.array(values), width)
    for position in range(len(values)):
        window = np.array(values[max(0, position - width // 2) : position + width // 2 + 1])
        known = window[np.isfinite(window)]
        expected = np.median(known) if known.size else np.nan
        np.testing.assert_allclose(found[position], expected)
