"""The work queue, for those who send and those who only look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.ledger.work import DriveWork

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages that can be received, that someone holds, and that are delayed. SQS calls all three approximate."""

    visible: int
    in_flight: int
    delayed: int


class WorkQueue:
    """`WorkSender` on SQS."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, work: DriveWork) -> None:
        """Send one message; returns when the queue has it."""
        self._client.send_message(QueueUrl=self._url, MessageBody=work.to_message())


def depth(client: SQSClient, url: str) -> QueueDepth:
    """How much a queue holds; looking changes nothing."""
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
