"""Grouping of sensors by clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.domains import Domain, clock_domains, difference_name, epoch_name

S = 1_000_000_000


def test_since_boot_beside_since_1970() -> None:
    """As in a real bag: both clouds and IMU are 55 days or 50 years before the log time."""
    places = {"imu": -1_587_000_000 * S, "cloud": -4_758_204 * S, "image": -4_758_204 * S + 30_000_000}
    assert clock_domains(places, "cloud") == (
        Domain(0, ("cloud", "image")),
        Domain(-1_587_000_000 * S + 4_758_204 * S, ("imu",)),
    )


def test_without_a_reference_the_largest_domain_is_home() -> None:
    assert [one.sensors for one in clock_domains({"a": 0, "b": 9 * S, "c": 9 * S}, None)] == [("b", "c"), ("a",)]
    assert clock_domains({}, "a") == ()


def test_neighbours_link_a_domain() -> None:
    assert len(clock_domains({"a": 0, "b": S, "c": 2 * S}, "a")) == 1
    assert len(clock_domains({"a": 0, "b": S + 1}, "a")) == 2


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(-(10**18), 10**18), min_size=1), st.data())
def test_domains_are_a_partition_that_a_shift_does_not_change(places: dict[str, int], data: st.DataObject) -> None:
    reference = data.draw(st.sampled_from(sorted(places)))
    apart_ns = data.draw(st.integers(0, 10**18))
    domains = clock_domains(places, reference, apart_ns)
    assert sorted(name for one in domains for name in one.sensors) == sorted(places)
    assert reference in domains[0].sensors
    for one in domains:
        for other in domains:
            if one is not other:
                assert all(abs(places[a] - places[b]) > apart_ns for a in one.sensors for b in other.sensors)
    assert clock_domains({name: place + 77 for name, place in places.items()}, reference, apart_ns) == domains


@pytest.mark.parametrize(("stamp_ns", "name"), [(1_700_000_000 * S, "1970"), (1622 * S, "boot"), (-5, "unknown")])
def test_epochs(stamp_ns: int, name: str) -> None:
    assert epoch_name(stamp_ns) == name


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(18, "GPS time"), (37, "TAI"), (-315_964_782, "GPS epoch"), (-7200, "2 h: a time zone"), (5000, None), (3, None)],
)
def test_known_differences(seconds: int, message: str | None) -> None:
    found = difference_name(seconds * S)
    assert found is None if message is None else found is not None and message in found
