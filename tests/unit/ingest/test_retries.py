"""Retries: which errors, how often, and with which pauses."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tenacity import RetryCallState

from ingest.errors import ContentionError, UnknownDriveError
from ingest.retries import CONTENTION_ATTEMPTS, CONTENTION_LONGEST_S, on_contention, on_outage, on_outage_async


class Failing:
    """Raises `error` the first `times` calls, then answers with the number of calls."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.calls


def test_contention_is_retried_with_random_pauses_in_a_doubling_window() -> None:
    pauses: list[float] = []
    assert on_contention(pauses.append)(Failing(ContentionError("x"), 9)) == 10
    windows = [min(0.02 * 2**attempt, CONTENTION_LONGEST_S) for attempt in range(9)]
    assert all(0 <= pause <= window for pause, window in zip(pauses, windows, strict=True))
    assert len(set(pauses)) == 9, "two writers with equal pauses would meet again and again"


def test_contention_ends_with_the_last_error() -> None:
    pauses: list[float] = []
    failing = Failing(ContentionError("the last"), 1000)
    with pytest.raises(ContentionError, match="the last"):
        on_contention(pauses.append)(failing)
    assert failing.calls == CONTENTION_ATTEMPTS
    assert sum(pauses) < CONTENTION_ATTEMPTS * CONTENTION_LONGEST_S


@pytest.mark.parametrize("error", [UnknownDriveError("x"), KeyError("x")])
def test_nothing_else_is_retried(error: Exception) -> None:
    failing = Failing(error, 1)
    with pytest.raises(type(error)):
        on_contention(lambda _: None)(failing)
    assert failing.calls == 1


def test_a_pause_of_an_outage_is_cut_short_by_the_stop() -> None:
    stop = threading.Event()
    states: list[RetryCallState] = []

    def stop_at_third(state: RetryCallState) -> None:
        states.append(state)
        if state.attempt_number == 3:
            stop.set()

    failing = Failing(OSError("down"), 1000)
    with pytest.raises(OSError, match="down"):
        on_outage(OSError, stop, first_s=0.0, longest_s=0.0, before_sleep=stop_at_third)(failing)
    assert failing.calls == 4, "the attempt after the stop is the last"


@pytest.mark.enable_socket  # the event loop wakes itself through a socket pair
def test_an_outage_under_a_coroutine() -> None:
    failing = Failing(OSError("down"), 3)
    numbers: list[int] = []

    async def attempt() -> int:
        return failing()

    async def poll() -> int:
        retry = on_outage_async(
            OSError, first_s=0.0, longest_s=0.0, before_sleep=lambda state: numbers.append(state.attempt_number)
        )
        return await retry(attempt)

    assert asyncio.run(poll()) == 4
    assert numbers == [1, 2, 3]
