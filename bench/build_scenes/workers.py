"""A pool of processes that have started and imported everything before the measurement begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier

START_TIMEOUT_S = 120


@contextmanager
def started(processes: int) -> Iterator[Pool]:
    """Spawned processes (a fork would inherit locks of the threads that an engine runs); they end with the block."""
    context = get_context("spawn")
    barrier = context.Barrier(processes + 1)
    pool = context.Pool(processes, _ready, (barrier,))
    try:
        barrier.wait(START_TIMEOUT_S)
        yield pool
        pool.close()
    finally:
        pool.terminate()
        pool.join()


def _ready(barrier: Barrier) -> None:
    barrier.wait(START_TIMEOUT_S)
