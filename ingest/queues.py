"""The drive-work queue: send, receive, extend, delete, and its depth."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.errors import WorkError
from ingest.ledger.work_message import DriveWork

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_MESSAGES = 10  # Amazon SQS API Reference, ReceiveMessage
# A receive that does not wait queries only a subset of SQS's servers, and may return nothing although messages exist.
FIRST_WAIT_S = 1
_GONE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "QueueDoesNotExist"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages that can be received, that are in flight, and that are delayed. SQS calls all three approximate."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True)
class ReceivedWork:
    """One delivery of a work message, invisible to others until its visibility ends. `receive_count` is 1 the first time."""

    work: DriveWork
    receipt_handle: str
    receive_count: int
    message_id: str


class WorkQueue:
    """The drive-work queue on SQS: `WorkSender` and `WorkSource`."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, work: DriveWork) -> None:
        """Send one message; returns when the queue has it."""
        self._client.send_message(QueueUrl=self._url, MessageBody=work.to_message())

    def messages(self, most: int) -> Iterator[ReceivedWork]:
        """Up to `most` readable messages, each received only when the iterator is advanced; ends when a receive returns none.

        They stay invisible for the queue's own visibility timeout. A message that cannot be read ends the iterator too: it
        returns and goes to the dead letters in the end.
        """
        for wait_s in (FIRST_WAIT_S, *[0] * (most - 1)):
            received = self.receive(1, wait_s=wait_s)
            if not received:
                return
            yield received[0]

    def receive(self, limit: int, visibility_s: int | None = None, wait_s: int = 0) -> list[ReceivedWork]:
        """Up to `limit` readable messages (at most 10), invisible for `visibility_s`, or the queue's own timeout.

        A message that cannot be read is neither deleted nor extended: it returns, and after as many deliveries as the queue
        allows SQS moves it to the dead letters.
        """
        visibility: dict[str, Any] = {} if visibility_s is None else {"VisibilityTimeout": visibility_s}
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(limit, MAX_MESSAGES),
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            **visibility,
        )
        received = []
        for message in answer.get("Messages", []):
            count = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
            try:
                work = DriveWork.parse(message["Body"])
            except WorkError as error:
                _log.warning("work message %s (delivery %d) is unreadable: %s", message["MessageId"], count, error)
                continue
            received.append(ReceivedWork(work, message["ReceiptHandle"], count, message["MessageId"]))
        return received

    def extend(self, receipt_handle: str, visibility_s: int) -> bool:
        """Keep a message invisible for `visibility_s` from now; 0 returns it at once. False if it is no longer in flight."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=visibility_s
            )
        except ClientError as error:
            _reraise_unless_gone(error)
            _log.warning("a message could not be extended by %d s, it is no longer in flight: %s", visibility_s, error)
            return False
        return True

    def delete(self, receipt_handle: str) -> bool:
        """Acknowledge a message. False if it is no longer in flight; whoever receives it next finds the work done."""
        try:
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt_handle)
        except ClientError as error:
            _reraise_unless_gone(error)
            _log.warning("a message could not be deleted, it is no longer in flight: %s", error)
            return False
        return True

    def depth(self) -> QueueDepth:
        """How many messages the queue holds."""
        return depth(self._client, self._url)


def depth(client: SQSClient, url: str) -> QueueDepth:
    """How many messages a queue holds; reading it changes nothing."""
    attributes = client.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return QueueDepth(
        visible=int(attributes["ApproximateNumberOfMessages"]),
        in_flight=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(attributes.get("ApproximateNumberOfMessagesDelayed", 0)),
    )


def _reraise_unless_gone(error: ClientError) -> None:
    code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
    if code not in _GONE:
        raise error
