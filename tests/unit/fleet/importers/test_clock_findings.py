"""An importer's findings on stamps: every duplicate, step back and gap counted, the first few named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.importers.clock_findings import (
    clock_findings,
    declared_delay_ns,
    delay_words,
    half_period_ns,
    mean_hz,
    named,
    overlap_findings,
)

MS = 1_000_000


def test_an_even_clock_has_nothing_to_say() -> None:
    assert clock_findings("a", [n * 50 * MS for n in range(20)]) == []
    assert clock_findings("a", []) == [] and clock_findings("a", [5]) == []


def test_duplicate_stamps_steps_back_and_gaps_are_reported_with_their_sizes() -> None:
    stamps = [n * MS for n in (0, 50, 50, 100, 30, 80, 130, 180, 300)]
    assert clock_findings("a", stamps) == [
        "a: 1 of 9 frames repeat the stamp of another; kept",
        "a: the clock steps back by 70.0 ms at row 5; kept",
        "a: 120.0 ms pass before row 9, usually 50.0 ms; as the clock also steps back, it may have stepped forward here",
    ]


def test_the_first_five_gaps_are_named_the_others_counted() -> None:
    steps = [50] * 9 + [100, 110, 120, 130, 140, 150, 160]
    stamps = [sum(steps[:n]) * MS for n in range(len(steps) + 1)]
    found = clock_findings("a", stamps)
    assert len(found) == 6 and found[0] == "a: 100.0 ms pass before row 11, usually 50.0 ms"
    assert found[-1] == "a: 2 more gaps, the widest of 160.0 ms"


@given(st.lists(st.integers(0, 10**12), max_size=40))
def test_every_repetition_is_counted(stamps: list[int]) -> None:
    findings = [line for line in clock_findings("a", stamps) if "repeat" in line]
    repeated = len(stamps) - len(set(stamps))
    assert findings == ([f"a: {repeated} of {len(stamps)} frames repeat the stamp of another; kept"] if repeated else [])


def test_late_starts_and_early_ends_are_more_than_a_period() -> None:
    streams = {
        "lidar": [n * 50 * MS for n in range(21)],
        "late": [n * 50 * MS for n in range(2, 21)],
        "slow": [n * 500 * MS for n in range(1, 3)],
        "short": [n * 50 * MS for n in range(19)],
        "empty": [],
    }
    assert overlap_findings(streams) == [
        "late: begins 100.0 ms after the first frame of all (lidar)",
        "short: ends 100.0 ms before the last frame of all (lidar)",
    ]
    assert overlap_findings({"lidar": [1, 2]}) == []


def test_the_mean_rate_counts_distinct_stamps() -> None:
    assert mean_hz([0, 100 * MS, 100 * MS, 200 * MS]) == 10.0
    assert mean_hz([7]) is None and mean_hz([7, 7]) is None


@pytest.mark.parametrize("wild", [0, 20 * 60 * 1000 * MS, 3600 * 1000 * MS, 10**17])
def test_a_wild_stamp_is_no_rate(wild: int) -> None:
    stamps = [10**18 + n * 100 * MS for n in range(40)]
    stamps[7] = wild if wild == 0 else stamps[7] + wild
    for order in (stamps, sorted(stamps)):
        measured_hz = mean_hz(order)
        assert measured_hz is not None and 9.5 <= measured_hz <= 10.0  # one step has twice the length


def test_a_hole_is_no_rate_and_no_early_end() -> None:
    stamps = [n * 100 * MS for n in (*range(20), *range(50, 70))]
    assert mean_hz(stamps) == 10.0
    wild = [*(n * 100 * MS for n in range(30)), 7200 * 1000 * MS]
    assert overlap_findings({"lidar": [n * 100 * MS for n in range(30)], "camera": wild}) == []


def test_the_rate_of_poses_in_groups_is_that_of_all() -> None:
    """Twelve sensors triggered within 50 ms, twice a second."""
    stamps = [n * 500 * MS + sensor * 4 * MS for n in range(10) for sensor in range(12)]
    assert mean_hz(stamps) == pytest.approx(119 / (9 * 0.5 + 11 * 0.004))


def test_tolerances_and_delays_are_those_that_a_rig_can_say() -> None:
    assert half_period_ns(10.0) == 50 * MS and half_period_ns(0.001) == 10_000 * MS
    assert declared_delay_ns(-50 * MS) == -50 * MS and delay_words(-50 * MS) == "(median, declared as its delay)"
    assert declared_delay_ns(3600 * 1000 * MS) == 0 and "another clock" in delay_words(3600 * 1000 * MS)


def test_many_names_are_cut_short() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named([str(n) for n in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
