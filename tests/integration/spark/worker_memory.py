"""Runs a worker's tasks in a process of its own, one after the other, and measures their memory.

python -m tests.integration.spark.worker_memory < work and items > results and memory
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark import cloudpickle

from lake.storage import ObjectStore, ObjectVersion

ROOT = Path(__file__).parents[3]
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Usage:
    """Resident bytes of a worker before its first task, and at their highest after each."""

    before_bytes: int = 0
    peaks_bytes: list[int] = field(default_factory=list)

    @property
    def taken_bytes(self) -> int:
        """The memory of the tasks beyond that of imports and a connection."""
        return max(self.peaks_bytes) - self.before_bytes


def run_apart(usage: Usage) -> Callable[[object, Callable[[Any], Any], Sequence[Any], Sequence[int]], list[Any]]:
    """Replaces `run_tasks`: runs all items in one dedicated process, with its memory in `usage`. Work is serialised as on
    Spark, by cloudpickle.
    """

    def run_tasks(_: object, work: Callable[[Any], Any], items: Sequence[Any], __: Sequence[int]) -> list[Any]:
        if not items:
            return []
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.spark.worker_memory"],
            input=cloudpickle.dumps((work, list(items))),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
            timeout=240,
        )
        results, usage.before_bytes, usage.peaks_bytes = cloudpickle.loads(done.stdout)
        return list(results)

    return run_tasks


def main() -> None:
    """Run what standard input holds."""
    work, items = cloudpickle.loads(sys.stdin.buffer.read())
    ObjectStore.connect().size(ObjectVersion("warm", "up"))
    CLEAR_REFS.write_text("5")  # proc(5): the peak begins anew at what is resident now
    before = _peak_bytes()
    results, peaks = [], []
    for item in items:
        results += work([item])
        peaks.append(_peak_bytes())
    sys.stdout.buffer.write(cloudpickle.dumps((results, before, peaks)))


def _peak_bytes() -> int:
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
