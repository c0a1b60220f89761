"""Python workers that are killed, on a real Spark in this process' JVM: what is retried, and what the job says in the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from scenes.errors import WorkerLostError
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from spark_jobs.runtime.tasks import run_tasks


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    session = start_spark(spark_properties("lost-workers", SparkSettings(spark_master="local[1,2]")))
    yield session
    session.stop()


def dying(place: str) -> Callable[[Sequence[str]], list[str]]:
    """Upper case; `once` kills its worker the first time, `crowd` unless it is alone, `always` every time."""

    def work(share: Sequence[str]) -> list[str]:
        for item in share:
            seen = Path(place, item)
            if item == "always" or (item == "crowd" and len(share) > 1) or (item == "once" and not seen.exists()):
                seen.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return [item.upper() for item in share]

    return work


def test_a_worker_that_is_killed_once_is_replaced(spark: SparkSession, tmp_path: Path) -> None:
    assert run_tasks(spark, dying(str(tmp_path)), ["a", "once", "b"], [1, 1, 1]) == ["A", "ONCE", "B"]


def test_what_fits_alone_is_done_alone(spark: SparkSession, tmp_path: Path) -> None:
    assert run_tasks(spark, dying(str(tmp_path)), ["a", "crowd", "b"], [1, 1, 1]) == ["A", "CROWD", "B"]


def test_what_kills_every_worker_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match=r"^the Python worker died 2 times on always: killed from outside, .* memory$"):
        run_tasks(spark, dying(str(tmp_path)), ["a", "always", "b"], [1, 1, 1])
