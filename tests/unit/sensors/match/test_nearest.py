"""Nearest matching against a brute-force oracle, the laws of P4, and tables for its rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.match.nearest import Matches, MatchReason, match_nearest

MS = 1_000_000
EPOCH_NS = 1_700_000_000_123_456_789
SMALL = st.integers(-40, 40)
ANCHORS = st.lists(SMALL, max_size=12)
STAMPS = st.lists(SMALL, max_size=12).map(sorted)
DELAY = st.integers(-30, 30)
TOLERANCE = st.integers(0, 30)


def brute_force(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> list[tuple[int, int, int, MatchReason]]:
    """Index, offset, residual and reason of each anchor, by looking at every frame."""
    found = []
    for anchor in anchors:
        if not stamps:
            found.append((-1, 0, 0, MatchReason.NO_FRAME))
            continue
        best = min(range(len(stamps)), key=lambda i, at=anchor + delay: (abs(stamps[i] - at), stamps[i], i))  # type: ignore[misc]
        offset = stamps[best] - anchor
        near = abs(offset - delay) <= tolerance
        found.append(
            (best if near else -1, offset, offset - delay, MatchReason.MATCHED if near else MatchReason.OUTSIDE_TOLERANCE)
        )
    return found


def rows(matches: Matches) -> list[tuple[int, int, int, MatchReason]]:
    columns = (matches.index, matches.offset_ns, matches.residual_ns)
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    return [
        (*values, MatchReason(reason)) for *values, reason in zip(*(c.tolist() for c in (*columns, matches.reason)), strict=True)
    ]


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_equals_brute_force(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> None:
    assert rows(match_nearest(anchors, stamps, delay, tolerance)) == brute_force(anchors, stamps, delay, tolerance)


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_shifting_all_times_to_the_epoch_changes_nothing(
    anchors: list[int], stamps: list[int], delay: int, tolerance: int
) -> None:
    """Float seconds resolve 238 ns there, float nanoseconds 256: any float on the way would break this."""
    near_zero = match_nearest(anchors, stamps, delay, tolerance)
    at_epoch = match_nearest(np.array(anchors, np.int64) + EPOCH_NS, np.array(stamps, np.int64) + EPOCH_NS, delay, tolerance)
    assert rows(at_epoch) == rows(near_zero)


@given(ANCHORS, STAMPS, DELAY, TOLERANCE, st.randoms(use_true_random=False))
def test_frames_in_any_order_match_the_same_stamps_once_sorted(
    anchors: list[int], stamps: list[int], delay: int, tolerance: int, random: object
) -> None:
    shuffled = list(stamps)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rows(match_nearest(anchors, sorted(shuffled), delay, tolerance)) == rows(
        match_nearest(anchors, stamps, delay, tolerance)
    )


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_each_anchor_is_matched_for_itself(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> None:
    alone = [row for anchor in anchors for row in rows(match_nearest([anchor], stamps, delay, tolerance))]
    assert rows(match_nearest(anchors, stamps, delay, tolerance)) == alone


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_what_is_matched_keeps_the_promise(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> None:
    matches = match_nearest(anchors, stamps, delay, tolerance)
    chosen = matches.matched
    np.testing.assert_array_equal(chosen, matches.reason == MatchReason.MATCHED)
    assert (np.abs(matches.residual_ns[chosen]) <= tolerance).all()
    found = np.array(stamps, dtype=np.int64)[matches.index[chosen]]
    np.testing.assert_array_equal(found - np.array(anchors, dtype=np.int64)[chosen], matches.offset_ns[chosen])
    np.testing.assert_array_equal(matches.offset_ns - matches.residual_ns, delay if stamps else 0)


@pytest.mark.parametrize(
    ("stamps", "delay", "tolerance", "index", "reason"),
    [
        ([100], 0, 0, 0, MatchReason.MATCHED),
        ([101], 0, 1, 0, MatchReason.MATCHED),  # the tolerance belongs to it
        ([99], 0, 1, 0, MatchReason.MATCHED),
        ([102], 0, 1, -1, MatchReason.OUTSIDE_TOLERANCE),
        ([90, 110], 0, 10, 0, MatchReason.MATCHED),  # a tie goes to the earlier
        ([90, 90, 110], 0, 10, 0, MatchReason.MATCHED),  # and to the first of its stamp
        ([50, 100, 100, 100], 0, 10, 1, MatchReason.MATCHED),
        ([50, 110, 110], 0, 10, 1, MatchReason.MATCHED),
        ([100, 150], 50, 10, 1, MatchReason.MATCHED),  # nearest to anchor + delay, not to the anchor
        ([50, 100], -50, 10, 0, MatchReason.MATCHED),
        ([], 0, 10, -1, MatchReason.NO_FRAME),
    ],
)
def test_the_rules(stamps: list[int], delay: int, tolerance: int, index: int, reason: MatchReason) -> None:
    matches = match_nearest([100], stamps, delay, tolerance)
    assert (matches.index.tolist(), matches.reason.tolist()) == ([index], [reason])


def test_a_frame_may_serve_several_anchors() -> None:
    assert match_nearest([0, 10, 20], [11], 0, 15).index.tolist() == [0, 0, 0]


def test_the_nearest_frame_that_was_too_far_is_reported() -> None:
    matches = match_nearest([EPOCH_NS], [EPOCH_NS + 60 * MS], -20 * MS, 25 * MS)
    assert (matches.offset_ns.tolist(), matches.residual_ns.tolist()) == ([60 * MS], [80 * MS])


def test_a_camera_that_triggers_a_period_before_the_sweep_ends_pairs_with_its_own_sweep() -> None:
    """Offsets as measured on a real rig: 99.92 ms before the lidar stamp, which nearest-to-stamp pairs off by one."""
    lidar = EPOCH_NS + np.arange(10) * 100 * MS
    back = lidar - 99_920_000
    assert match_nearest(lidar, back, 0, 50 * MS).index.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, -1]
    assert match_nearest(lidar, back, -99_920_000, 50 * MS).index.tolist() == list(range(10))


def test_no_anchors_give_no_matches() -> None:
    assert rows(match_nearest([], [1, 2], 0, 10)) == []


def test_the_far_ends_of_the_range_do_not_overflow() -> None:
    end = 4 * 10**18
    matches = match_nearest([-end, end], [-end, end], 10**18, 10**18)
    assert matches.residual_ns.tolist() == [-(10**18), -(10**18)]
    assert match_nearest([end], [-end], 10**18, 10**18).residual_ns.tolist() == [-9 * 10**18]


def test_labels_are_the_spelling_of_tables() -> None:
    assert [reason.label for reason in MatchReason] == [
        "matched",
        "no_frame",
        "outside_tolerance",
        "frame_of_nearer_anchor",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1], 0, 1), "float64"),
        (([1], [1.5], 0, 1), "float64"),
        (([[1]], [1], 0, 1), "one-dimensional"),
        (([1], [2, 1], 0, 1), "element 1 is 1 ns before element 0"),
        (([2**62], [1], 0, 1), "beyond"),
        (([1], [1], 0, -1), "tolerance_ns is -1"),
        (([1], [1], 2**62, 1), "expected_delay_ns is"),
    ],
)
def test_wrong_input_is_refused(arguments: tuple[object, object, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_nearest(*arguments)  # type: ignore[arg-type]


def test_float_terms_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be integer nanoseconds, got 0\.5"):
        match_nearest([1], [1], 0.5, 1)  # type: ignore[arg-type]
