"""Windows: a partition of the scenes, of bounded size, never across midnight UTC."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.plan.windows import WINDOW_SCENES, Window, cut
from sensors.time_units import NS_PER_DAY

DAY = 19_675  # 2023-11-14
ANCHORS = st.lists(st.integers(-2 * NS_PER_DAY, 3 * NS_PER_DAY), max_size=40, unique=True).map(sorted)


@given(ANCHORS, st.data(), st.integers(1, 500), st.integers(1, 10))
def test_windows_partition_the_scenes_within_their_limits(anchors: list[int], data: st.DataObject, limit: int, most: int) -> None:
    sizes = data.draw(st.lists(st.integers(0, 600), min_size=len(anchors), max_size=len(anchors)))
    windows = cut(np.array(anchors, dtype=np.int64), np.array(sizes, dtype=np.int64), limit, most)
    assert [scene for window in windows for scene in range(window.first, window.last)] == list(range(len(anchors)))
    assert [window.number for window in windows] == list(range(len(windows)))
    for window in windows:
        inside = slice(window.first, window.last)
        assert {anchor // NS_PER_DAY for anchor in anchors[inside]} == {window.day}
        assert window.last - window.first <= most
        assert sum(sizes[inside]) == window.size_bytes
        assert window.size_bytes <= limit or window.last - window.first == 1
    for one, other in pairwise(windows):
        joined = sum(sizes[one.first : one.last]) + sizes[other.first]
        full = joined > limit or one.last - one.first == most
        assert full or one.day != other.day, "a window ends only where it must"


def test_no_scene_makes_no_window() -> None:
    assert cut(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)) == []


def test_the_last_nanosecond_of_a_day_is_of_that_day() -> None:
    midnight = (DAY + 1) * NS_PER_DAY
    anchors = np.array([midnight - 1, midnight, midnight + 1], dtype=np.int64)
    assert cut(anchors, np.ones(3, dtype=np.int64)) == [Window(0, 0, 1, DAY, 1), Window(1, 1, 3, DAY + 1, 2)]


def test_a_scene_larger_than_the_limit_is_alone() -> None:
    anchors = DAY * NS_PER_DAY + np.arange(4, dtype=np.int64)
    assert [(w.first, w.last) for w in cut(anchors, np.array([1, 99, 1, 1]), limit=10)] == [(0, 1), (1, 2), (2, 4)]


@pytest.mark.parametrize("size", [0, 1])
def test_many_small_scenes_do_not_share_one_window(size: int) -> None:
    anchors = DAY * NS_PER_DAY + np.arange(2 * WINDOW_SCENES + 1, dtype=np.int64)
    windows = cut(anchors, np.full(len(anchors), size, dtype=np.int64))
    assert [window.last - window.first for window in windows] == [WINDOW_SCENES, WINDOW_SCENES, 1]


@pytest.mark.parametrize(
    ("drive_mib", "windows", "largest_mib"), [(6, 1, 6), (40, 3, 16), (192, 4, 49), (256, 4, 64), (640, 10, 64)]
)
def test_a_short_drive_is_cut_finer_but_not_into_crumbs(drive_mib: int, windows: int, largest_mib: int) -> None:
    anchors = DAY * NS_PER_DAY + np.arange(drive_mib, dtype=np.int64)
    found = cut(anchors, np.full(drive_mib, 2**20, dtype=np.int64))
    assert (len(found), max(window.size_bytes for window in found)) == (windows, largest_mib * 2**20)
