"""The keyframe grid against exact fractions, and the laws that make it the same for every chunk."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sensors.match.anchors import cell_numbers, keyframes

EPOCH_NS = 1_700_000_000_123_456_789
STAMP = st.integers(-4 * 10**18, 4 * 10**18)
RATE = st.one_of(
    st.sampled_from((0.001, 0.1, 0.3, 1, 2, 3, 7, 10, 12.5, 29.97, 30, 60, 1000)), st.floats(0.001, 1000, allow_subnormal=False)
)


def by_definition(stamp_ns: int, hz: float) -> int:
    return floor(Fraction(repr(float(hz))) * stamp_ns / 10**9)


@given(st.lists(STAMP, max_size=8), RATE)
def test_cells_are_exact_whatever_the_rate(stamps: list[int], hz: float) -> None:
    assert cell_numbers(stamps, hz).tolist() == [by_definition(stamp, hz) for stamp in stamps]


@given(st.integers(0, 10**10), st.sampled_from((3.0, 7.0, 29.97, 0.0012345678901234)))
def test_a_boundary_between_two_nanoseconds(cell: int, hz: float) -> None:
    boundary = Fraction(cell * 10**9) / Fraction(repr(hz))
    assume(boundary < 4 * 10**18)
    assert cell_numbers([ceil(boundary) - 1, ceil(boundary)], hz).tolist() == [cell - 1, cell]


@given(st.lists(st.integers(-3000, 3000), max_size=30).map(sorted), st.sampled_from((0.3, 1, 2, 3, 10)))
def test_the_first_frame_of_each_cell_is_the_anchor_and_no_other(steps: list[int], hz: float) -> None:
    stamps = EPOCH_NS + np.array(steps, dtype=np.int64) * 1_000_000
    chosen = stamps[keyframes(stamps, hz)].tolist()
    by_cell: dict[int, int] = {}
    for stamp in stamps.tolist():
        by_cell.setdefault(by_definition(stamp, hz), stamp)
    assert chosen == list(by_cell.values())


@given(st.lists(st.integers(0, 3000), max_size=30, unique=True).map(sorted), st.integers(0, 30), st.sampled_from((0.3, 2, 3, 10)))
def test_a_drive_that_is_cut_anywhere_has_the_same_anchors(steps: list[int], at: int, hz: float) -> None:
    stamps = EPOCH_NS + np.array(steps, dtype=np.int64) * 1_000_000
    head, tail = stamps[:at], stamps[at:]
    previous = int(cell_numbers(head[-1:], hz)[0]) if head.size else None
    parts = np.concatenate([keyframes(head, hz), keyframes(tail, hz, previous)])
    np.testing.assert_array_equal(parts, keyframes(stamps, hz))


@given(st.lists(st.integers(0, 3000), max_size=30, unique=True).map(sorted), st.integers(0, 30), st.sampled_from((0.3, 2, 3, 10)))
def test_a_drive_that_starts_later_keeps_every_anchor_but_its_first(steps: list[int], skipped: int, hz: float) -> None:
    """The grid is that of the clock, not of the drive: leaving out the start moves the anchor of one cell at most."""
    stamps = EPOCH_NS + np.array(steps, dtype=np.int64) * 1_000_000
    whole = set(stamps[keyframes(stamps, hz)].tolist())
    later = stamps[skipped:]
    assert set(later[keyframes(later, hz)].tolist()[1:]) <= whole


def test_the_end_of_a_cell_belongs_to_the_next() -> None:
    half_s = 500_000_000
    stamps = [0, half_s - 1, half_s, half_s + 1, 2 * half_s - 1, 2 * half_s]
    assert keyframes(stamps, 2).tolist() == [True, False, True, False, False, True]
    assert keyframes([-1, 0], 2).tolist() == [True, True], "cells before the epoch are half-open on the same side"


def test_without_a_rate_every_frame_is_an_anchor() -> None:
    assert keyframes([1, 2, 2, 3], None).tolist() == [True] * 4
    assert keyframes([], 2).tolist() == []


@pytest.mark.parametrize("hz", [0.0, -1.0, float("nan"), float("inf"), 2e9])
def test_rates_without_a_grid_are_refused(hz: float) -> None:
    with pytest.raises(ValueError, match="keyframe_hz is"):
        cell_numbers([1], hz)


def test_stamps_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="must ascend"):
        keyframes([2, 1], 2)
