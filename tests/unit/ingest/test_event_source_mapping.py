from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ingest.environment import MappingSettings
from ingest.errors import QueueError, UnversionedError
from ingest.event_source_mapping import EventSourceMapping, Mapped, connect, lambda_record, main
from ingest.queues import depth
from lake.errors import SettingsError

NAMES = {
    "SCENELAKE_RAW_BUCKET": "raw",
    "SCENELAKE_LAKE_BUCKET": "lake",
    "SCENELAKE_QUARANTINE_BUCKET": "quarantine",
    "SCENELAKE_LEDGER_TABLE": "ledger",
    "SCENELAKE_DRIVE_WORK_URL": "http://127.0.0.1/work",
}


@pytest.fixture
def sqs(aws: None) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def mapped(sqs: Any) -> Mapped:
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    _, found = connect(MappingSettings.from_env({**NAMES, "SCENELAKE_OBJECT_EVENTS_URL": url, "AWS_REGION": "us-east-1"}))
    return found


def none_failed(event: object, context: object) -> dict[str, Any]:
    return {"batchItemFailures": []}


def test_the_queue_is_known_by_its_arn(mapped: Mapped) -> None:
    assert (mapped.arn, mapped.region) == ("arn:aws:sqs:us-east-1:123456789012:events", "us-east-1")
    assert (mapped.visibility_s, mapped.sweep_every_s) == (30, 15.0)


def test_the_handler_gets_what_lambda_gives(sqs: Any, mapped: Mapped) -> None:
    sqs.send_message(
        QueueUrl=mapped.url, MessageBody="böd\ny", MessageAttributes={"A": {"StringValue": "1", "DataType": "Number"}}
    )
    events: list[Any] = []

    def keep(event: object, context: object) -> dict[str, Any]:
        events.append(event)
        return none_failed(event, context)

    assert EventSourceMapping(sqs, mapped, keep, none_failed).poll(0) == 1
    [record] = events[0]["Records"]
    expected = "messageId receiptHandle body attributes messageAttributes md5OfBody eventSource eventSourceARN awsRegion"
    assert set(record) == set(expected.split())
    assert (record["body"], record["eventSource"], record["eventSourceARN"]) == ("böd\ny", "aws:sqs", mapped.arn)
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= set(record["attributes"])
    assert record["messageAttributes"]["A"]["stringValue"] == "1"
    assert record["messageAttributes"]["A"]["dataType"] == "Number"


def test_what_succeeded_is_deleted_what_failed_is_left(sqs: Any, mapped: Mapped) -> None:
    for number in range(4):
        sqs.send_message(QueueUrl=mapped.url, MessageBody=str(number))

    def odd_ones_fail(event: Any, context: object) -> dict[str, Any]:
        odd = [record["messageId"] for record in event["Records"] if int(record["body"]) % 2]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in odd]}

    assert EventSourceMapping(sqs, mapped, odd_ones_fail, none_failed).poll(0) == 4
    left = depth(sqs, mapped.url)
    assert (left.visible, left.in_flight) == (0, 2)


def test_a_handler_that_raises_gives_the_whole_batch_back(sqs: Any, mapped: Mapped) -> None:
    for number in range(3):
        sqs.send_message(QueueUrl=mapped.url, MessageBody=str(number))

    def raises(event: object, context: object) -> dict[str, Any]:
        raise RuntimeError("bug")

    assert EventSourceMapping(sqs, mapped, raises, none_failed).poll(0) == 3
    assert depth(sqs, mapped.url).in_flight == 3


def test_poison_reaches_the_dead_letters_after_five_receives(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 5}}'
    url = sqs.create_queue(QueueName="live", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.send_message(QueueUrl=url, MessageBody="good")

    def handle(event: Any, context: object) -> dict[str, Any]:
        bad = [record["messageId"] for record in event["Records"] if record["body"] == "poison"]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in bad]}

    mapping = EventSourceMapping(sqs, Mapped(url, "arn:aws:sqs:us-east-1:1:live", "us-east-1", 0, 60), handle, none_failed)
    assert [mapping.poll(0) for _ in range(7)] == [2, 1, 1, 1, 1, 0, 0]
    [message] = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "poison"


class FlakySqs:
    """Fails `failures` times, then sets `stop` with an empty queue."""

    def __init__(self, failures: int, stop: threading.Event) -> None:
        self.failures = failures
        self.stop = stop
        self.polls = 0

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.polls += 1
        if self.polls <= self.failures:
            raise EndpointConnectionError(endpoint_url="http://q")
        self.stop.set()
        return {}


class Pauses(threading.Event):
    """Records how long it was asked to wait, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


def test_an_endpoint_that_does_not_answer_is_tried_again_ever_more_slowly() -> None:
    stop = Pauses()
    flaky: Any = FlakySqs(7, stop)
    EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 1e9), none_failed, none_failed).run(stop)
    assert flaky.polls == 8
    for wait_s, doubled_s in zip(stop.waits, [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0], strict=True):
        assert wait_s is not None
        assert doubled_s <= wait_s <= min(doubled_s + 0.5, 10.0)


@pytest.mark.parametrize(
    "odd", [{"Messages": {}}, {"Messages": [{}]}, {"message": "<html>"}, [], None, KeyError("x"), TypeError("y")]
)
def test_an_odd_answer_is_waited_out(odd: Any) -> None:
    class Odd(FlakySqs):
        def receive_message(self, **_: Any) -> Any:
            self.polls += 1
            if self.polls > self.failures:
                self.stop.set()
                return {}
            if isinstance(odd, Exception):
                raise odd
            return odd

    stop = Pauses()
    flaky: Any = Odd(3, stop)
    EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 1e9), none_failed, none_failed).run(stop)
    assert (flaky.polls, len(stop.waits)) == (4, 3)


def test_a_message_without_a_body_fails_alone(mapped: Mapped) -> None:
    messages = [{"MessageId": "1", "ReceiptHandle": "r1"}, {"MessageId": "2", "ReceiptHandle": "r2", "Body": "{}"}]
    assert [lambda_record(message, mapped)["body"] for message in messages] == ["", "{}"]


@pytest.mark.parametrize("answer", [{}, {"Attributes": {}}, {"Attributes": None}, {"message": "<html>"}])
def test_a_queue_that_does_not_say_its_arn_is_an_error_in_words(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering:
        def get_queue_attributes(self, **_: Any) -> Any:
            return answer

    monkeypatch.setattr("ingest.event_source_mapping.client", lambda *_: Answering())
    with pytest.raises(QueueError, match="GetQueueAttributes has no usable"):
        connect(MappingSettings.from_env({**NAMES, "SCENELAKE_OBJECT_EVENTS_URL": "u", "AWS_REGION": "us-east-1"}))


def test_a_stop_during_an_outage_ends_at_once() -> None:
    class Stopping(Pauses):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return super().wait(timeout)

    stop = Stopping()
    flaky: Any = FlakySqs(1000, stop)
    EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 1e9), none_failed, none_failed).run(stop)
    assert (flaky.polls, len(stop.waits)) == (1, 1)


def test_sweeps_go_on_while_the_event_queue_is_down() -> None:
    stop = Pauses()
    flaky: Any = FlakySqs(4, stop)
    ticks = iter(range(1000))
    swept: list[int] = []
    mapping = EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 0), none_failed, lambda *_: swept.append(flaky.polls))
    mapping.run(stop, lambda: float(next(ticks)))
    assert swept == [1, 2, 3, 4]


def test_only_a_poll_that_was_answered_is_a_sign_of_life(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    seen: list[bool] = []

    class Watched(FlakySqs):
        def receive_message(self, **_: Any) -> dict[str, Any]:
            seen.append(alive.exists())
            return super().receive_message()

    stop = Pauses()
    flaky: Any = Watched(2, stop)
    EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 1e9), none_failed, none_failed, alive).run(stop)
    assert seen == [False, False, False]
    assert alive.exists()


def test_sweeps_come_at_their_times_and_a_failing_one_ends_nothing() -> None:
    stop = threading.Event()
    flaky: Any = FlakySqs(0, threading.Event())
    ticks = iter(range(1000))
    swept: list[int] = []

    def sweep(event: object, context: object) -> None:
        swept.append(flaky.polls)
        if len(swept) == 3:
            stop.set()
        raise RuntimeError("sweep fails")

    EventSourceMapping(flaky, Mapped("u", "a", "r", 30, 10), none_failed, sweep).run(stop, lambda: float(next(ticks)))
    assert len(swept) == 3
    assert swept[0] == 1
    assert swept[1] - swept[0] >= 5


def test_without_a_queue_the_mapping_says_what_is_absent() -> None:
    with pytest.raises(SettingsError, match=r"not set: SCENELAKE_OBJECT_EVENTS_URL;"):
        MappingSettings.from_env(NAMES)


def test_a_message_without_attributes_is_a_record_too() -> None:
    record = lambda_record({"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}, Mapped("u", "a", "eu", 1, 1))
    assert (record["attributes"], record["messageAttributes"], record["awsRegion"]) == ({}, {}, "eu")


def test_a_mapping_that_cannot_start_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> MappingSettings:
        raise UnversionedError("versioning of the raw bucket raw is suspended", "enable it")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(MappingSettings, "from_env", refused)
    assert main() == 1
    assert (
        capsys.readouterr().err == "event-source mapping cannot start: versioning of the raw bucket raw is suspended; enable it\n"
    )
