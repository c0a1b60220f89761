"""Dead letters: look at them, and send them back to the queue that they came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.answers import listed, mapping, text
from ingest.errors import QueueError, WorkError
from ingest.ledger.work_message import DriveWork
from ingest.queues import MAX_MESSAGES, depth, reraise_unless_gone

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

LOOK_S = 30  # a message that was looked at is invisible to others for so long
REDRIVE_S = 300

Describe = Callable[[str], tuple[str, str]]  # of a body: what it is about, and why it cannot be read; one of them is empty


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was delivered too often: what it is `about`, and the `fault` for which it cannot be read, if it has one.

    `sent_ms` is when it was first sent, in milliseconds since the epoch.
    """

    message_id: str
    receipt_handle: str
    body: str
    sent_ms: int
    about: str
    fault: str


def about_work(body: str) -> tuple[str, str]:
    """What a work message is about: drive, reason and revision."""
    try:
        work = DriveWork.parse(body)
    except WorkError as error:
        return "", str(error)
    return f"{work.drive} ({work.reason}, revision {work.revision[:12]})", ""


class DeadLetterQueue:
    """The dead-letter queue in the redrive policy of the queue at `url`.

    Raises:
        QueueError: That queue has none.
    """

    def __init__(self, client: SQSClient, url: str, describe: Describe = about_work) -> None:
        self._client, self._queue_url, self._describe = client, url, describe
        found = dead_letter_url(client, url)
        if found is None:
            raise QueueError(f"the queue {url} has no dead-letter queue", "provision the stack again: its template names one")
        self.url = found

    def letters(self, most: int, invisible_s: int = LOOK_S) -> Iterator[DeadLetter]:
        """Up to `most` messages, each once; they stay in the queue and are invisible to others for `invisible_s`.

        SQS promises no order, and may leave out some of a queue in one pass.
        """
        seen: set[str] = set()
        while len(seen) < most:
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(MAX_MESSAGES, most - len(seen)),
                VisibilityTimeout=invisible_s,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            found = map(self._letter, listed(answer, "Messages", "ReceiveMessage"))
            fresh = [letter for letter in found if letter.message_id not in seen]
            if not fresh:
                return
            seen |= {letter.message_id for letter in fresh}
            yield from fresh

    def put_back(self, letter: DeadLetter) -> None:
        """Make a message that was looked at visible again at once; one whose time is over is visible already."""
        try:
            self._client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=letter.receipt_handle, VisibilityTimeout=0)
        except ClientError as error:
            reraise_unless_gone(error)

    def redrive(self, letter: DeadLetter, *, force: bool = False) -> None:
        """Send the message to its queue again, then delete it here: a kill between the two leaves it twice, never not at all.

        Raises:
            QueueError: The queue did not confirm that it has the message, which is then kept here.
            WorkError: It cannot be read, and would only come back; with `force` it is sent all the same.
        """
        if letter.fault and not force:
            raise WorkError(f"message {letter.message_id} cannot be read: {letter.fault}")
        sent = self._client.send_message(QueueUrl=self._queue_url, MessageBody=letter.body)
        text(sent, "MessageId", "SendMessage")
        self._client.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt_handle)

    def _letter(self, message: Any) -> DeadLetter:
        body = text(message, "Body", "ReceiveMessage")
        about, fault = self._describe(body)
        attributes = mapping(message, "Attributes", "ReceiveMessage") if "Attributes" in message else {}
        sent = str(attributes.get("SentTimestamp", ""))
        return DeadLetter(
            message_id=text(message, "MessageId", "ReceiveMessage"),
            receipt_handle=text(message, "ReceiptHandle", "ReceiveMessage"),
            body=body,
            sent_ms=int(sent) if sent.isascii() and sent.isdigit() else 0,
            about=about,
            fault=fault,
        )


def work_messages(client: SQSClient, url: str) -> Callable[[], int]:
    """Counts the messages of the queue at `url` and of its dead letters. SQS calls its counts approximate."""
    dead_url: list[str] = []

    def count() -> int:
        if not dead_url and (found := dead_letter_url(client, url)) is not None:
            dead_url.append(found)  # a queue may get one; it does not lose it
        return depth(client, url).total + sum(depth(client, one).total for one in dead_url)

    return count


def dead_letter_url(client: SQSClient, url: str) -> str | None:
    """URL of the dead-letter queue in a queue's redrive policy; None if it has no policy.

    Raises:
        QueueError: The policy cannot be read.
    """
    # The ARN, which each queue has, tells a queue without a policy from an answer without attributes.
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "RedrivePolicy"])
    attributes = mapping(answer, "Attributes", "GetQueueAttributes")
    text(attributes, "QueueArn", "GetQueueAttributes")
    policy = attributes.get("RedrivePolicy")
    if not policy:
        return None
    try:
        arn = text(json.loads(policy), "deadLetterTargetArn", "GetQueueAttributes")
    except ValueError as error:
        raise QueueError(f"the redrive policy of {url} is not JSON: {error}") from error
    return text(client.get_queue_url(QueueName=arn.rpartition(":")[2]), "QueueUrl", "GetQueueUrl")
