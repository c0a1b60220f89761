"""Items of many sizes in few tasks of one size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_jobs.runtime.tasks
from spark_jobs.runtime.tasks import _exempt_modules, pack

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


def test_loaded_modules_are_exempt_from_garbage_collection_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(spark_jobs.runtime.tasks.gc, "freeze", lambda: frozen.append(1))
    _exempt_modules.cache_clear()
    for loaded in (700, 700, 750, 750, 750):
        _exempt_modules(loaded)
    assert len(frozen) == 2, "once, and once more after the first task has loaded what it works with"
