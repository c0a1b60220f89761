"""Exclusive matching against its definition, frame by frame, and the laws that make it local."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.match.exclusive import match_exclusive
from sensors.match.nearest import MatchReason, match_nearest

EPOCH_NS = 1_700_000_000_123_456_789
SMALL = st.integers(-40, 40)
ANCHORS = st.lists(SMALL, max_size=10).map(sorted)
STAMPS = st.lists(SMALL, max_size=12).map(sorted)
DELAY = st.integers(-20, 20)
TOLERANCE = st.integers(0, 30)
Row = tuple[int, int, int, MatchReason]


def by_definition(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> list[Row]:
    """Every frame is compared with every anchor, then every anchor with its own frames."""
    targets = [anchor + delay for anchor in anchors]
    owner = [min(range(len(targets)), key=lambda a, s=s: (abs(targets[a] - s), targets[a], a), default=-1) for s in stamps]  # type: ignore[misc]
    found: list[Row] = []
    for number, target in enumerate(targets):
        if not stamps:
            found.append((-1, 0, 0, MatchReason.NO_FRAME))
            continue
        distance = [(abs(stamp - target), stamp, frame) for frame, stamp in enumerate(stamps)]
        own = min((entry for entry in distance if owner[entry[2]] == number), default=None)
        nearest = min(distance)
        if own is not None and own[0] <= tolerance:
            found.append((own[2], own[1] - anchors[number], own[1] - target, MatchReason.MATCHED))
        else:
            reason = MatchReason.FRAME_OF_NEARER_ANCHOR if nearest[0] <= tolerance else MatchReason.OUTSIDE_TOLERANCE
            found.append((-1, nearest[1] - anchors[number], nearest[1] - target, reason))
    return found


def rows(anchors: object, stamps: object, delay: int, tolerance: int) -> list[Row]:
    matches = match_exclusive(anchors, stamps, delay, tolerance)  # type: ignore[arg-type]
    columns = (matches.index, matches.offset_ns, matches.residual_ns)
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    return [
        (index, offset, residual, MatchReason(reason))
        for index, offset, residual, reason in zip(*(c.tolist() for c in (*columns, matches.reason)), strict=True)
    ]


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_equals_its_definition(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> None:
    assert rows(anchors, stamps, delay, tolerance) == by_definition(anchors, stamps, delay, tolerance)


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_a_frame_serves_one_anchor_and_matches_do_not_cross(
    anchors: list[int], stamps: list[int], delay: int, tolerance: int
) -> None:
    used = [row[0] for row in rows(anchors, stamps, delay, tolerance) if row[0] >= 0]
    assert used == sorted(set(used))


@given(ANCHORS, STAMPS, DELAY, TOLERANCE)
def test_epoch_sized_stamps_change_nothing(anchors: list[int], stamps: list[int], delay: int, tolerance: int) -> None:
    late_anchors, late = (np.array(values, dtype=np.int64) + EPOCH_NS for values in (anchors, stamps))
    assert rows(late_anchors, late, delay, tolerance) == rows(anchors, stamps, delay, tolerance)


@given(st.lists(SMALL, max_size=10, unique=True).map(sorted), STAMPS, DELAY, TOLERANCE)
def test_it_takes_only_frames_that_shared_use_would_accept_and_all_that_are_undisputed(
    anchors: list[int], stamps: list[int], delay: int, tolerance: int
) -> None:
    spacing = min(np.diff(anchors).tolist(), default=1_000)
    shared = match_nearest(anchors, stamps, delay, tolerance)
    for row, index, residual in zip(
        rows(anchors, stamps, delay, tolerance), shared.index.tolist(), shared.residual_ns.tolist(), strict=True
    ):
        assert row[0] < 0 or index >= 0
        if index >= 0 and 2 * abs(residual) < spacing:
            assert row[0] == index


@given(ANCHORS, STAMPS, DELAY, TOLERANCE, st.integers(0, 12))
def test_a_lost_frame_changes_the_matches_beside_it_only(
    anchors: list[int], stamps: list[int], delay: int, tolerance: int, lost: int
) -> None:
    if lost >= len(stamps):
        return
    kept = stamps[:lost] + stamps[lost + 1 :]
    before = [stamps[row[0]] if row[0] >= 0 else None for row in rows(anchors, stamps, delay, tolerance)]
    after = [kept[row[0]] if row[0] >= 0 else None for row in rows(anchors, kept, delay, tolerance)]
    changed = [anchor for anchor, one, other in zip(anchors, before, after, strict=True) if one != other]
    assert len(changed) <= 1


@pytest.mark.parametrize(
    ("anchors", "stamps", "found"),
    [
        ([0, 10], [5], [0, -1]),  # as near to both: the earlier anchor's
        ([0, 10], [6], [-1, 0]),
        ([0, 10], [4, 6], [0, 1]),
        ([0, 10], [6, 9], [-1, 1]),  # 6 is the second anchor's, which has a nearer one: nobody gets it
        ([0, 10], [-3, 3], [0, -1]),  # equally near: the earlier frame
        ([7, 7], [7], [0, -1]),
        ([0, 10, 20], [11], [-1, 0, -1]),
    ],
)
def test_the_rules(anchors: list[int], stamps: list[int], found: list[int]) -> None:
    assert match_exclusive(anchors, stamps, 0, 15).index.tolist() == found


def test_the_reason_tells_a_frame_that_is_used_elsewhere_from_one_that_is_too_far() -> None:
    reasons = match_exclusive([0, 10, 100], [11], 0, 15).reason.tolist()
    assert reasons == [MatchReason.FRAME_OF_NEARER_ANCHOR, MatchReason.MATCHED, MatchReason.OUTSIDE_TOLERANCE]


def test_anchors_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="anchors_ns must ascend"):
        match_exclusive([2, 1], [1], 0, 1)
