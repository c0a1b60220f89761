"""A scene id identifies its scene."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LandingError
from lake.landing import DriveId
from lake.tables.scene_key import SceneKey

IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


@given(IDS, IDS, st.integers(-(2**63), 2**63 - 1))
def test_a_key_reads_its_own_string(vehicle: str, drive: str, anchor_ns: int) -> None:
    key = SceneKey(DriveId(vehicle, drive), anchor_ns)
    assert SceneKey.parse(str(key)) == key


def test_the_string_is_the_scene_id_of_the_table() -> None:
    assert str(SceneKey(DriveId("car-1", "d_2"), 1_700_000_000_000_000_000)) == "car-1.d_2.1700000000000000000"


@pytest.mark.parametrize(
    "scene_id",
    ["", "a.b", "a.b.c", "a.b.1.2", "a..1", "A.b.1", "a.b.01", "a.b.+1", "a.b.-0", "a.b.9223372036854775808", "a.b.1\n", "a.b.١"],
)
def test_what_is_not_a_scene_id_is_refused(scene_id: str) -> None:
    with pytest.raises(LandingError):
        SceneKey.parse(scene_id)


@pytest.mark.parametrize(
    ("anchor_ns", "day"),
    [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (86_400 * 10**9 - 1, (1970, 1, 1)), (1_714_521_600 * 10**9, (2024, 5, 1))],
)
def test_the_day_is_the_utc_day_of_the_anchor(anchor_ns: int, day: tuple[int, int, int]) -> None:
    assert SceneKey(DriveId("a", "b"), anchor_ns).day == datetime.date(*day)
