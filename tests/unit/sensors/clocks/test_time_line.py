"""The time line: which stamps do not fit, against an oracle that knows where they were put, and what must be left alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.time_line import time_line

MS = 1_000_000
S = 1_000 * MS
START_NS = 1_700_000_000 * S
Stamps = npt.NDArray[np.int64]


def regular(count: int, period_ns: int = 100 * MS) -> Stamps:
    return START_NS + period_ns * np.arange(count, dtype=np.int64)


def off(stamps: Stamps, logs: Stamps | None = None) -> list[int]:
    return np.flatnonzero(time_line(stamps, logs).off).tolist()


def logs_of(stamps: Stamps, seed: int = 0) -> Stamps:
    return stamps + 12 * MS + np.random.default_rng(seed).integers(0, 2 * MS, stamps.size)


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({20: START_NS + 18 * 100 * MS}, [20]),  # the stamp of the frame before the last one
        ({20: 0}, [20]),
        ({20: START_NS + 10**17}, [20]),
        ({20: START_NS + 30 * 100 * MS}, [20]),  # the very stamp of a later frame
        ({20: START_NS, 21: START_NS + 7}, [20, 21]),
        ({7: START_NS + 900 * S, 30: START_NS - 5 * S}, [7, 30]),
        ({0: 0, 1: 0}, [0, 1]),
        ({39: START_NS + 10**16}, [39]),
        ({39: START_NS}, [39]),
        ({0: START_NS + 5 * S}, [0]),
    ],
)
def test_stamps_that_do_not_fit_are_found_one_by_one(changed: dict[int, int], expected: list[int], logged: bool) -> None:
    true = regular(40)
    stamps = true.copy()
    for place, stamp in changed.items():
        stamps[place] = stamp
    assert off(stamps, logs_of(true) if logged else None) == expected


def test_how_far_it_is_off_is_measured() -> None:
    stamps = regular(40)
    stamps[20] -= 200 * MS
    assert time_line(stamps, None).off_ns[20] == -200 * MS


@pytest.mark.parametrize("period_ms", [100, 33])
@pytest.mark.parametrize("run", [(0, 1), (0, 2), (0, 3), (1, 3), (10, 11), (10, 12), (10, 13), (37, 40), (38, 40), (39, 40)])
@pytest.mark.parametrize("off_ms", [107, -107, 207, -207, 507, -507, 1007, -2007])
def test_each_frame_of_a_short_run_is_found_and_no_neighbour(run: tuple[int, int], off_ms: int, period_ms: int) -> None:
    for seed in range(3):
        true = regular(40, period_ms * MS) + np.random.default_rng(seed).integers(-MS, MS, 40)
        stamps = true.copy()
        stamps[slice(*run)] += off_ms * MS
        line = time_line(stamps, logs_of(true, seed))
        assert np.flatnonzero(line.off).tolist() == list(range(*run))
        assert line.off_ns[slice(*run)] == pytest.approx(off_ms * MS, abs=period_ms * MS)


@pytest.mark.parametrize("places", [(9,), (9, 13, 17), (9, 10)])
def test_frames_that_repeat_the_stamp_before_them_fit(places: tuple[int, ...]) -> None:
    true = regular(40)
    stamps = true.copy()
    for place in places:
        stamps[place] = stamps[place - 1]
    assert off(stamps, logs_of(true)) == []
    stamps[30:33] -= 100 * MS
    assert off(stamps, logs_of(true)) == [30, 31, 32], "the first of them repeats a stamp, the others do not"


@given(st.integers(0, 10**6), st.sampled_from([10, 30, 100]), st.integers(20, 200), st.floats(0, 0.3), st.booleans())
def test_frames_that_were_lost_or_logged_late_leave_all_others_where_they_fit(
    seed: int, hz: int, count: int, share: float, stalls: bool
) -> None:
    rng = np.random.default_rng(seed)
    stamps = regular(count, S // hz)
    logs = logs_of(stamps, seed)
    at = int(rng.integers(0, count))
    logs[at] += int(rng.integers(0, S))
    if stalls:
        logs = np.maximum(logs, np.where(np.arange(count) >= at, stamps[at] + S + 5 * MS * (np.arange(count) - at), 0))
    logs, kept = np.maximum.accumulate(logs), rng.random(count) >= share
    assert off(stamps[kept], logs[kept]) == []


def test_log_times_find_what_order_hides_at_the_ends() -> None:
    true = regular(40)
    stamps = true.copy()
    stamps[39] += 10 * S
    stamps[:2] -= 7 * S
    assert off(stamps) == [], "a gap, for all that the stamps say"
    assert off(stamps, logs_of(true)) == [0, 1, 39]


@pytest.mark.parametrize("logged", [False, True])
def test_a_clock_that_stays_where_it_was_set_is_a_step_and_no_stray(logged: bool) -> None:
    for shift_ns in (-2 * S, 2 * S, -40 * 365 * 86_400 * S):
        true = regular(40)
        stamps = np.where(np.arange(40) < 12, true, true + shift_ns)
        assert off(stamps, logs_of(true) if logged else None) == [], shift_ns


def test_frames_recorded_late_fit() -> None:
    true = regular(40)
    order = np.arange(40)
    order[[20, 21]] = order[[21, 20]]
    for logs in (None, np.maximum.accumulate(true[order]) + 12 * MS):
        line = time_line(true[order], logs)
        assert not line.off.any()
        assert np.flatnonzero(line.late).tolist() == ([20, 21] if logs is None else [21]), "without log times either may be"


def test_a_stall_of_the_recorder_is_no_fault_of_the_stamps() -> None:
    stamps = regular(40)
    logs = logs_of(stamps)
    logs[20:26] = logs[26] + np.arange(6)
    assert off(stamps, logs) == []


@pytest.mark.parametrize("stamps", [regular(0), regular(2), np.full(40, START_NS), np.repeat(regular(20), 3)])
def test_too_few_and_repeated_stamps_fit(stamps: Stamps) -> None:
    assert off(stamps) == []


def test_bursts_of_rows_fit() -> None:
    rows = (regular(30, 50 * MS)[:, None] + 300_000 * np.arange(20)).ravel()
    assert off(rows) == []
    assert off(rows, logs_of(rows)) == []


@given(
    st.lists(st.integers(1, 400 * MS), min_size=0, max_size=80),
    st.integers(-(10**18), 10**18),
)
def test_stamps_that_never_step_back_all_fit(steps: list[int], start_ns: int) -> None:
    stamps = start_ns + np.cumsum(np.array([0, *steps], dtype=np.int64))
    assert off(stamps) == []


@given(
    st.integers(20, 300),
    st.integers(0, 1000),
    st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(-(10**12), 10**12)), min_size=1, max_size=6),
    st.integers(0, 10**18),
)
def test_wild_values_of_any_size_are_found_and_nothing_else(
    count: int, seed: int, wild: list[tuple[float, int]], shift_ns: int
) -> None:
    """Oracle: it knows which were changed. They are eight frames apart, and off by 1.5 periods at least, beside the grid."""
    true = regular(count) + np.random.default_rng(seed).integers(-5 * MS, 5 * MS, count)
    stamps, chosen = true.copy(), []
    for where, off_ns in wild:
        place = int(where * count)
        if abs(off_ns) < 150 * MS or not 5 <= place < count - 5 or any(abs(place - one) < 8 for one in chosen):
            continue
        if len(chosen) >= 0.1 * count:
            break
        stamps[place] += off_ns // (100 * MS) * 100 * MS + 20 * MS
        chosen.append(place)
    assert off(stamps) == sorted(chosen)
    assert off(stamps + shift_ns) == sorted(chosen)
