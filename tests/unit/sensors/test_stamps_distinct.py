"""Distinct stamps: as a sorted set."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensors.stamps import MAX_STAMP_NS, distinct


@given(st.lists(st.integers(-MAX_STAMP_NS, MAX_STAMP_NS) | st.integers(0, 5)))
def test_distinct_is_the_sorted_set(stamps: list[int]) -> None:
    assert distinct(np.array(stamps, dtype=np.int64)).tolist() == sorted(set(stamps))
