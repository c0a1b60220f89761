"""Grouping of sensors by clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.domains import Domain, ahead, clock_domains, difference_name, epoch_name, logged_domains

S = 1_000_000_000
MS = 1_000_000


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
    ("seconds", "says"),
    [
        (18, "GPS time"),
        (37, "TAI"),
        (-315_964_782, "GPS epoch"),
        (-7200, "2 h: a time zone"),
        (5000, None),
        (3, None),
        (-619_315_200, "1024 weeks: a rollover of the GPS week number"),
        (-1_238_630_382, "2048 weeks"),
        (86_400, "1 d: a date"),
        (-7 * 86_400, "7 d"),
        (0.9, "1 s: a second miscounted"),
        (0.5, None),
    ],
)
def test_known_differences(seconds: float, says: str | None) -> None:
    found = difference_name(round(seconds * S))
    assert found is None if says is None else found is not None and says in found


# ---- by log times ----


@pytest.mark.parametrize("shift_ms", [1000, -1000, 2000, -3000, 950, 37_000, -619_315_200_000])
@pytest.mark.parametrize("reference", ["lidar", "cam"])
def test_whole_seconds_are_a_clock_of_their_own(shift_ms: int, reference: str) -> None:
    places = {"lidar": -12 * MS, "cam": -18 * MS + shift_ms * MS, "odo": -3 * MS, "radar": -150 * MS}
    domains = logged_domains(places, reference)
    assert len(domains) == 2
    apart = domains[1]
    assert {"cam"} in (set(domains[0].sensors), set(apart.sensors))
    assert abs(abs(apart.at_ns) - abs(shift_ms) * MS) <= 200 * MS


@pytest.mark.parametrize("lags_ms", [(12, 18, 3, 150), (0, 0, 0, 0), (400, 5, 700, 40), (-20, -45, 3, 10)])
def test_transport_of_less_than_a_second_is_one_clock(lags_ms: tuple[int, ...]) -> None:
    places = {name: -lag * MS for name, lag in zip(("lidar", "cam", "odo", "radar"), lags_ms, strict=True)}
    assert len(logged_domains(places, "lidar")) == 1
    assert ahead(places) == frozenset()


def test_later_than_its_own_log_times_is_a_clock_of_its_own() -> None:
    places = {"lidar": -12 * MS, "cam": 82 * MS, "odo": -3 * MS}
    assert ahead(places) == {"cam"}
    assert [one.sensors for one in logged_domains(places, "lidar")] == [("lidar", "odo"), ("cam",)]
    assert [one.sensors for one in logged_domains(places, "cam")] == [("cam",), ("lidar", "odo")]


@pytest.mark.parametrize("slow_ms", [0, 6, 8, 30])
@pytest.mark.parametrize("ahead_ms", [100, 500, 600])
def test_a_recorder_that_is_a_little_slow_hides_no_clock_that_is_ahead(slow_ms: int, ahead_ms: int) -> None:
    places = {"lidar": (slow_ms - 4) * MS, "cam": (slow_ms - 3 + ahead_ms) * MS, "odo": (slow_ms - 1) * MS}
    assert ahead(places) == {"cam"}
    assert [one.sensors for one in logged_domains(places, "lidar")] == [("lidar", "odo"), ("cam",)]


def test_sensors_that_are_not_much_further_ahead_than_the_others_are_none() -> None:
    assert ahead({"lidar": 20 * MS, "cam": 60 * MS, "odo": 45 * MS}) == frozenset()


def test_who_is_between_does_not_link_a_clock_to_the_references() -> None:
    places = {"lidar": -3 * MS, "odo": -703 * MS, "cam": -1403 * MS}
    first, second = logged_domains(places, "lidar")
    assert (first.sensors, second) == (("lidar", "odo"), Domain(-1400 * MS, ("cam",)))


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(-(10**10), 10**10), min_size=1), st.sampled_from("abcdefg"))
def test_nobody_in_the_references_domain_is_more_than_a_second_from_it(places: dict[str, int], reference: str) -> None:
    home = logged_domains(places, reference)[0]
    if reference in places:
        assert all(abs(places[name] - places[reference]) <= S for name in home.sensors)


def test_a_recorder_that_is_slow_puts_no_single_sensor_ahead() -> None:
    places = {"lidar": 490 * MS, "cam": 480 * MS, "odo": 497 * MS, "gnss": 450 * MS}
    assert ahead(places) == frozenset()
    assert len(logged_domains(places, "lidar")) == 1


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(-(10**10), 10**10), min_size=1),
    st.sampled_from([*"abcdefg", None]),
)
def test_each_sensor_is_in_one_domain_and_the_references_is_first(places: dict[str, int], reference: str | None) -> None:
    domains = logged_domains(places, reference)
    assert sorted(name for one in domains for name in one.sensors) == sorted(places)
    assert domains[0].at_ns == 0
    if reference in places:
        assert reference in domains[0].sensors
