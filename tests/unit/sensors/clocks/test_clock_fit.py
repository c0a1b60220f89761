"""The line through stamp less log time: known clocks, outliers, epochs, and the interval's promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.clock import ClockFit, fit_clock

S = 1_000_000_000
EPOCH_NS = 1_700_000_000_000_000_001
Stamps = np.ndarray[tuple[int], np.dtype[np.int64]]


def clock(drift_ppm: int, offset_ns: int, seconds: int = 60, rate_hz: int = 10) -> tuple[Stamps, Stamps]:
    """Stamps of a clock that is `offset_ns` off in the middle; exact, in integers."""
    log = np.arange(seconds * rate_hz + 1, dtype=np.int64) * (S // rate_hz)
    middle = int(log[-1]) // 2
    return EPOCH_NS + log + offset_ns + (log - middle) * drift_ppm // 1_000_000, EPOCH_NS + log


@pytest.mark.parametrize("drift_ppm", [0, 1, -37, 2500])
@pytest.mark.parametrize("offset_ns", [0, 123_456_789, -EPOCH_NS])
def test_an_exact_clock_is_recovered_exactly(drift_ppm: int, offset_ns: int) -> None:
    fit = fit_clock(*clock(drift_ppm, offset_ns))
    assert fit is not None and fit.drift_ppm is not None and fit.drift_uncertainty_ppm is not None
    assert fit.drift_ppm == pytest.approx(drift_ppm, abs=1e-3)
    assert fit.drift_uncertainty_ppm < 1e-2
    assert abs(fit.offset_ns - offset_ns) <= 2


def test_outliers_and_late_bursts_do_not_bend_the_line() -> None:
    stamps, logs = clock(40, -3 * S)
    rng = np.random.default_rng(1)
    logs = logs + rng.integers(0, 300_000, logs.size)
    logs[rng.choice(logs.size, logs.size // 10, replace=False)] += 80_000_000
    fit = fit_clock(stamps, logs)
    assert fit is not None and fit.drift_ppm is not None and fit.drift_uncertainty_ppm is not None
    assert abs(fit.drift_ppm - 40) <= fit.drift_uncertainty_ppm < 10
    assert fit.offset_ns == pytest.approx(-3 * S - 150_000, abs=60_000)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    stamps, logs = clock(25, 0, seconds=20)
    held = 0
    for _ in range(200):
        fit = fit_clock(stamps, logs + noise(rng, logs.size))
        assert fit is not None and fit.drift_ppm is not None and fit.drift_uncertainty_ppm is not None
        held += abs(fit.drift_ppm - 25) <= fit.drift_uncertainty_ppm
    assert 180 <= held <= 200


def noise(rng: np.random.Generator, count: int) -> Stamps:
    return np.asarray(rng.normal(0, 1_000_000, count).astype(np.int64))


@pytest.mark.parametrize(("seconds", "rate_hz"), [(9, 100), (60, 0)])
def test_short_recordings_have_an_offset_and_no_drift(seconds: int, rate_hz: int) -> None:
    stamps, logs = clock(40, 7, seconds, rate_hz) if rate_hz else (np.array([7, 7 + 60 * S]), np.array([0, 60 * S]))
    fit = fit_clock(stamps, logs)
    assert fit is not None
    assert (fit.drift_ppm, fit.drift_uncertainty_ppm) == (None, None)
    assert abs(fit.offset_ns - 7) < 200_000


def test_frames_that_were_logged_at_once_have_an_offset_and_no_drift() -> None:
    """A burst after which one frame comes late: no two medians are apart, so there is no slope between any."""
    stamps, logs = clock(0, 5 * S)
    logs = np.full(logs.size, logs[0])
    logs[-1] += 20 * S
    fit = fit_clock(stamps, logs)
    assert fit is not None
    assert (fit.drift_ppm, fit.drift_uncertainty_ppm) == (None, None)


def test_nothing_has_no_clock() -> None:
    assert fit_clock([], []) is None
    assert fit_clock([5], [3]) == ClockFit(2, None, None)


@given(st.integers(-(10**17), 10**18), st.integers(-500, 500), st.randoms(use_true_random=False))
def test_neither_the_epoch_nor_the_order_matters(shift_ns: int, drift_ppm: int, random: object) -> None:
    stamps, logs = clock(drift_ppm, 5_000_000, seconds=12)
    one = fit_clock(stamps, logs)
    order = np.random.default_rng(abs(shift_ns) % 1000).permutation(stamps.size)
    other = fit_clock(stamps[order] + shift_ns, logs[order] + shift_ns)
    assert one == other


def test_wrong_input_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="2 stamps but 1 log times"):
        fit_clock([1, 2], [1])
    with pytest.raises(ValueError, match="float64"):
        fit_clock([1.0], [1])
