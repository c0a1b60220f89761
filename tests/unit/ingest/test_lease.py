from __future__ import annotations

import threading
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ingest.lease import keep_alive
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import QueueDepth, WorkQueue
from lake.landing import DriveId

WORK = DriveWork(DriveId("car", "drive"), "a" * 64, WorkReason.COMPLETE)


@pytest.fixture
def sqs(aws: None) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "300"})["QueueUrl"])


@pytest.fixture
def queue(sqs: Any, url: str) -> WorkQueue:
    return WorkQueue(sqs, url)


def test_receive_hides_delete_ends(queue: WorkQueue) -> None:
    queue.send(WORK)
    assert queue.depth() == QueueDepth(visible=1, in_flight=0, delayed=0)
    [held] = queue.receive(5)
    assert (held.work, held.receive_count) == (WORK, 1)
    assert queue.depth() == QueueDepth(visible=0, in_flight=1, delayed=0)
    assert queue.receive(5) == []
    assert queue.delete(held.receipt_handle)
    assert queue.depth() == QueueDepth(0, 0, 0)


def test_extending_by_nothing_returns_a_message_at_once(queue: WorkQueue) -> None:
    queue.send(WORK)
    [held] = queue.receive(1)
    assert queue.extend(held.receipt_handle, 0)
    [again] = queue.receive(1)
    assert (again.work, again.receive_count, again.message_id) == (WORK, 2, held.message_id)


def test_messages_are_received_one_by_one_and_no_further_than_asked(sqs: Any, queue: WorkQueue) -> None:
    for _ in range(3):
        queue.send(WORK)
    assert len(list(queue.messages(2))) == 2
    assert queue.depth() == QueueDepth(visible=1, in_flight=2, delayed=0)
    assert len(list(queue.messages(9))) == 1


def test_an_unreadable_message_is_left_to_the_dead_letters_and_its_neighbour_is_leased(
    sqs: Any, url: str, queue: WorkQueue
) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="garbage")
    queue.send(WORK)
    assert [held.work for held in queue.receive(10)] == [WORK]
    assert queue.depth().in_flight == 2


class FakeSqs:
    """Answers each extension with the next of `answers` (an error, or None), and with None after that."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.extensions: list[int] = []
        self.extended = threading.Semaphore(0)

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self.extensions.append(VisibilityTimeout)
        self.extended.release()
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer

    delete_message = change_message_visibility


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "ChangeMessageVisibility")


def test_keeping_extends_at_once_then_every_third_and_stops_with_the_block() -> None:
    fake: Any = FakeSqs()
    with keep_alive(WorkQueue(fake, "u"), "r", 1) as heartbeat:
        assert heartbeat.beats == 1
        assert all(fake.extended.acquire(timeout=5) for _ in range(3))
    stopped = len(fake.extensions)
    assert not fake.extended.acquire(timeout=0.8)
    assert fake.extensions == [1] * stopped
    assert not heartbeat.lost.is_set()


def test_a_failure_in_between_is_recorded_and_survived() -> None:
    fake: Any = FakeSqs(None, EndpointConnectionError(endpoint_url="http://q"))
    with keep_alive(WorkQueue(fake, "u"), "r", 1) as heartbeat:
        assert all(fake.extended.acquire(timeout=5) for _ in range(4))
    assert len(heartbeat.failures) == 1
    assert "http://q" in heartbeat.failures[0]
    assert heartbeat.beats >= 2
    assert not heartbeat.lost.is_set()


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue"])
def test_a_lost_lease_is_no_longer_extended(code: str) -> None:
    fake: Any = FakeSqs(None, error(code))
    with keep_alive(WorkQueue(fake, "u"), "r", 1) as heartbeat:
        assert heartbeat.lost.wait(timeout=5)
        assert len(fake.extensions) == 2
    assert len(fake.extensions) == 2
    assert (heartbeat.beats, heartbeat.failures) == (1, ["the message is no longer in flight"])


def test_a_lease_that_is_lost_before_the_block_is_lost_in_it() -> None:
    fake: Any = FakeSqs(error("ReceiptHandleIsInvalid"))
    with keep_alive(WorkQueue(fake, "u"), "r", 60) as heartbeat:
        assert heartbeat.lost.is_set()
    assert len(fake.extensions) == 1


def test_a_lease_is_lost_when_its_time_has_run_out_without_an_answer() -> None:
    failure = EndpointConnectionError(endpoint_url="http://q")
    fake: Any = FakeSqs(None, *[failure] * 50)
    ticks = iter(float(second) for second in range(10_000))
    with keep_alive(WorkQueue(fake, "u"), "r", 1, monotonic_s=lambda: next(ticks)) as heartbeat:
        assert heartbeat.lost.wait(timeout=5)
    assert heartbeat.failures


@pytest.mark.parametrize("call", [WorkQueue.delete, partial(WorkQueue.extend, visibility_s=0)], ids=["delete", "extend"])
def test_a_lost_lease_is_an_answer_but_another_refusal_an_error(call: Any) -> None:
    gone: Any = FakeSqs(error("ReceiptHandleIsInvalid"))
    forbidden: Any = FakeSqs(error("AccessDenied"))
    for fake in (gone, forbidden):
        fake.delete_message = partial(fake.change_message_visibility, VisibilityTimeout=0)
    assert call(WorkQueue(gone, "u"), "r") is False
    with pytest.raises(ClientError, match="AccessDenied"):
        call(WorkQueue(forbidden, "u"), "r")
