"""Clock steps: tables by hand, an oracle frame by frame, and laws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.steps import MAX_LISTED, ClockStep, clock_steps

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_001


Stamps = npt.NDArray[np.int64]


def regular(count: int, period_ms: int = 100) -> Stamps:
    return EPOCH_NS + period_ms * MS * np.arange(count, dtype=np.int64)


def found(stamps: Stamps, logged: bool) -> list[tuple[int, int, int]]:
    log_ns = regular(len(stamps)) + 5 * MS if logged else None
    return [(one.frame, one.step_ns // MS, one.shift_ns // MS) for one in clock_steps(stamps, log_ns).first]


@pytest.mark.parametrize("logged", [False, True])
def test_a_step_back_that_stays(logged: bool) -> None:
    stamps = regular(20)
    stamps[8:] -= 350 * MS
    assert found(stamps, logged) == [(8, -250, -350)]


def test_a_step_forward_is_one_only_where_log_time_says_so() -> None:
    stamps = regular(20)
    stamps[8:] += 400 * MS
    assert found(stamps, logged=True) == [(8, 500, 400)]
    assert found(stamps, logged=False) == []


def test_a_gap_is_not_a_step() -> None:
    kept = np.delete(np.arange(40), [10, 11, 12, 13, 14, 15])
    stamps = regular(40)[kept]
    assert clock_steps(stamps, stamps + 5 * MS).count == 0
    assert clock_steps(stamps, None).count == 0


def test_back_and_forth_without_log_times_as_in_a_real_gps_log() -> None:
    """Every stamp twice; 410 ms back and as much forth: the stamps step by -360.2 and +460.6 ms."""
    stamps = np.repeat(regular(60, 50), 2)
    stamps[28:] -= 410_200_000
    stamps[50:] += 410_600_000
    steps = clock_steps(stamps, None)
    assert steps.first == (ClockStep(28, -360_200_000, -410_200_000), ClockStep(50, 460_600_000, 410_600_000))


def test_a_forward_step_that_undoes_nothing_is_a_gap_even_after_a_step_back() -> None:
    stamps = regular(40)
    stamps[10:] -= 1_000 * MS
    stamps[20:] += 300 * MS
    assert found(stamps, logged=False) == [(10, -900, -1000)]
    assert found(stamps, logged=True) == [(10, -900, -1000), (20, 400, 300)]


@pytest.mark.parametrize("logged", [False, True])
def test_a_shift_that_does_not_persist_is_not_a_step(logged: bool) -> None:
    glitch = regular(20)
    glitch[9] += 5_000 * MS
    swapped = regular(20)
    swapped[[9, 10]] = swapped[[10, 9]]
    assert found(glitch, logged) == found(swapped, logged) == []


def test_a_recorder_that_stalls_is_not_a_step_of_the_sensors_clock() -> None:
    stamps = regular(60)
    logs = stamps + 5 * MS
    logs[20:40] = np.maximum(logs[20:40], logs[40])  # written at once when it woke up
    assert clock_steps(stamps, logs).count == 0


def logged_steps(stamps: Stamps, logs: Stamps, lost: tuple[int, ...] = ()) -> list[tuple[int, int, bool]]:
    """Frame, shift in ms and whether the stamps are silent, in the order of logging."""
    kept = np.delete(np.arange(stamps.size), lost)
    order = np.argsort(logs[kept], kind="stable")
    return [
        (one.frame, round(one.shift_ns / MS), one.silent) for one in clock_steps(stamps[kept][order], logs[kept][order]).first
    ]


@pytest.mark.parametrize("lost", [1, 2, 5, 20])
def test_frames_are_lost_and_the_stamps_go_on(lost: int) -> None:
    """A driver counts frames, or a clock was set back during the outage: the lag jumps by what was lost, and stays."""
    true = regular(120)
    stamps = true.copy()
    stamps[60 + lost :] -= lost * 100 * MS
    jitter = np.random.default_rng(lost).integers(0, 4 * MS, true.size)
    ((frame, shift_ms, silent),) = logged_steps(stamps, true + jitter, tuple(range(60, 60 + lost)))
    assert (frame, silent) == (60, True)
    assert abs(shift_ms + 100 * lost) <= 4
    assert logged_steps(true, true + jitter, tuple(range(60, 60 + lost))) == [], "frames lost by a clock that is right"


def test_every_setting_is_found_where_a_driver_counts_frames_and_loses_one_in_twenty() -> None:
    true = regular(120)
    number = np.arange(120)
    jitter = np.random.default_rng(3).integers(0, 4 * MS, true.size)
    found = logged_steps(true - number // 20 * 100 * MS, true + jitter, tuple(range(20, 120, 20)))
    assert [frame for frame, *_ in found] == [20, 39, 58, 77, 96]


def test_a_clock_set_back_by_a_period_repeats_a_stamp() -> None:
    stamps = regular(40)
    stamps[20:] -= 100 * MS
    assert found(stamps, logged=True) == [(20, 0, -100)]
    assert found(stamps, logged=False) == [], "a frame that was published twice, for all that the stamps say"
    twice = np.repeat(regular(20), 2)
    assert clock_steps(twice, twice + 5 * MS + np.tile([0, 50 * MS], 20)).count == 0
    stuck = regular(40)
    stuck[20:25] = stuck[20]
    assert found(stuck, logged=True) == []


@pytest.mark.parametrize("lost", [(), (59,), (55, 56, 57, 58, 59), (63,), (61, 62)])
@pytest.mark.parametrize("period_ms", [100, 33, 20])
def test_a_recorder_that_catches_up_after_a_stall_is_no_step_though_frames_are_lost(
    lost: tuple[int, ...], period_ms: int
) -> None:
    stamps = regular(400, period_ms)
    logs = stamps + np.random.default_rng(1).integers(0, 3 * MS, stamps.size)
    behind = np.arange(stamps.size) - 60
    for pace in (1 / 20, 1 / 2, 0.9):
        stalled = stamps[60] + 1000 * MS + (behind * pace * period_ms * MS).astype(np.int64)
        assert logged_steps(stamps, np.where(behind >= 0, np.maximum(logs, stalled), logs), lost) == [], pace


@pytest.mark.parametrize("batch_ms", [300, 1000, 2000])
@pytest.mark.parametrize("lost", [(), (3,), (23,), (23, 24), (59,), (116,)])
def test_log_times_in_batches_are_no_steps_and_do_not_hide_one(batch_ms: int, lost: tuple[int, ...]) -> None:
    true = regular(120)
    logs = EPOCH_NS + ((true - EPOCH_NS) // (batch_ms * MS) + 1) * (batch_ms * MS)
    assert logged_steps(true, logs, lost) == []
    stamps = true.copy()
    stamps[60:] -= 2200 * MS
    ((_, shift_ms, _),) = logged_steps(stamps, logs, lost)
    assert abs(shift_ms + 2200) <= 200


@given(
    st.integers(0, 10**6),
    st.sampled_from([5, 10, 30, 100]),
    st.integers(60, 300),
    st.floats(0, 0.3),
    st.integers(-(10**17), 10**17),
)
def test_a_sound_sensor_has_no_step_whatever_is_lost(seed: int, hz: int, count: int, share: float, epoch_ns: int) -> None:
    rng = np.random.default_rng(seed)
    stamps = epoch_ns + 1000 * MS // hz * np.arange(count, dtype=np.int64) + rng.integers(-MS, MS, count)
    logs = np.maximum.accumulate(stamps + rng.integers(3 * MS, 9 * MS, count))
    kept = rng.random(count) >= share
    assert clock_steps(stamps[kept], logs[kept]).count == 0


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_frames_have_no_step(count: int) -> None:
    assert clock_steps(regular(count), None).count == 0


def test_the_list_is_bounded_and_the_count_is_not() -> None:
    stamps = regular(20 * (MAX_LISTED + 50))
    for step in range(MAX_LISTED + 49):
        stamps[20 * (step + 1) :] -= 150 * MS
    steps = clock_steps(stamps, None)
    assert (steps.count, len(steps.first)) == (MAX_LISTED + 49, MAX_LISTED)


def test_extreme_stamps_do_not_overflow() -> None:
    far = 4 * 10**18
    stamps = np.array([far - 2, far - 1, far, -far, -far + 1, -far + 2], dtype=np.int64)
    assert clock_steps(stamps, None).first == (ClockStep(3, -2 * far, -2 * far - 1),)


@given(
    st.lists(st.integers(-20, 20).map(lambda n: n * 37 * MS), min_size=1, max_size=4),
    st.lists(st.integers(-2, 2), min_size=80, max_size=80),
    st.integers(-(10**17), 10**17),
)
def test_settings_of_a_logged_clock_are_found_whatever_its_epoch(sizes: list[int], jitter: list[int], epoch_ns: int) -> None:
    """Oracle: the clock was set by more than half a period before frames 15, 30, 45, 60, and nowhere else."""
    stamps = regular(80) + np.array(jitter, dtype=np.int64) * MS
    for number, size_ns in enumerate(sizes):
        stamps[15 * (number + 1) :] += size_ns
    expected = [15 * (number + 1) for number, size_ns in enumerate(sizes) if abs(size_ns) > 55 * MS]
    steps = clock_steps(stamps + epoch_ns, regular(80) + epoch_ns)
    assert [one.frame for one in steps.first] == expected


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 stamps but 1 log times"):
        clock_steps([1, 2], [1])
