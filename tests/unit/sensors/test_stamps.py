"""Stamps: distinct as a sorted set, percentiles that occur, and which dates are plausible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.stamps import (
    MAX_STAMP_NS,
    PLAUSIBLE_END_NS,
    PLAUSIBLE_START_NS,
    date_of,
    distinct,
    percentile,
    plausible,
    stamps_with_log_times,
    through_float,
)

STAMPS = st.lists(st.integers(-MAX_STAMP_NS, MAX_STAMP_NS) | st.integers(0, 5))


@given(STAMPS)
def test_distinct_is_the_sorted_set(stamps: list[int]) -> None:
    assert distinct(np.array(stamps, dtype=np.int64)).tolist() == sorted(set(stamps))


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (1, 1), (50, 5), (51, 6), (95, 10), (100, 10)])
def test_a_percentile_is_the_value_at_the_nearest_rank(percent: int, expected: int) -> None:
    assert percentile(np.array([7, 1, 3, 10, 2, 4, 9, 6, 5, 8], dtype=np.int64), percent) == expected


@given(st.lists(st.integers(-MAX_STAMP_NS, MAX_STAMP_NS), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[int], percent: int) -> None:
    enough = [value for value in values if 100 * sum(other <= value for other in values) >= percent * len(values)]
    assert percentile(np.array(values, dtype=np.int64), percent) == min(enough)


def test_plausible_dates_are_of_this_century() -> None:
    assert plausible(PLAUSIBLE_START_NS)
    assert plausible(PLAUSIBLE_END_NS)
    assert not plausible(PLAUSIBLE_START_NS - 1)
    assert not plausible(PLAUSIBLE_END_NS + 1)


def test_log_times_are_optional_but_one_for_each_stamp() -> None:
    stamps, logged = stamps_with_log_times([1, 2], None)
    assert (stamps.tolist(), logged) == ([1, 2], None)
    assert stamps_with_log_times([1, 2], [3, 4])[1].tolist() == [3, 4]
    with pytest.raises(ValueError, match="2 stamps but 1 log times"):
        stamps_with_log_times([1, 2], [3])


def test_dates_are_named() -> None:
    assert (date_of(0), date_of(315_966_265_359_836_000), date_of(-1)) == ("1970-01-01", "1980-01-06", "1969-12-31")


def test_stamps_that_went_through_a_float_are_told() -> None:
    exact = 1_700_000_000_000_123_457 + 100_000_007 * np.arange(50, dtype=np.int64)
    assert through_float(exact.astype(np.float64).astype(np.int64))
    assert not through_float(exact)
    assert not through_float(exact // 256_000 * 256_000), "microseconds that happen to be such multiples"
    assert not through_float(exact[:4].astype(np.float64).astype(np.int64)), "too few to tell"
    assert not through_float(np.zeros(20, dtype=np.int64))
