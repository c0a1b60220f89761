"""ROS approximate time against a literal search of every set, its published properties, and timelines drawn by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.match.approximate_time import form_sets

EPOCH_NS = 1_700_000_000_123_456_789
FAR = 10_000
TOPIC = st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True).map(sorted)
TOPICS = st.lists(TOPIC, min_size=1, max_size=3)
PENALTY = st.sampled_from((Fraction(0), Fraction(1, 10), Fraction(1)))
LARGEST = st.sampled_from((None, None, 0, 4, 10))


def by_definition(topics: list[list[int]], penalty: Fraction, largest: int | None) -> list[list[int]]:
    """For each next set: the pivot is the latest of the earliest unused; of all sets with it, the one of least penalised
    size; of equally good ones the earliest. All messages are known to have come."""
    used = [0] * len(topics)
    sets = []
    while all(first < len(stamps) for first, stamps in zip(used, topics, strict=True)):
        heads = [stamps[first] for first, stamps in zip(used, topics, strict=True)]
        if largest is not None and max(heads) - min(heads) > largest:
            used[heads.index(min(heads))] += 1
            continue
        pivot_topic = len(heads) - 1 - heads[::-1].index(max(heads))
        choices = [
            [first] if topic == pivot_topic else range(first, len(stamps))
            for topic, (first, stamps) in enumerate(zip(used, topics, strict=True))
        ]

        def rank(chosen: tuple[int, ...]) -> tuple[Fraction, int, list[int]]:
            stamps = [topics[topic][position] for topic, position in enumerate(chosen)]
            return (1 + penalty) * max(stamps) - min(stamps), min(stamps), stamps

        best = min(product(*choices), key=rank)
        sets.append(list(best))
        used = [position + 1 for position in best]
    return sets


def found(topics: object, **options: object) -> list[list[int]]:
    return form_sets(topics, **options).tolist()  # type: ignore[arg-type, no-any-return]


@given(TOPICS, PENALTY, LARGEST)
def test_equals_its_definition_once_everything_has_come(topics: list[list[int]], penalty: Fraction, largest: int | None) -> None:
    """A message of each topic in the far future settles every set before it."""
    settled = found([[*stamps, FAR] for stamps in topics], age_penalty=penalty, max_interval_ns=largest)
    without_the_future = [chosen for chosen in settled if all(c < len(t) for c, t in zip(chosen, topics, strict=True))]
    assert without_the_future == by_definition(topics, penalty, largest)


@given(TOPICS, PENALTY, LARGEST)
def test_what_is_put_out_at_the_end_of_the_input_is_not_revised(
    topics: list[list[int]], penalty: Fraction, largest: int | None
) -> None:
    early = found(topics, age_penalty=penalty, max_interval_ns=largest)
    assert early == by_definition(topics, penalty, largest)[: len(early)]


@given(TOPICS, PENALTY)
def test_the_published_properties_hold(topics: list[list[int]], penalty: Fraction) -> None:
    sets = found(topics, age_penalty=penalty)
    for one, other in pairwise(sets):
        assert all(a < b for a, b in zip(one, other, strict=True)), "used once, and not crossing"
        assert any(b == a + 1 for a, b in zip(one, other, strict=True)), "contiguous: no other set fits between"


@given(TOPICS, PENALTY, LARGEST)
def test_the_order_in_which_messages_come_decides_when_a_set_is_put_out_and_not_which(
    topics: list[list[int]], penalty: Fraction, largest: int | None
) -> None:
    """All at once against one by one, in queues that are never full."""

    def both(chosen: list[list[int]]) -> list[list[list[int]]]:
        return [found(chosen, age_penalty=penalty, max_interval_ns=largest, queue_size=queue_size) for queue_size in (100, None)]

    one_by_one, at_once = both(topics)
    assert one_by_one == at_once[: len(one_by_one)]
    one_by_one, at_once = both([[*stamps, FAR] for stamps in topics])
    assert one_by_one == at_once


@given(TOPICS, PENALTY)
def test_a_true_lower_bound_changes_no_set_and_may_put_more_out(topics: list[list[int]], penalty: Fraction) -> None:
    bounds = [min((b - a for a, b in pairwise(stamps)), default=0) for stamps in topics]
    without, with_bounds = (found(topics, age_penalty=penalty, lower_bounds_ns=chosen) for chosen in (None, bounds))
    assert with_bounds[: len(without)] == without
    assert with_bounds == by_definition(topics, penalty, None)[: len(with_bounds)]


@given(TOPICS, PENALTY, LARGEST, st.sampled_from((None, 1, 2, 5)))
def test_epoch_sized_stamps_change_nothing(
    topics: list[list[int]], penalty: Fraction, largest: int | None, queue_size: int | None
) -> None:
    late = [np.array(stamps, dtype=np.int64) + EPOCH_NS for stamps in topics]
    options = {"age_penalty": penalty, "max_interval_ns": largest, "queue_size": queue_size}
    assert found(late, **options) == found(topics, **options)


@given(TOPICS, st.integers(1, 4))
def test_a_full_queue_loses_messages_but_uses_none_twice(topics: list[list[int]], queue_size: int) -> None:
    for one, other in pairwise(found(topics, queue_size=queue_size)):
        assert all(a < b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("topics", "sets"),
    [
        ([[0, 10, 20], [0, 10, 20]], [[0, 0], [1, 1], [2, 2]]),  # equal stamps wait for nothing
        ([[0, 10, 20], [1, 11, 21]], [[0, 0], [1, 1]]),  # the message at 21 might still find one at 22
        ([[0, 10, 20, 30], [9, 29]], [[1, 0], [3, 1]]),  # 10 is nearer to 9 than 0 is
        ([[0, 10, 18], [9, 19]], [[1, 0]]),  # 19 might still find a message nearer than 18
        ([[0, 1, 2, 3], [3, 40]], [[3, 0]]),
        ([[5, 40], [0, 6, 41]], [[0, 1]]),  # the pivot 5 is 5 from 0, 1 from 6
        ([[5]], [[0]]),
        ([[], [1]], []),
        ([], []),
    ],
)
def test_timelines_by_hand(topics: list[list[int]], sets: list[list[int]]) -> None:
    assert found(topics) == sets


def test_the_age_penalty_prefers_the_earlier_of_nearly_equal_sets() -> None:
    """Of sizes 100 and 95, the second ends 95 later: with a penalty of a tenth that counts as 104.5."""
    topics = [[0, 195, 1000], [100, 1000]]
    assert found(topics, age_penalty=Fraction(0))[0] == [1, 0]
    assert found(topics)[0] == [0, 0]


def test_a_set_larger_than_the_limit_is_not_put_out_and_costs_only_its_earliest_message() -> None:
    topics = [[0, 50, 100], [20, 51, 101]]
    assert found([[*stamps, FAR] for stamps in topics], max_interval_ns=10)[:2] == [[1, 1], [2, 2]]


def test_a_full_queue_loses_the_set_that_was_waiting() -> None:
    stalled, busy, other = [0, 50], [1, 3, 5, 7, 9], [2]
    assert found([stalled, busy, other], queue_size=5) == [[0, 0, 0]]
    assert found([stalled, busy, other], queue_size=3) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"age_penalty": Fraction(-1)}, "age_penalty is -1"),
        ({"queue_size": 0}, "queue_size is 0"),
        ({"max_interval_ns": -1}, "max_interval_ns is -1"),
        ({"lower_bounds_ns": [1]}, "1 lower bounds for 2 topics"),
        ({"lower_bounds_ns": [1, -1]}, "lower_bounds_ns is -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        found([[1], [1]], **options)


def test_stamps_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stamps_ns\[1\] must ascend"):
        found([[1], [2, 1]])
