"""Baselines: a minority of outliers changes nothing, and the fast forms agree with slow ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.measure.baseline import Baseline, repeats, running_median


def test_a_minority_of_odd_values_moves_neither_median_nor_spread_far() -> None:
    values = np.random.default_rng(3).normal(100, 5, 999)
    values[:200] = 1e9
    usual = Baseline.of(values)
    assert usual is not None
    assert usual.median == pytest.approx(100, abs=3)
    assert usual.spread == pytest.approx(5, rel=0.5)
    assert Baseline.of(np.array([np.nan])) is None


@given(st.lists(st.integers(0, 2), max_size=30))
def test_repeats_count_back_to_the_first_of_its_kind(content: list[int]) -> None:
    expected: list[int] = []
    for position, value in enumerate(content):
        expected.append(expected[-1] + 1 if position and content[position - 1] == value else 0)
    assert repeats(np.array(content, dtype=np.int64)).tolist() == expected


@given(st.lists(st.floats(-100, 100) | st.just(np.nan), max_size=20), st.sampled_from([1, 3, 7]))
def test_running_median_is_that_of_each_window(values: list[float], width: int) -> None:
    found = running_median(np.array(values), width)
    for position in range(len(values)):
        window = np.array(values[max(0, position - width // 2) : position + width // 2 + 1])
        known = window[np.isfinite(window)]
        expected = np.median(known) if known.size else np.nan
        np.testing.assert_allclose(found[position], expected)
