"""The drive-work queue and its dead letters on SQS in this process, and answers that SQS never gives."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ingest.dead_letters import DeadLetterQueue, dead_letter_url, work_messages
from ingest.errors import QueueError, WorkError
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import QueueDepth, WorkQueue, depth
from tests.unit.ingest.ingest_fakes import DRIVE

WORK = DriveWork(DRIVE, "a" * 64, WorkReason.COMPLETE)
COUNT, IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


@pytest.fixture
def sqs(aws: None) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    dead = sqs.create_queue(QueueName="work-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    return str(sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": policy})["QueueUrl"])


def bury(sqs: Any, url: str, *bodies: str) -> None:
    """Deliver messages until SQS moves them to the dead letters."""
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    for _ in range(2):
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)


class Answers:
    """A client of which every call gives the same answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **_: self._answer


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"ResponseMetadata": {"HTTPStatusCode": 200}},
        {"message": "<html>maintenance</html>"},
        {"Attributes": None},
        {"Attributes": []},
        {"Attributes": {}},
        {"Attributes": {COUNT: "2"}},
        {"Attributes": {COUNT: "two", IN_FLIGHT: "0"}},
        {"Attributes": {COUNT: "-1", IN_FLIGHT: "0"}},
        {"Attributes": {COUNT: None, IN_FLIGHT: "0"}},
        {"Attributes": {COUNT: "²", IN_FLIGHT: "0"}},
        [],
        None,
    ],
)
def test_an_odd_depth_is_an_error_and_not_an_empty_queue(answer: Any) -> None:
    with pytest.raises(QueueError, match="answer to GetQueueAttributes has no usable"):
        depth(Answers(answer), "u")  # type: ignore[arg-type]


def test_a_depth_without_delays_is_one() -> None:
    found = depth(Answers({"Attributes": {COUNT: "2", IN_FLIGHT: 3}}), "u")  # type: ignore[arg-type]
    assert found == QueueDepth(2, 3, 0)
    assert found.total == 5


@pytest.mark.parametrize("answer", [{}, {"MessageId": None}, {"message": "<html>"}, None])
def test_a_message_counts_as_sent_only_if_the_queue_says_so(answer: Any) -> None:
    with pytest.raises(QueueError, match="answer to SendMessage has no usable 'MessageId'"):
        WorkQueue(Answers(answer), "u").send(WORK)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer", [{"Messages": {}}, {"Messages": ["x"]}, {"Messages": [{}]}, {"message": "<html>"}, "page", None]
)
def test_an_odd_receive_is_an_error(answer: Any) -> None:
    with pytest.raises(QueueError, match="answer to ReceiveMessage has no usable"):
        WorkQueue(Answers(answer), "u").receive(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [{}, {"Messages": []}, {"ResponseMetadata": {}}])
def test_an_empty_receive_is_empty(answer: Any) -> None:
    assert WorkQueue(Answers(answer), "u").receive(1) == []  # type: ignore[arg-type]


def test_one_odd_message_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    good = {"MessageId": "m2", "ReceiptHandle": "r2", "Body": WORK.to_message(), "Attributes": {"ApproximateReceiveCount": "x"}}
    answer = {"Messages": [{"MessageId": "m1", "ReceiptHandle": "r1"}, good]}
    (received,) = WorkQueue(Answers(answer), "u").receive(2)  # type: ignore[arg-type]
    assert (received.work, received.receipt_handle, received.receive_count) == (WORK, "r2", 1)
    assert "work message m1 (delivery 1) is unreadable" in caplog.text


def test_a_long_page_is_cut_in_the_message() -> None:
    with pytest.raises(QueueError) as caught:
        depth(Answers({"message": "<html>" * 10_000}), "u")  # type: ignore[arg-type]
    assert len(str(caught.value)) < 400


def test_dead_letters_are_seen_once_and_stay(sqs: Any, url: str) -> None:
    bury(sqs, url, WORK.to_message(), "no work at all" * 500)
    dead = DeadLetterQueue(sqs, url)
    found = {letter.fault == "": letter for letter in dead.letters(10)}
    assert found[True].about == f"{DRIVE} (complete, revision {'a' * 12})"
    assert found[True].sent_ms > 1_700_000_000_000
    assert found[False].about == ""
    assert "is not JSON" in found[False].fault or "exceeds" in found[False].fault
    assert found[False].body == "no work at all" * 500
    assert list(dead.letters(10)) == [], "they are invisible to others for a while"
    for letter in found.values():
        dead.put_back(letter)
    assert {letter.message_id for letter in dead.letters(10)} == {letter.message_id for letter in found.values()}


def test_a_look_ends_although_the_queue_gives_the_same_messages_again(sqs: Any, url: str) -> None:
    bury(sqs, url, WORK.to_message())
    assert len(list(DeadLetterQueue(sqs, url).letters(10, invisible_s=0))) == 1


def test_a_dead_letter_goes_back_as_it_was(sqs: Any, url: str) -> None:
    bury(sqs, url, WORK.to_message(), "junk")
    dead, queue = DeadLetterQueue(sqs, url), WorkQueue(sqs, url)
    for letter in list(dead.letters(10)):
        if letter.fault:
            with pytest.raises(WorkError, match="cannot be read"):
                dead.redrive(letter)
            dead.put_back(letter)
        else:
            dead.redrive(letter)
    assert [received.work for received in queue.receive(10)] == [WORK]
    (junk,) = dead.letters(10)
    assert junk.body == "junk"
    dead.redrive(junk, force=True)
    assert list(dead.letters(10)) == []
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "junk"


def test_a_redrive_that_the_queue_does_not_confirm_keeps_the_letter(sqs: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(sqs, url, WORK.to_message())
    dead = DeadLetterQueue(sqs, url)
    (letter,) = dead.letters(10)
    monkeypatch.setattr(sqs, "send_message", lambda **_: {})
    with pytest.raises(QueueError):
        dead.redrive(letter)
    dead.put_back(letter)
    assert len(list(dead.letters(10))) == 1


def test_work_messages_are_counted_wherever_they_are(sqs: Any, url: str) -> None:
    count = work_messages(sqs, url)
    assert count() == 0
    bury(sqs, url, WORK.to_message(), WORK.to_message())
    queue = WorkQueue(sqs, url)
    for _ in range(3):
        queue.send(WORK)
    assert queue.receive(1, visibility_s=60)
    assert count() == 5
    sqs.purge_queue(QueueUrl=url)
    assert count() == 2


@pytest.mark.parametrize("answer", [{}, {"Attributes": None}, {"Attributes": {}}, {"message": "<html>"}])
def test_an_odd_answer_is_not_taken_for_a_queue_without_dead_letters(answer: Any) -> None:
    with pytest.raises(QueueError, match="GetQueueAttributes"):
        dead_letter_url(Answers(answer), "u")  # type: ignore[arg-type]


def test_a_letter_whose_time_is_over_is_put_back_already(sqs: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(sqs, url, WORK.to_message())
    dead = DeadLetterQueue(sqs, url)
    (letter,) = dead.letters(10)
    for code, raised in (
        ("MessageNotInflight", False),
        ("AWS.SimpleQueueService.MessageNotInflight", False),
        ("AccessDenied", True),
    ):

        def answer(code: str = code, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "ChangeMessageVisibility")

        monkeypatch.setattr(sqs, "change_message_visibility", answer)
        with pytest.raises(ClientError) if raised else contextlib.nullcontext():
            dead.put_back(letter)


def test_a_queue_without_dead_letters(sqs: Any) -> None:
    plain = sqs.create_queue(QueueName="plain")["QueueUrl"]
    assert dead_letter_url(sqs, plain) is None
    assert work_messages(sqs, plain)() == 0
    with pytest.raises(QueueError, match="has no dead-letter queue"):
        DeadLetterQueue(sqs, plain)


@pytest.mark.parametrize("policy", ["{", "[]", '{"maxReceiveCount": 5}', '{"deadLetterTargetArn": 3}'])
def test_a_redrive_policy_that_cannot_be_read(policy: str) -> None:
    with pytest.raises(QueueError):
        dead_letter_url(Answers({"Attributes": {"QueueArn": "a", "RedrivePolicy": policy}}), "u")  # type: ignore[arg-type]
