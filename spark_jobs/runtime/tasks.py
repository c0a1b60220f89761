"""Spark as a scheduler of independent tasks: each takes a description of a few bytes and returns a small answer."""

from __future__ import annotations

import gc
import heapq
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it has no annotations
from pyspark.sql import SparkSession

from scenes.errors import WorkerLostError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MAX_NAME, MAX_NAMED = 200, 3
# How Spark words that a task used up its tries, and that its last one ended with the process that worked on it.
_FAILED_TASK = re.compile(r"Task (?P<task>\d+) in stage [\d.]+ failed (?P<tries>\d+) times")
_DEATHS = ("Python worker exited unexpectedly", "ExecutorLostFailure", "java.io.EOFException")
MOST_BYTES = 1024 * 1024 * 1024  # the work that is repeated when a task fails, or its executor dies


def run_tasks(
    spark: SparkSession, work: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item], costs: Sequence[int]
) -> list[Answer]:
    """Apply `work` to the items in tasks of equal cost; an answer for each item, in the order of the items.

    `costs`: roughly how many bytes each item moves. A task that fails, or whose executor dies, is retried as often as Spark is
    configured to. If its worker dies every time, all items run once more, each as a task of its own: what one of them needs
    alone may fit where that of several did not, and the one that does not is known by name. Hence `work` may see an item twice.

    Spark pickles `work`, the items and the answers: Python values that this program made, on channels between its own
    processes. Nothing that is read from data is ever unpickled. A list of tasks costs less than a DataFrame of them (ADR 0026).
    """
    if not items:
        return []
    shares = pack(costs, spark.sparkContext.defaultParallelism)
    try:
        return _run(spark, work, items, shares)
    except Py4JJavaError as error:
        if _dead_task(error) is None:
            raise
        alone = [[number] for share in shares for number in share]
        if len(alone) > len(shares):
            print(f"a worker died at every try; each of {len(items)} items runs again on its own")
            return _run_alone(spark, work, items, alone)
        raise _lost(error, items, shares) from error


def _run_alone(
    spark: SparkSession, work: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item], alone: list[list[int]]
) -> list[Answer]:
    try:
        return _run(spark, work, items, alone)
    except Py4JJavaError as error:
        if _dead_task(error) is None:
            raise
        raise _lost(error, items, alone) from error


def _run(
    spark: SparkSession, work: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item], shares: list[list[int]]
) -> list[Answer]:
    context = spark.sparkContext

    def do(share: Sequence[int]) -> list[tuple[int, Answer]]:
        _exempt_modules(len(sys.modules))
        return list(zip(share, work([items[number] for number in share]), strict=True))

    answers = context.parallelize(shares, len(shares)).map(do).collect()
    return [answer for _, answer in sorted((pair for share in answers for pair in share), key=lambda pair: pair[0])]


def _dead_task(error: Py4JJavaError) -> tuple[int, int] | None:
    """The task whose worker, or executor, died at its last try, and the number of tries; None if something else ended the job."""
    text = str(error)
    found = _FAILED_TASK.search(text)
    if found is None or not any(sign in text for sign in _DEATHS):
        return None
    return int(found["task"]), int(found["tries"])


def _lost(error: Py4JJavaError, items: Sequence[Item], shares: Sequence[Sequence[int]]) -> WorkerLostError:
    task, tries = _dead_task(error) or (0, 0)
    names = [str(items[number])[:MAX_NAME] for number in shares[task]] if task < len(shares) else []
    what = ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
    return WorkerLostError(
        f"the Python worker died {tries} times on {what or 'a task'}: killed from outside, most likely for want of memory",
        "look for `oom-kill` in the kernel log of the machine; give it more memory, or run fewer tasks at once "
        "(SCENELAKE_SPARK_MASTER=local[1,3], or fewer SCENELAKE_SPARK_EXECUTOR_CORES)",
    )


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
