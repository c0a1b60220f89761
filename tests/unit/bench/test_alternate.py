"""Alternation, medians and ratios."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.alternate import alternate, order, ratio, spread


def test_each_round_begins_with_another_one() -> None:
    assert list(order(["a", "b", "c"], 4)) == [("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b"), ("a", "b", "c")]


@given(st.integers(1, 7), st.integers(1, 12))
def test_every_one_is_measured_once_a_round_and_stands_everywhere_equally_often(names: int, rounds: int) -> None:
    orders = list(order([str(number) for number in range(names)], rounds))
    assert all(sorted(row, key=int) == [str(number) for number in range(names)] for row in orders)
    firsts = [row[0] for row in orders]
    times = [firsts.count(str(number)) for number in range(names)]
    assert max(times) - min(times) <= 1


def test_outcomes_are_kept_in_the_order_of_rounds() -> None:
    clock = count()
    found = alternate(["a", "b"], 3, lambda name: f"{name}{next(clock)}")
    assert found == {"a": ["a0", "a3", "a4"], "b": ["b1", "b2", "b5"]}


def test_a_ratio_is_of_medians_so_that_one_outlier_does_not_move_it() -> None:
    assert ratio([3.0, 3.0, 100.0], [2.0, 0.1, 2.0]) == 1.5
    with pytest.raises(ValueError, match="at least one value"):
        ratio([], [1.0])


def test_spread() -> None:
    assert spread([100.0, 115.0, 110.0]) == pytest.approx(0.15)
    assert spread([7.0]) == 0.0
