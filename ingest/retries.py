"""Retry policies: exponential backoff with jitter, on stated exceptions only. The one module that knows tenacity's settings."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential_jitter,
    wait_random_exponential,
)

from ingest.errors import ContentionError

CONTENTION_ATTEMPTS = 16
CONTENTION_WITHIN_S = 10.0  # a function has 60 s for a batch
CONTENTION_FIRST_S = 0.02
CONTENTION_LONGEST_S = 1.0

Sleep = Callable[[float], None]
BeforeSleep = Callable[[RetryCallState], None]


def on_contention(sleep: Sleep = time.sleep) -> Retrying:
    """Repeat a read-then-write whose condition failed: up to 16 attempts within 10 s, then the last ContentionError.

    Only `ContentionError` is retried: another writer changed the item between the read and the write. The wait is drawn
    from the whole of a doubling window, so that two writers separate.
    """
    return Retrying(
        retry=retry_if_exception_type(ContentionError),
        wait=wait_random_exponential(multiplier=CONTENTION_FIRST_S, max=CONTENTION_LONGEST_S),
        stop=stop_after_attempt(CONTENTION_ATTEMPTS) | stop_after_delay(CONTENTION_WITHIN_S),
        sleep=sleep,
        reraise=True,
    )


def on_outage(
    errors: type[Exception] | tuple[type[Exception], ...],
    stop: threading.Event,
    *,
    first_s: float,
    longest_s: float,
    before_sleep: BeforeSleep,
) -> Retrying:
    """Repeat a poll that raises one of `errors` until it succeeds, with waits that double from `first_s` to `longest_s`.

    It is bounded by `stop` alone, which also cuts a wait short and then raises the last error: a process that only polls has
    no reason to give up.
    """
    return Retrying(
        retry=retry_if_exception_type(errors),
        wait=_doubling(first_s, longest_s),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=before_sleep,
        reraise=True,
    )


def on_outage_async(
    errors: type[Exception] | tuple[type[Exception], ...], *, first_s: float, longest_s: float, before_sleep: BeforeSleep
) -> AsyncRetrying:
    """`on_outage` for a coroutine, which its event loop cancels."""
    return AsyncRetrying(
        retry=retry_if_exception_type(errors),
        wait=_doubling(first_s, longest_s),
        sleep=asyncio.sleep,
        before_sleep=before_sleep,
        reraise=True,
    )


def _doubling(first_s: float, longest_s: float) -> wait_exponential_jitter:
    return wait_exponential_jitter(multiplier=first_s, max=longest_s, jitter=first_s)
