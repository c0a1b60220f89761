"""Units: the evidence for a wrong one, and what must not count as such."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.units import UnitError, UnitEvidence, log_pace, unit_error

S = 1_000_000_000
EPOCH_NS = 1_700_000_000_000_000_000
NS = EPOCH_NS + 100_000_000 * np.arange(50, dtype=np.int64)
LATE = NS + 3_000_000


@pytest.mark.parametrize(("exponent", "words"), [(-3, "microseconds"), (-6, "milliseconds"), (-2, "ticks of 100 ns")])
@pytest.mark.parametrize("evidence", list(UnitEvidence))
def test_another_unit_is_found_by_each_kind_of_evidence(exponent: int, words: str, evidence: UnitEvidence) -> None:
    stamps = NS // 10**-exponent
    logs = LATE if evidence is UnitEvidence.LOG_TIME else None
    rate_hz = 10.0 if evidence is UnitEvidence.NOMINAL_RATE else None
    found = unit_error(stamps, logs, rate_hz)
    assert found == UnitError(exponent, evidence)
    assert found.words == f"{words} taken for ns"


def test_seconds_are_too_coarse_for_their_steps_but_not_for_log_time() -> None:
    seconds = EPOCH_NS // S + np.arange(50, dtype=np.int64)
    assert unit_error(seconds, EPOCH_NS + S * np.arange(50, dtype=np.int64), None) == UnitError(-9, UnitEvidence.LOG_TIME)
    assert unit_error(seconds, None, 1.0) == UnitError(-9, UnitEvidence.NOMINAL_RATE)


def test_ten_times_too_large_as_ticks_read_as_microseconds() -> None:
    """A real dataset's stamps have this fault; here of a date for which ten times as much is still a stamp."""
    early = 300_000_000 * S + 100_000_000 * np.arange(50, dtype=np.int64)
    assert unit_error(early * 10, early + 5, 10.0) == UnitError(1, UnitEvidence.LOG_TIME)
    found = unit_error(early * 10, early + 5, None)
    assert found is not None and found.words == "10**1 times what they should be"


def test_ten_times_the_nominal_period_is_a_wrong_unit_only_if_the_date_says_so() -> None:
    assert unit_error(NS[::10], None, 10.0) is None, "keyframes of a faster sensor"
    assert unit_error(NS // 10, None, 10.0) == UnitError(-1, UnitEvidence.NOMINAL_RATE)


@pytest.mark.parametrize(
    ("stamps", "logs", "rate_hz"),
    [
        (NS, LATE, 10.0),
        (NS, NS, 10.0),
        (NS, None, None),
        (NS - EPOCH_NS + 1622 * S, LATE, 100.0),  # since boot
        (NS - EPOCH_NS + 1622 * S, None, None),
        (np.repeat(NS, 2), None, 20.0),
        (np.delete(NS, range(10, 30)), None, 10.0),
        (NS[:2] // 1000, None, 10.0),
        (np.zeros(0, dtype=np.int64), None, 10.0),
    ],
)
def test_sound_clocks_are_left_alone(stamps: object, logs: object, rate_hz: float | None) -> None:
    assert unit_error(np.asarray(stamps), None if logs is None else np.asarray(logs), rate_hz) is None


def test_bursts_at_nearly_a_power_of_ten_are_not_a_wrong_unit() -> None:
    """Rows 5 us apart in bursts of ten every 50 ms, at a nominal 20 Hz: as radar tracks are logged."""
    bursts = (EPOCH_NS + 50_000_000 * np.arange(100, dtype=np.int64)[:, None] + 5_000 * np.arange(10)).ravel()
    assert unit_error(bursts, None, 20.0) is None


def test_log_times_in_batches_still_tell_the_pace() -> None:
    batched = LATE - (LATE - EPOCH_NS) % (5 * 100_000_000) + 500_000_000
    assert unit_error(NS, batched, None) is None
    assert unit_error(NS // 1000, batched, None) == UnitError(-3, UnitEvidence.LOG_TIME)


@given(st.integers(-9, 9), st.floats(0.95, 1.05), st.integers(0, 10**18))
def test_log_time_names_the_exponent(exponent: int, pace: float, epoch_ns: int) -> None:
    log = np.arange(60, dtype=np.int64) * 10**10
    stamps = (log * 10.0**exponent * pace).astype(np.int64) if exponent <= 6 else None
    if stamps is None or stamps[-1] > 3 * 10**18:
        return
    found = unit_error(stamps, epoch_ns + log, 0.1)
    assert (found.exponent if found else 0) == exponent


STORED = NS + 30 * 86_400 * S


@pytest.mark.parametrize("speed", [1, 3, 5.5, 8, 10, 19, 30, 142, 0.15, 0.01])
@pytest.mark.parametrize("rate_hz", [10.0, None])
def test_log_times_at_another_pace_are_no_unit_where_rate_and_date_say_nanoseconds(speed: float, rate_hz: float | None) -> None:
    """A converter writes its own clock, a playback runs at another speed: the stamps are right in rate and date."""
    logs = STORED[0] + ((NS - NS[0]) / speed).astype(np.int64)
    assert unit_error(NS, logs, rate_hz) is None
    assert log_pace(NS, logs) == pytest.approx(speed, rel=1e-3)


def test_the_pace_is_one_whatever_the_recorder_and_the_clock_do() -> None:
    stamps = EPOCH_NS + 100_000_000 * np.arange(40, dtype=np.int64)
    batches = EPOCH_NS + ((stamps - EPOCH_NS) // S + 1) * S
    assert log_pace(stamps, batches) == pytest.approx(1, abs=0.02)
    for at in (10, 20, 30):
        assert log_pace(np.where(np.arange(40) < at, stamps, stamps - 2 * S), stamps) == pytest.approx(1, abs=0.02)
    assert log_pace(stamps, np.full(40, EPOCH_NS)) is None, "log times that do not pass"
    assert log_pace(np.full(40, EPOCH_NS), stamps) == log_pace(stamps[:0], stamps[:0]) == 1.0


def test_since_boot_with_a_converters_log_times_is_no_unit() -> None:
    assert unit_error(NS - EPOCH_NS, STORED[0] + np.arange(50) * 12_000_000, 10.0) is None


@pytest.mark.parametrize("times", [10, 100, 1000])
def test_a_rate_declared_too_slow_is_no_unit_where_the_date_is_right(times: int) -> None:
    assert unit_error(NS, None, 10.0 / times) is None
    simulated = NS - EPOCH_NS
    assert unit_error(simulated, None, 10.0 / times) is None, "nor where the stamps count from another epoch"
