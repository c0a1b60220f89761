"""The event-source mapping where no Lambda runs: `python -m ingest.event_source_mapping`.

Polls `object-events`, gives the same handler exactly the event that Lambda would, deletes what succeeded, and leaves what
failed to the queue's visibility and dead letters. It also does the scheduled sweep. SIGTERM or SIGINT ends it after the
batch in hand.

Its settings are `ingest.environment.MappingSettings`.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ingest.environment import MappingSettings, client
from ingest.errors import IngestError
from ingest.handler import handler, sweep_handler
from ingest.journal import note
from lake.errors import SettingsError

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

BATCH = 10
WAIT_S = 2  # a stop waits for the poll in hand
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
READY = "event-source mapping ready"

Handler = Callable[[object, object], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the mapping polls, and how."""

    url: str
    arn: str
    region: str
    visibility_s: int
    sweep_every_s: float


class EventSourceMapping:
    """Polls one queue for one handler."""

    def __init__(
        self,
        sqs: SQSClient,
        mapped: Mapped,
        handle: Handler,
        sweep: Callable[[object, object], Any],
        alive: Path | None = None,
    ) -> None:
        self._sqs = sqs
        self._mapped = mapped
        self._handle = handle
        self._sweep = sweep
        self._alive = alive

    def run(self, stop: threading.Event, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Poll and sweep until `stop`. An endpoint that does not answer is tried again, ever more slowly."""
        failures = 0
        sweep_at_s = monotonic_s()
        while not stop.is_set():
            try:
                self.poll(WAIT_S)
                failures = 0
                if self._alive is not None:
                    self._alive.touch()
            except (ClientError, BotoCoreError) as error:
                note("poll_failed", logging.WARNING, error=error, failures=failures + 1)
                stop.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
            if monotonic_s() >= sweep_at_s and not stop.is_set():
                self._run_sweep()
                sweep_at_s = monotonic_s() + self._mapped.sweep_every_s

    def poll(self, wait_s: int) -> int:
        """Take one batch through the handler; returns how many messages it had."""
        answer = self._sqs.receive_message(
            QueueUrl=self._mapped.url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=self._mapped.visibility_s,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return 0
        try:
            said = self._handle({"Records": [lambda_record(message, self._mapped) for message in messages]}, None)
        except Exception as error:  # noqa: BLE001 - as Lambda does: the whole batch comes back
            note("handler_failed", logging.ERROR, exc_info=True, error=error, messages=len(messages))
            return len(messages)
        failed = {failure["itemIdentifier"] for failure in said.get("batchItemFailures", [])}
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            self._delete(done)
        return len(messages)

    def _delete(self, messages: list[Any]) -> None:
        entries: list[Any] = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)
        ]
        answer = self._sqs.delete_message_batch(QueueUrl=self._mapped.url, Entries=entries)
        for failure in answer.get("Failed", []):
            note("delete_failed", logging.WARNING, code=failure.get("Code"), message=failure.get("Message"))

    def _run_sweep(self) -> None:
        try:
            self._sweep({}, None)
        except Exception as error:  # noqa: BLE001 - the next sweep looks again
            note("sweep_failed", logging.ERROR, exc_info=True, error=error)


def lambda_record(message: Mapping[str, Any], mapped: Mapped) -> dict[str, Any]:
    """A received message in the form that Lambda gives to a function (Lambda Developer Guide, "Using Lambda with Amazon SQS")."""
    attributes = {
        name: {_lower_first(part): value for part, value in attribute.items()}
        for name, attribute in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": attributes,
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": mapped.arn,
        "awsRegion": mapped.region,
    }


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def connect(settings: MappingSettings) -> tuple[Any, Mapped]:
    """The client and the queue of the settings."""
    sqs, url = client("sqs", settings.aws), settings.object_events_url
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return sqs, Mapped(url, arn, arn.split(":")[3], round(settings.event_visibility_s), settings.sweep_every_s)


def main() -> int:
    """Run until SIGTERM or SIGINT; 1 with a message if the environment or the endpoint does not allow a start."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    logging.getLogger("ingest").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = MappingSettings.from_env()
        sqs, mapped = connect(settings)
    except (IngestError, SettingsError, ClientError, BotoCoreError) as error:
        print(f"event-source mapping cannot start: {error}", file=sys.stderr)
        return 1
    print(f"{READY}: {mapped.arn}", flush=True)
    EventSourceMapping(sqs, mapped, handler, sweep_handler, settings.alive_file).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
