"""Keeps a message invisible for as long as the work on it lasts.

SQS keeps no message invisible for more than 12 hours in all; a longer run loses its lease then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ingest.ports import WorkSource

BEATS_PER_VISIBILITY = 3
JOIN_S = 30.0

_log = logging.getLogger(__name__)


class LeaseHeartbeat:
    """The state of a lease that is being extended. Safe to read from any thread.

    `lost` is set once SQS answers that the message is no longer in flight, or its visibility has run out without a
    successful extension. The work may then be done twice; the commit, not the lease, keeps its effect single.
    """

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.beats = 0
        self.failures: list[str] = []


@contextmanager
def keep_alive(
    queue: WorkSource,
    receipt_handle: str,
    visibility_s: int,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Iterator[LeaseHeartbeat]:
    """Extend a message's visibility every third of `visibility_s`, from now until the block ends.

    The first extension is made before the block begins. Leaving the block only stops the extensions: delete the message, or
    return it by extending it by 0 s.
    """
    heartbeat = LeaseHeartbeat()
    stop = threading.Event()
    extended_s = monotonic_s()

    def beat() -> None:
        nonlocal extended_s
        requested_s = monotonic_s()
        try:
            in_flight = queue.extend(receipt_handle, visibility_s)
        except (ClientError, BotoCoreError) as error:
            heartbeat.failures.append(str(error))
            _log.warning("a lease could not be extended: %s", error)
            lost = monotonic_s() - extended_s >= visibility_s
        else:
            lost = not in_flight
            if lost:
                heartbeat.failures.append("the message is no longer in flight")
            else:
                extended_s = requested_s
                heartbeat.beats += 1
        if lost:
            heartbeat.lost.set()
            _log.warning("a lease is lost after %d extensions", heartbeat.beats)

    def keep() -> None:
        while not heartbeat.lost.is_set() and not stop.wait(visibility_s / BEATS_PER_VISIBILITY):
            beat()

    beat()
    thread = threading.Thread(target=keep, name="lease-keep-alive", daemon=True)
    thread.start()
    try:
        yield heartbeat
    finally:
        stop.set()
        thread.join(JOIN_S)
