"""Clock reports: tables by hand, laws by hypothesis."""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.clock import ClockReport, clock_report

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_001
STAMPS = st.lists(st.integers(-1000, 1000), max_size=30)


def report(stamps_ms: list[int], rate_hz: float | None = 10.0, log_offset_ms: int = 3) -> ClockReport:
    stamps = [EPOCH_NS + stamp * MS for stamp in stamps_ms]
    return clock_report(stamps, [stamp + log_offset_ms * MS for stamp in stamps], rate_hz)


def test_no_frame_has_no_statistics() -> None:
    assert clock_report([], [], 10.0) == ClockReport(0, None, None, None, None, None, None, 0, 0, 0, None)


def test_one_frame_has_a_time_but_no_rate() -> None:
    assert report([5]) == ClockReport(1, EPOCH_NS + 5 * MS, EPOCH_NS + 5 * MS, None, None, None, None, 0, 0, 0, 3 * MS)


def test_two_frames_have_a_rate_without_jitter() -> None:
    assert report([0, 80]) == ClockReport(2, EPOCH_NS, EPOCH_NS + 80 * MS, 12.5, 80 * MS, 0, 80 * MS, 0, 0, 0, 3 * MS)


def test_two_frames_of_one_stamp_have_no_rate() -> None:
    assert report([7, 7]) == ClockReport(2, EPOCH_NS + 7 * MS, EPOCH_NS + 7 * MS, None, None, None, None, 0, 1, 0, 3 * MS)


@pytest.mark.parametrize(
    ("stamps_ms", "expected"),
    [
        ([0, 100, 200, 300], {"gaps": 0, "duplicates": 0, "regressions": 0, "measured_rate_hz": 10.0, "jitter_p95_ns": 0}),
        ([0, 100, 250, 350], {"gaps": 0, "max_gap_ns": 150 * MS}),  # exactly 1.5 periods is no gap
        ([0, 100, 251, 351], {"gaps": 1, "max_gap_ns": 151 * MS}),
        ([0, 100, 400, 500, 900], {"gaps": 2, "max_gap_ns": 400 * MS, "period_p50_ns": 100 * MS}),
        ([0, 0, 100, 100, 200], {"duplicates": 2, "measured_rate_hz": 10.0, "period_p50_ns": 100 * MS}),
        # A clock that steps back by 360 ms and forth by 460, as in a real GPS log.
        ([0, 100, -260, -160, 300, 400], {"regressions": 1, "gaps": 1, "max_gap_ns": 460 * MS, "first_ns": EPOCH_NS - 260 * MS}),
        ([200, 100, 0], {"regressions": 2, "gaps": 0, "max_gap_ns": None, "first_ns": EPOCH_NS, "last_ns": EPOCH_NS + 200 * MS}),
        ([0, 99, 200, 298, 400], {"period_p50_ns": 99 * MS, "jitter_p95_ns": 3 * MS}),
    ],
)
def test_what_is_counted(stamps_ms: list[int], expected: dict[str, object]) -> None:
    found = asdict(report(stamps_ms))
    assert {name: found[name] for name in expected} == expected


def test_the_log_order_counts_not_the_stamps() -> None:
    stamps = [0, 200, 100, 300]
    assert clock_report(stamps, [0, 1, 2, 3], None).regressions == 1
    assert clock_report(sorted(stamps), [0, 1, 2, 3], None).regressions == 0


def test_jitter_is_the_95th_percentile_by_nearest_rank() -> None:
    stamps = [0]
    for late in [0] * 94 + [1, 2, 3, 4, 5, 6]:  # 100 periods, of which the 95th is late by 1
        stamps.append(stamps[-1] + 100 + late)
    assert clock_report(stamps, stamps, 1e7).jitter_p95_ns == 1


def test_without_a_nominal_rate_the_median_period_stands_in() -> None:
    stamps = [0, 100, 200, 351, 451]
    assert clock_report(stamps, stamps, None).gaps == 1


def test_the_log_offset_is_the_lower_median() -> None:
    assert clock_report([0, 10, 20, 30], [5, 16, 27, 1030], None).log_offset_p50_ns == 6


@given(STAMPS)
def test_steps_are_all_accounted_for(stamps: list[int]) -> None:
    found = clock_report(stamps, stamps, None)
    periods = sum(later > earlier for earlier, later in pairwise(stamps))
    assert found.duplicates + found.regressions + periods == max(len(stamps) - 1, 0)
    assert found.gaps <= periods
    assert all(type(value) in (int, type(None)) for name, value in asdict(found).items() if name != "measured_rate_hz")


@given(STAMPS, st.integers(-(10**17), 10**18))
def test_a_shift_of_the_clock_changes_only_the_ends(stamps: list[int], shift: int) -> None:
    logged = list(range(len(stamps)))
    one = asdict(clock_report(stamps, logged, 1e7))
    other = asdict(clock_report([stamp + shift for stamp in stamps], [log + shift for log in logged], 1e7))
    for name in ("first_ns", "last_ns"):
        assert one[name] == (None if other[name] is None else other[name] - shift)
    ends = ("first_ns", "last_ns")
    assert {k: v for k, v in one.items() if k not in ends} == {k: v for k, v in other.items() if k not in ends}


@pytest.mark.parametrize(
    ("stamps", "logged", "rate_hz", "message"),
    [
        ([1, 2], [1], 10.0, "2 stamps but 1 log times"),
        ([1.0], [1], 10.0, "float64"),
        ([1], [1], 0.0, "0.0 Hz"),
        ([1], [1], -1.0, "-1.0 Hz"),
        ([1], [1], math.nan, "nan Hz"),
    ],
)
def test_wrong_input_is_refused(stamps: list[int], logged: list[int], rate_hz: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clock_report(stamps, logged, rate_hz)


def test_one_hole_is_a_gap_and_no_other_rate() -> None:
    """Nine of twelve sweeps, every period right: the rate is the nominal one, and a quarter of the frames is lost."""
    stamps = np.delete(100 * MS * np.arange(12), [6, 7, 8])
    found = clock_report(stamps, stamps, 10.0)
    assert found.measured_rate_hz == pytest.approx(10.0)
    assert (found.gaps, found.lost) == (1, 3)


def test_every_second_frame_is_another_rate_and_no_gap() -> None:
    stamps = 200 * MS * np.arange(20)
    found = clock_report(stamps, stamps, 10.0)
    assert (found.measured_rate_hz, found.lost) == (pytest.approx(5.0), 0)


@given(st.integers(20, 200), st.sets(st.integers(1, 198), max_size=10), st.integers(0, 100))
def test_what_is_lost_in_gaps_is_counted(count: int, lost: set[int], seed: int) -> None:
    """Oracle: the frames that were taken out, of stamps that jitter by 5 %."""
    rng = np.random.default_rng(seed)
    stamps = 100 * MS * np.arange(count) + rng.integers(-2 * MS, 2 * MS, count)
    gone = sorted(number for number in lost if number < count - 1)[: count // 4]
    kept = np.delete(stamps, gone)
    found = clock_report(kept, kept, 10.0)
    assert found.lost == len(gone)
    assert found.measured_rate_hz == pytest.approx(10.0, rel=0.05)


def test_poses_without_a_period_have_a_mean_rate_and_no_gap() -> None:
    """As in a real log: steps of nearly nothing, 5.0, 5.1, 7.5 and 10.0 ms, 5.9 ms in the mean."""
    steps = np.random.default_rng(1).choice(
        [9, 5_015_745, 5_069_558, 7_501_059, 9_961_700], 2000, p=[0.15, 0.2, 0.25, 0.15, 0.25]
    )
    stamps = np.cumsum(steps)
    mean_ns = (stamps[-1] - stamps[0]) / 1999
    found = clock_report(stamps, stamps, 1e9 / mean_ns)
    assert found.measured_rate_hz == pytest.approx(1e9 / mean_ns)
    assert found.lost == 0
