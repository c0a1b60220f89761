from __future__ import annotations

import threading
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ingest.ledger import lease
from ingest.ledger.work import DriveWork, Reason
from ingest.queues import QueueDepth, WorkQueue, depth
from lake.landing import DriveId

WORK = DriveWork(DriveId("car", "drive"), "a" * 64, Reason.COMPLETE)


@pytest.fixture
def sqs(aws: None) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "300"})["QueueUrl"])


def test_receive_hides_delete_ends(sqs: Any, url: str) -> None:
    WorkQueue(sqs, url).send(WORK)
    assert depth(sqs, url) == QueueDepth(visible=1, in_flight=0, delayed=0)
    [held] = lease.receive(sqs, url, 5)
    assert (held.work, held.receive_count) == (WORK, 1)
    assert depth(sqs, url) == QueueDepth(visible=0, in_flight=1, delayed=0)
    assert lease.receive(sqs, url, 5) == []
    lease.delete(sqs, url, held.receipt_handle)
    assert depth(sqs, url) == QueueDepth(0, 0, 0)


def test_release_gives_back_at_once(sqs: Any, url: str) -> None:
    WorkQueue(sqs, url).send(WORK)
    [held] = lease.receive(sqs, url, 1)
    lease.release(sqs, url, held.receipt_handle)
    [again] = lease.receive(sqs, url, 1)
    assert (again.work, again.receive_count, again.message_id) == (WORK, 2, held.message_id)


def test_an_unreadable_message_is_left_to_the_dead_letters_and_its_neighbour_is_leased(sqs: Any, url: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="garbage")
    WorkQueue(sqs, url).send(WORK)
    assert [held.work for held in lease.receive(sqs, url, 10)] == [WORK]
    assert depth(sqs, url).in_flight == 2


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
    with lease.keep_alive(fake, "u", "r", 1) as heartbeat:
        assert heartbeat.beats == 1
        assert all(fake.extended.acquire(timeout=5) for _ in range(3))
    stopped = len(fake.extensions)
    assert not fake.extended.acquire(timeout=0.8)
    assert fake.extensions == [1] * stopped
    assert not heartbeat.lost.is_set()


def test_a_failure_in_between_is_recorded_and_survived() -> None:
    fake: Any = FakeSqs(None, EndpointConnectionError(endpoint_url="http://q"))
    with lease.keep_alive(fake, "u", "r", 1) as heartbeat:
        assert all(fake.extended.acquire(timeout=5) for _ in range(4))
    assert len(heartbeat.failures) == 1
    assert "http://q" in heartbeat.failures[0]
    assert heartbeat.beats >= 2
    assert not heartbeat.lost.is_set()


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue"])
def test_a_lost_lease_is_told_once_and_no_longer_extended(code: str) -> None:
    fake: Any = FakeSqs(None, error(code))
    told = threading.Event()
    with lease.keep_alive(fake, "u", "r", 1, on_lost=told.set) as heartbeat:
        assert heartbeat.lost.wait(timeout=5)
        assert told.wait(timeout=5)
        assert len(fake.extensions) == 2
    assert len(fake.extensions) == 2


def test_a_lease_that_is_lost_before_the_block_is_told_in_it() -> None:
    fake: Any = FakeSqs(error("ReceiptHandleIsInvalid"))
    with lease.keep_alive(fake, "u", "r", 60) as heartbeat:
        assert heartbeat.lost.is_set()
    assert len(fake.extensions) == 1


def test_a_lease_is_lost_when_its_time_has_run_out_without_an_answer() -> None:
    failure = EndpointConnectionError(endpoint_url="http://q")
    fake: Any = FakeSqs(None, *[failure] * 50)
    ticks = iter(float(second) for second in range(10_000))
    with lease.keep_alive(fake, "u", "r", 1, monotonic_s=lambda: next(ticks)) as heartbeat:
        assert heartbeat.lost.wait(timeout=5)
    assert heartbeat.failures


def test_ending_a_lost_lease_is_no_error_but_other_refusals_are() -> None:
    for end in (lease.delete, lease.release):
        gone: Any = FakeSqs(error("ReceiptHandleIsInvalid"))
        forbidden: Any = FakeSqs(error("AccessDenied"))
        if end is lease.delete:
            for fake in (gone, forbidden):
                fake.delete_message = partial(fake.change_message_visibility, VisibilityTimeout=0)
        end(gone, "u", "r")
        with pytest.raises(ClientError, match="AccessDenied"):
            end(forbidden, "u", "r")
