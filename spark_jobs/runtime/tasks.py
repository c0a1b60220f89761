"""Spark as the jobs use it: independent pieces of work, each a description of a few bytes, each with a small answer."""

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

YOUNG_OBJECTS = 100_000
MOST_BYTES = 1024 * 1024 * 1024  # what a task that fails, or whose executor dies, has to do again


def run_tasks(
    spark: SparkSession, work: Callable[[Sequence[Item]], Sequence[Answer]], items: Sequence[Item], sizes: Sequence[int]
) -> list[Answer]:
    """`work` on some items at a time, an answer for each; answers in the order of the items.

    `sizes`: roughly how many bytes each item moves; tasks are of equal size. A task that fails, or whose executor dies, is
    tried again as often as Spark is configured to. Descriptions and answers are pickled Python values: a DataFrame would move
    them through Arrow and a shuffle, which here cost more than the work of a short drive.
    """
    if not items:
        return []
    context = spark.sparkContext
    shares = pack(sizes, context.defaultParallelism)

    def do(share: Sequence[int]) -> list[tuple[int, Answer]]:
        _spare_modules(len(sys.modules))
        return list(zip(share, work([items[number] for number in share]), strict=True))

    answers = context.parallelize(shares, len(shares)).map(do).collect()
    return [answer for _, answer in sorted((pair for share in answers for pair in share), key=lambda pair: pair[0])]


@cache
def _spare_modules(loaded: int) -> None:
    """Keep the garbage collector of a worker from `loaded` modules: done once for each number of them.

    Spark has a worker collect garbage after every task, which would walk through all of them: 20 ms. What else is alive is
    spared with them, and never found once it is garbage; so this is not done for every task.
    """
    del loaded
    gc.freeze()
    # Rows are made by the thousand and hold no cycles; to look for some every 700 of them takes a twentieth of the time.
    gc.set_threshold(YOUNG_OBJECTS)


def pack(sizes: Sequence[int], slots: int) -> list[list[int]]:
    """Which items each task does: positions in `sizes`, ascending; the largest task first.

    For each of `slots` one task, or as many as keep them below `MOST_BYTES`: always a whole number for each, since of equal
    tasks one too many runs alone at the end. More of them would balance nothing unless one core were half as fast as another,
    and between two tasks a core waits. Each item goes, the largest first, to the task that has least to do (Graham, "Bounds on
    multiprocessing timing anomalies", 1969).
    """
    count = min(len(sizes), slots * max(1, -(-sum(sizes) // (slots * MOST_BYTES))))
    tasks: list[tuple[int, int, list[int]]] = [(0, number, []) for number in range(count)]
    for item in sorted(range(len(sizes)), key=lambda item: (-sizes[item], item)):
        held, number, share = heapq.heappop(tasks)
        share.append(item)
        heapq.heappush(tasks, (held + max(sizes[item], 1), number, share))
    return [sorted(share) for _, _, share in sorted(tasks, key=lambda task: (-task[0], task[1]))]
