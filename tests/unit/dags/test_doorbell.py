"""The doorbell: what a look decides, and a trigger that outlives its endpoint."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenelake_airflow.doorbell import Bell, DriveWorkDoorbell, WorkQueue, backoff_s, look, queue_from_environment
from scenelake_airflow.errors import QueueError


@pytest.mark.parametrize(
    ("bell", "depth", "now_s", "rings"),
    [
        (Bell(), 0, 0.0, False),
        (Bell(), 1, 0.0, True),  # becomes positive
        (Bell(0, 99.0), 1, 100.0, True),  # becomes positive again, soon after the last ring
        (Bell(1, 99.0), 1, 100.0, False),  # unchanged
        (Bell(1, 99.0), 2, 100.0, True),  # rises
        (Bell(3, 99.0), 2, 100.0, False),  # falls
        (Bell(3, 70.0), 2, 100.0, True),  # still positive after 30 s
        (Bell(3, 70.1), 3, 100.0, False),  # not yet 30 s
        (Bell(3, 0.0), 0, 100.0, False),  # empty
    ],
)
def test_when_it_rings(bell: Bell, depth: int, now_s: float, rings: bool) -> None:
    after, rang = look(bell, depth, now_s, again_s=30.0)
    assert rang is rings
    assert after == Bell(depth, now_s if rings else bell.rung_s)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_it_never_rings_for_nothing_and_never_stays_silent_for_long(depths: list[int]) -> None:
    bell, last_ring_s = Bell(), -math.inf
    for now_s, depth in enumerate(depths):
        bell, rings = look(bell, depth, float(now_s), again_s=5.0)
        if depth == 0:
            assert not rings
            continue
        last_ring_s = now_s if rings else last_ring_s
        assert now_s - last_ring_s < 5.0


def test_backoff_doubles_up_to_half_a_minute() -> None:
    assert [backoff_s(failures, 1.0) for failures in (1, 2, 3, 4, 5, 6, 1000)] == [2, 4, 8, 16, 30, 30, 30]


class Depths:
    """A queue that gives these answers, then none more."""

    def __init__(self, *answers: int | QueueError) -> None:
        self.answers: Iterator[int | QueueError] = iter(answers)
        self.ended = asyncio.Event()

    def depth(self) -> int:
        answer = next(self.answers, None)
        if answer is None:
            raise EndOfTest
        if isinstance(answer, QueueError):
            raise answer
        return answer


class EndOfTest(Exception):
    pass


def rung(queue: WorkQueue) -> list[int]:
    """Depths for which a doorbell rings until the queue has no more answers."""
    trigger = DriveWorkDoorbell(poll_s=0.0, again_s=30.0)
    trigger.open_queue = lambda: queue
    events: list[int] = []

    async def listen() -> None:
        async for event in trigger.run():
            events.append(event.payload["depth"])

    with pytest.raises(EndOfTest):
        asyncio.run(listen())
    return events


@pytest.mark.enable_socket  # the event loop wakes itself through a socket pair
def test_it_rings_through_failures_of_the_endpoint() -> None:
    away = QueueError("the endpoint is away")
    assert rung(Depths(0, 1, 1, away, away, 2, 2, 0, 5, 4)) == [1, 2, 5]


def test_it_is_rebuilt_from_what_it_serializes() -> None:
    path, arguments = DriveWorkDoorbell(poll_s=2.0).serialize()
    assert path == "scenelake_airflow.doorbell.DriveWorkDoorbell"
    assert DriveWorkDoorbell(**arguments).serialize() == (path, arguments) == (path, {"poll_s": 2.0, "again_s": 30.0})


def test_without_an_address_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCENELAKE_DRIVE_WORK_URL", raising=False)
    with pytest.raises(QueueError, match="not set: SCENELAKE_DRIVE_WORK_URL"):
        queue_from_environment()
