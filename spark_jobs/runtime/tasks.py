"""Spark as a scheduler of independent tasks: each takes a description of a few bytes and returns a small answer."""

from __future__ import annotations

import gc
import heapq
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from pyspark.sql import SparkSession

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_BYTES = 1024 * 1024 * 1024  # the work that is repeated when a task fails, or its executor dies


def run_tasks(
    spark: SparkSession, work: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item], costs: Sequence[int]
) -> list[Answer]:
    """Apply `work` to the items in tasks of equal cost; an answer for each item, in the order of the items.

    `costs`: roughly how many bytes each item moves. A task that fails, or whose executor dies, is retried as often as Spark is
    configured to.

    Spark pickles `work`, the items and the answers: Python values that this program made, on channels between its own
    processes. Nothing that is read from data is ever unpickled. A list of tasks costs less than a DataFrame of them (ADR 0026).
    """
    if not items:
        return []
    context = spark.sparkContext
    shares = pack(costs, context.defaultParallelism)

    def do(share: Sequence[int]) -> list[tuple[int, Answer]]:
        _exempt_modules(len(sys.modules))
        return list(zip(share, work([items[number] for number in share]), strict=True))

    answers = context.parallelize(shares, len(shares)).map(do).collect()
    return [answer for _, answer in sorted((pair for share in answers for pair in share), key=lambda pair: pair[0])]


@cache
def _exempt_modules(loaded: int) -> None:
    """Exempt everything alive in a worker that has `loaded` modules from garbage collection; once per number of modules.

    PySpark collects garbage after every task, which would walk through all modules: 30 ms of processor time per job (ADR
    0026). Garbage that is alive at this moment is exempt, too, and never freed; hence not before every task.
    """
    del loaded
    gc.freeze()


def pack(costs: Sequence[int], slots: int) -> list[list[int]]:
    """The items of each task: positions in `costs`, ascending; the most expensive task first.

    One task per slot, or as many per slot as keep each below `MOST_BYTES`: the same number for every slot, since of equal tasks
    one too many would run alone at the end. More tasks would balance nothing unless one core were half as fast as another, and
    a core is idle between two tasks. Items are assigned in descending order of cost, each to the task with the lowest total
    (Graham, "Bounds on multiprocessing timing anomalies", 1969).
    """
    count = min(len(costs), slots * max(1, -(-sum(costs) // (slots * MOST_BYTES))))
    tasks: list[tuple[int, int, list[int]]] = [(0, number, []) for number in range(count)]
    for item in sorted(range(len(costs)), key=lambda item: (-costs[item], item)):
        held, number, share = heapq.heappop(tasks)
        share.append(item)
        heapq.heappush(tasks, (held + max(costs[item], 1), number, share))
    return [sorted(share) for _, _, share in sorted(tasks, key=lambda task: (-task[0], task[1]))]
