"""Earlier sweeps by looking at every frame, and the bound on their age."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.match.nearest import history_horizon_ns, history_lengths

EPOCH_NS = 1_700_000_000_123_456_789


@given(st.lists(st.integers(0, 60), max_size=12, unique=True).map(sorted), st.integers(1, 6), st.integers(0, 40), st.data())
def test_equals_brute_force(stamps: list[int], sweeps: int, horizon: int, data: st.DataObject) -> None:
    index = data.draw(st.lists(st.integers(-1, len(stamps) - 1), max_size=8))
    expected = []
    for matched in index:
        before = range(max(matched - sweeps + 1, 0), matched)
        expected.append(0 if matched < 0 else sum(stamps[matched] - stamps[frame] <= horizon for frame in before))
    found = history_lengths(np.array(stamps, dtype=np.int64) + EPOCH_NS, np.array(index, dtype=np.int64), sweeps, horizon)
    assert found.tolist() == expected


@pytest.mark.parametrize(("sweeps", "horizon_ns"), [(1, 0), (2, 75_000_000), (10, 675_000_000)])
def test_the_horizon_is_one_and_a_half_periods_a_step(sweeps: int, horizon_ns: int) -> None:
    assert history_horizon_ns(sweeps, 50_000_000) == horizon_ns


def test_a_lost_frame_is_stepped_over_and_a_gap_is_not() -> None:
    period = 50
    horizon = history_horizon_ns(4, period)
    whole = np.arange(0, 500, period)
    assert history_lengths(whole, np.array([9]), 4, horizon).tolist() == [3]
    one_lost = np.delete(whole, 8)
    assert history_lengths(one_lost, np.array([8]), 4, horizon).tolist() == [
        3
    ]  # 350, 300 and 250 are at most 200 before 450, of 225
    gap = np.array([0, 50, 60_000, 60_050])
    assert history_lengths(gap, np.array([3, 2]), 4, horizon).tolist() == [1, 0]
