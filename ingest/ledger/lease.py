"""A drive to oneself for as long as the work lasts: receive, keep invisible, then delete or give back.

A message that cannot be read is neither deleted nor extended: it comes back, and after five receives the queue moves it
to its dead letters. SQS keeps no message invisible for more than 12 hours in all; a longer run loses its lease then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ingest.errors import WorkError
from ingest.journal import note
from ingest.ledger.work import DriveWork

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_MESSAGES = 10  # Amazon SQS API Reference, ReceiveMessage
BEATS_PER_VISIBILITY = 3
JOIN_S = 30.0
_GONE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "QueueDoesNotExist"})


@dataclass(frozen=True, slots=True)
class Lease:
    """One message that is invisible to others until its visibility ends. `receive_count` is 1 the first time."""

    work: DriveWork
    receipt_handle: str
    receive_count: int
    message_id: str


def receive(client: SQSClient, url: str, limit: int, visibility_s: int | None = None, wait_s: int = 0) -> list[Lease]:
    """Take up to `limit` readable messages (at most 10 a call); the queue's own visibility unless `visibility_s` is given."""
    arguments: dict[str, Any] = {} if visibility_s is None else {"VisibilityTimeout": visibility_s}
    answer = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=min(limit, MAX_MESSAGES),
        WaitTimeSeconds=wait_s,
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
        **arguments,
    )
    leases = []
    for message in answer.get("Messages", []):
        received = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
        try:
            work = DriveWork.parse(message["Body"])
        except WorkError as error:
            note("work_unreadable", logging.WARNING, message_id=message["MessageId"], receive_count=received, error=error)
            continue
        leases.append(Lease(work, message["ReceiptHandle"], received, message["MessageId"]))
    return leases


def delete(client: SQSClient, url: str, receipt_handle: str) -> None:
    """Acknowledge: the work is done. A lease that is lost already is only noted; whoever has the message finds it done."""
    try:
        client.delete_message(QueueUrl=url, ReceiptHandle=receipt_handle)
    except ClientError as error:
        if _code(error) not in _GONE:
            raise
        note("lease_gone_at_delete", logging.WARNING, error=error)


def release(client: SQSClient, url: str, receipt_handle: str, delay_s: int = 0) -> None:
    """Give the message back, for others to take after `delay_s`. A lease that is lost already is only noted."""
    try:
        client.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt_handle, VisibilityTimeout=delay_s)
    except ClientError as error:
        if _code(error) not in _GONE:
            raise
        note("lease_gone_at_release", logging.WARNING, error=error)


class Heartbeat:
    """What became of a lease that is being kept. Safe to read from any thread.

    `lost` is set once SQS says that the message is no longer ours, or the visibility has run out with no extension
    coming through. The work may then be done twice; the commit, not the lease, keeps its effect single.
    """

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.beats = 0
        self.failures: list[str] = []


@contextmanager
def keep_alive(
    client: SQSClient,
    url: str,
    receipt_handle: str,
    visibility_s: int,
    on_lost: Callable[[], None] | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Iterator[Heartbeat]:
    """Extend a message's visibility every third of `visibility_s`, from now until the block ends.

    The first extension is made before the block begins. `on_lost` is called once, from the keeping thread (or before the
    block, if the lease is lost by then). Leaving the block only ends the extending: delete or release the message.
    """
    heartbeat = Heartbeat()
    stop = threading.Event()
    extended_s = monotonic_s()

    def beat() -> None:
        nonlocal extended_s
        asked_s = monotonic_s()
        try:
            client.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt_handle, VisibilityTimeout=visibility_s)
        except (ClientError, BotoCoreError) as error:
            heartbeat.failures.append(str(error))
            note("lease_extension_failed", logging.WARNING, error=error)
            gone = isinstance(error, ClientError) and _code(error) in _GONE
            if gone or monotonic_s() - extended_s >= visibility_s:
                heartbeat.lost.set()
                note("lease_lost", logging.WARNING, beats=heartbeat.beats)
                if on_lost is not None:
                    on_lost()
        else:
            extended_s = asked_s
            heartbeat.beats += 1

    def keep() -> None:
        while not heartbeat.lost.is_set() and not stop.wait(visibility_s / BEATS_PER_VISIBILITY):
            beat()

    beat()
    thread = threading.Thread(target=keep, name="lease-keep-alive", daemon=True)
    thread.start()
    try:
        yield heartbeat
    finally:
        stop.set()
        thread.join(JOIN_S)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
