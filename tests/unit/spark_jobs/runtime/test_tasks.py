"""Items of many sizes in few tasks of one size."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py4j.protocol import Py4JJavaError

import spark_jobs.runtime.tasks
from scenes.errors import WorkerLostError
from spark_jobs.runtime.entry import exit_status
from spark_jobs.runtime.tasks import _exempt_modules, pack, run_tasks
from tests.hostile_text import HOSTILE, unsafe

LIMIT = 1000


@given(st.lists(st.integers(0, 3 * LIMIT), max_size=40), st.integers(1, 5))
def test_every_item_is_in_one_task_and_no_task_is_much_larger_than_it_must_be(sizes: list[int], slots: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jobs.runtime.tasks, "MOST_BYTES", LIMIT)
        tasks = pack(sizes, slots)
    assert sorted(item for task in tasks for item in task) == list(range(len(sizes)))
    assert all(task and task == sorted(task) for task in tasks)
    held = [sum(max(sizes[item], 1) for item in task) for task in tasks]
    assert held == sorted(held, reverse=True)
    assert len(tasks) == len(sizes) or len(tasks) % slots == 0, "a task too many runs alone at the end"
    bounded = -(-sum(sizes) // (LIMIT * slots))
    assert len(tasks) <= slots * max(1, bounded), "no more than the limit asks for"
    assert len(tasks) >= min(len(sizes), slots * max(1, bounded))
    if tasks:
        largest = max(max(size, 1) for size in sizes)
        assert max(held) - min(held) <= largest, "an item was put where more was to do than elsewhere"


def test_one_large_item_does_not_wait_behind_others() -> None:
    mib = 2**20
    assert pack([mib, mib, 200 * mib, mib, mib], 2) == [[2], [0, 1, 3, 4]]
    assert pack([], 4) == []
    assert pack([0, 0], 4) == [[0], [1]]


def test_a_slot_has_one_task_until_that_is_too_much_to_do_again() -> None:
    assert [len(pack([size * 2**20] * 8, 2)) for size in (1, 64, 256, 257, 512, 1024)] == [2, 2, 2, 4, 4, 8]


class JavaError(Py4JJavaError):
    """What Spark raises in the driver, by its text alone."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)

    def __str__(self) -> str:
        return str(self.args[0])


def job_error(task: int, cause: str, tries: int = 3) -> JavaError:
    return JavaError(
        "An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.\n"
        f": org.apache.spark.SparkException: Job aborted due to stage failure: Task {task} in stage 2.0 failed {tries} times, "
        f"most recent failure: Lost task {task}.2 in stage 2.0 (TID 9) (host executor driver): {cause}"
    )


DEAD = "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"


class FakeSpark:
    """In place of a session: jobs of two slots that end as they are told, share by share."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *ends: Exception | None) -> None:
        self.ends, self.shares = list(ends), []  # type: ignore[var-annotated]
        self.sparkContext = SimpleNamespace(defaultParallelism=2)
        monkeypatch.setattr(spark_jobs.runtime.tasks, "_run", self.run)

    def run(self, _: Any, work: Any, items: Sequence[str], shares: list[list[int]]) -> list[str]:
        self.shares.append(shares)
        end = self.ends.pop(0)
        if end is not None:
            raise end
        return list(work(items))


def upper(items: Sequence[str]) -> list[str]:
    return [item.upper() for item in items]


def test_a_share_that_kills_its_worker_runs_again_item_by_item(monkeypatch: pytest.MonkeyPatch) -> None:
    spark = FakeSpark(monkeypatch, job_error(1, DEAD), None)
    assert run_tasks(spark, upper, ["a", "b", "c"], [9, 1, 1]) == ["A", "B", "C"]  # type: ignore[arg-type]
    assert spark.shares == [[[0], [1, 2]], [[0], [1], [2]]]


@pytest.mark.parametrize(
    "cause", [DEAD, "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)", "java.io.EOFException"]
)
def test_an_item_that_kills_its_worker_alone_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    spark = FakeSpark(monkeypatch, job_error(0, cause), job_error(1, cause, tries=3))
    with pytest.raises(WorkerLostError, match=r"^the Python worker died 3 times on car/d/c\.mcap: .*memory$") as caught:
        run_tasks(spark, upper, ["car/d/a.mcap", "car/d/b.mcap", "car/d/c.mcap"], [1, 1, 1])  # type: ignore[arg-type]
    assert "oom-kill" in (caught.value.hint or "")
    assert exit_status(lambda: raise_(caught.value)) == 1


def test_items_that_were_alone_already_are_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spark = FakeSpark(monkeypatch, job_error(1, DEAD))
    with pytest.raises(WorkerLostError, match="on b:"):
        run_tasks(spark, upper, ["a", "b"], [1, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [job_error(0, "org.apache.spark.SparkException: Task not serializable"), JavaError("stopped: java.io.EOFException")]
)
def test_any_other_end_of_a_job_stays_what_it_is(monkeypatch: pytest.MonkeyPatch, error: JavaError) -> None:
    for ends in ((error,), (job_error(0, DEAD), error)):
        with pytest.raises(JavaError) as caught:
            run_tasks(FakeSpark(monkeypatch, *ends), upper, ["a", "b", "c"], [1, 1, 1])  # type: ignore[arg-type]
        assert caught.value is error


def raise_(error: Exception) -> None:
    raise error


def test_loaded_modules_are_exempt_from_garbage_collection_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(spark_jobs.runtime.tasks.gc, "freeze", lambda: frozen.append(1))
    _exempt_modules.cache_clear()
    for loaded in (700, 700, 750, 750, 750):
        _exempt_modules(loaded)
    assert len(frozen) == 2, "once, and once more after the first task has loaded what it works with"


def test_a_job_ends_in_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(lambda: raise_(WorkerLostError(f"died on {HOSTILE}", hint=HOSTILE))) == 1
    shown = capsys.readouterr().err
    assert unsafe(shown.rstrip("\n"), "") == set()
    assert len(shown.splitlines()) == 1
