"""The doorbell: the decision on each reading, and a trigger that survives an outage of its endpoint."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenelake_airflow.doorbell import DepthWatcher, DriveWorkDoorbell, ReadDepth, depth_from_environment
from scenelake_airflow.errors import QueueError


@pytest.mark.parametrize(
    ("watcher", "depth", "now_s", "fires"),
    [
        (DepthWatcher(), 0, 0.0, False),
        (DepthWatcher(), 1, 0.0, True),  # becomes positive
        (DepthWatcher(0, 99.0), 1, 100.0, True),  # becomes positive again, soon after it fired
        (DepthWatcher(1, 99.0), 1, 100.0, False),  # unchanged
        (DepthWatcher(1, 99.0), 2, 100.0, True),  # rises
        (DepthWatcher(3, 99.0), 2, 100.0, False),  # falls
        (DepthWatcher(3, 70.0), 2, 100.0, True),  # still positive after 30 s
        (DepthWatcher(3, 70.1), 3, 100.0, False),  # not yet 30 s
        (DepthWatcher(3, 0.0), 0, 100.0, False),  # empty
    ],
)
def test_when_it_fires(watcher: DepthWatcher, depth: int, now_s: float, fires: bool) -> None:
    after, fired = watcher.observe(depth, now_s, again_s=30.0)
    assert fired is fires
    assert after == DepthWatcher(depth, now_s if fires else watcher.fired_s)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_it_never_fires_for_nothing_and_never_stays_silent_for_long(depths: list[int]) -> None:
    watcher, last_s = DepthWatcher(), -math.inf
    for now_s, depth in enumerate(depths):
        watcher, fires = watcher.observe(depth, float(now_s), again_s=5.0)
        if depth == 0:
            assert not fires
            continue
        last_s = now_s if fires else last_s
        assert now_s - last_s < 5.0


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


def fired(open_queue: Callable[[], ReadDepth], poll_s: float = 0.0) -> list[int]:
    """Depths for which a doorbell fires until the queue has no more answers."""
    trigger = DriveWorkDoorbell(poll_s=poll_s, again_s=30.0, open_queue=open_queue)
    events: list[int] = []

    async def listen() -> None:
        async for event in trigger.run():
            events.append(event.payload["depth"])

    with pytest.raises(EndOfTest):
        asyncio.run(listen())
    return events


@pytest.mark.enable_socket  # the event loop wakes itself through a socket pair
def test_it_fires_through_failures_of_the_endpoint() -> None:
    away = QueueError("the endpoint is away")
    assert fired(lambda: Depths(0, 1, 1, away, away, 2, 2, 0, 5, 4).depth) == [1, 2, 5]


@pytest.mark.enable_socket
def test_a_queue_that_cannot_be_opened_is_opened_again() -> None:
    opened: list[int] = []
    queue = Depths(3)

    def open_queue() -> ReadDepth:
        opened.append(1)
        if len(opened) < 3:
            raise QueueError("not set")
        return queue.depth

    assert fired(open_queue) == [3]
    assert len(opened) == 3


@pytest.mark.enable_socket
def test_its_pauses_double_up_to_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    away = QueueError("the endpoint is away")

    async def record(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", record)
    assert fired(lambda: Depths(*[away] * 7, 1).depth, poll_s=1.0) == [1]
    *outage, after = pauses
    assert after == 1.0
    for pause, doubled in zip(outage, [1, 2, 4, 8, 16, 30, 30], strict=True):
        assert doubled <= pause <= min(doubled + 1, 30)


def test_it_is_rebuilt_from_what_it_serializes() -> None:
    path, arguments = DriveWorkDoorbell(poll_s=2.0).serialize()
    assert path == "scenelake_airflow.doorbell.DriveWorkDoorbell"
    assert DriveWorkDoorbell(**arguments).serialize() == (path, arguments) == (path, {"poll_s": 2.0, "again_s": 30.0})


def test_without_a_url_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCENELAKE_DRIVE_WORK_URL", raising=False)
    with pytest.raises(QueueError, match="not set: SCENELAKE_DRIVE_WORK_URL"):
        depth_from_environment()
