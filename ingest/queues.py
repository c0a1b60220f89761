"""The drive-work queue: send, receive, extend, delete, and its depth.

The peer is not always SQS: a proxy may answer with a page of its own and status 200, from which botocore makes a response
without any field. Such a response is an error (`ingest.answers`), never an empty queue and never a message that was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ingest.answers import integer, listed, mapping, text
from ingest.errors import QueueError, WorkError
from ingest.ledger.work_message import DriveWork

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_MESSAGES = 10  # Amazon SQS API Reference, ReceiveMessage
# A receive that does not wait queries only a subset of SQS's servers, and may return nothing although messages exist.
FIRST_WAIT_S = 1
_VISIBLE: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
_DELAYED: Final = "ApproximateNumberOfMessagesDelayed"
_GONE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "QueueDoesNotExist"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages that can be received, that are in flight, and that are delayed. SQS calls all three approximate."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


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
        """Send one message; returns when the queue has it.

        Raises:
            QueueError: The answer does not say that the queue has it.
        """
        text(self._client.send_message(QueueUrl=self._url, MessageBody=work.to_message()), "MessageId", "SendMessage")

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

        Raises:
            QueueError: The answer is not one of SQS.
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
        for message in listed(answer, "Messages", "ReceiveMessage"):
            message_id, handle = text(message, "MessageId", "ReceiveMessage"), text(message, "ReceiptHandle", "ReceiveMessage")
            count = _receive_count(message)
            try:
                work = DriveWork.parse(text(message, "Body", "ReceiveMessage"))
            except (WorkError, QueueError) as error:
                _log.warning("work message %s (delivery %d) is unreadable: %s", message_id, count, error)
                continue
            received.append(ReceivedWork(work, handle, count, message_id))
        return received

    def extend(self, receipt_handle: str, visibility_s: int) -> bool:
        """Keep a message invisible for `visibility_s` from now; 0 returns it at once. False if it is no longer in flight."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=visibility_s
            )
        except ClientError as error:
            reraise_unless_gone(error)
            _log.warning("a message could not be extended by %d s, it is no longer in flight: %s", visibility_s, error)
            return False
        return True

    def delete(self, receipt_handle: str) -> bool:
        """Acknowledge a message. False if it is no longer in flight; whoever receives it next finds the work done."""
        try:
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt_handle)
        except ClientError as error:
            reraise_unless_gone(error)
            _log.warning("a message could not be deleted, it is no longer in flight: %s", error)
            return False
        return True

    def depth(self) -> QueueDepth:
        """How many messages the queue holds."""
        return depth(self._client, self._url)


def depth(client: SQSClient, url: str) -> QueueDepth:
    """How many messages a queue holds; reading it changes nothing.

    Raises:
        QueueError: The answer holds no numbers.
    """
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE, _IN_FLIGHT, _DELAYED])
    attributes = mapping(answer, "Attributes", "GetQueueAttributes")
    return QueueDepth(
        visible=integer(attributes, _VISIBLE, "GetQueueAttributes"),
        in_flight=integer(attributes, _IN_FLIGHT, "GetQueueAttributes"),
        delayed=integer(attributes, _DELAYED, "GetQueueAttributes") if _DELAYED in attributes else 0,
    )


def _receive_count(message: Mapping[str, Any]) -> int:
    """1 where the queue does not tell: then the message is taken like any other."""
    try:
        return integer(mapping(message, "Attributes", "ReceiveMessage"), "ApproximateReceiveCount", "ReceiveMessage")
    except QueueError:
        return 1


def reraise_unless_gone(error: ClientError) -> None:
    """Pass over the error of a receipt whose message was deleted or is visible again; raise any other."""
    code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
    if code not in _GONE:
        raise error
