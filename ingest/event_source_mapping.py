"""The event-source mapping where no Lambda runs: `python -m ingest.event_source_mapping`.

Polls `object-events`, calls the function's code with exactly the event that Lambda would pass, deletes the messages that
succeeded, and leaves the others to the queue's visibility timeout and dead letters. It also runs the scheduled sweep. SIGTERM
or SIGINT ends it after the current batch.

Its settings are `ingest.environment.MappingSettings`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryCallState

from ingest.answers import listed, mapping, text
from ingest.environment import MappingSettings, client
from ingest.errors import IngestError
from ingest.handler import BatchResponse, Service, logger
from ingest.retries import on_outage
from lake.errors import SettingsError
from sensors.errors import ScenelakeError

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

BATCH = 10
WAIT_S = 2  # stopping waits for the current poll
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 10.0
READY = "event-source mapping ready"

Handler = Callable[[object, object], BatchResponse]


@dataclass(frozen=True, slots=True)
class LocalContext:
    """The part of Lambda's context object that the handler logs."""

    function_name: str = "event-source-mapping"
    memory_limit_in_mb: int = 0
    invoked_function_arn: str = "local"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Mapped:
    """The queue that the mapping polls, and how often it polls and sweeps."""

    url: str
    arn: str
    region: str
    visibility_s: int
    sweep_every_s: float


class EventSourceMapping:
    """Feeds one queue to one handler, and runs the sweep on its schedule."""

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
        """Poll and sweep until `stop`. While the endpoint does not answer, or oddly, polls become less frequent."""
        # Of JSON that no service answers, botocore's parser makes errors of any kind; each of them passes with its cause.
        errors = (Exception,)
        retry = on_outage(errors, stop, first_s=FIRST_BACKOFF_S, longest_s=LONGEST_BACKOFF_S, before_sleep=_log_failed_poll)
        sweep_at_s = monotonic_s()

        def cycle() -> None:
            nonlocal sweep_at_s
            if stop.is_set():
                return
            try:
                self.poll(WAIT_S)
                if self._alive is not None:
                    self._alive.touch()
            finally:  # a sweep needs no event queue
                if monotonic_s() >= sweep_at_s and not stop.is_set():
                    self._run_sweep()
                    sweep_at_s = monotonic_s() + self._mapped.sweep_every_s

        while not stop.is_set():
            with contextlib.suppress(*errors):  # raised only once `stop` is set
                retry(cycle)

    def poll(self, wait_s: int) -> int:
        """Pass one batch to the handler; returns its number of messages.

        Raises:
            QueueError: The answer is not one of SQS.
        """
        answer = self._sqs.receive_message(
            QueueUrl=self._mapped.url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=self._mapped.visibility_s,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = listed(answer, "Messages", "ReceiveMessage")
        if not messages:
            return 0
        records = [lambda_record(message, self._mapped) for message in messages]
        try:
            response = self._handle({"Records": records}, LocalContext())
        except Exception as error:  # noqa: BLE001 - as Lambda does: the whole batch is delivered again
            logger.exception("handler_failed", error=error, messages=len(messages))
            return len(messages)
        failed = {failure["itemIdentifier"] for failure in response.get("batchItemFailures", [])}
        done = [message for message in messages if text(message, "MessageId", "ReceiveMessage") not in failed]
        if done:
            self._delete(done)
        return len(messages)

    def _delete(self, messages: Sequence[Mapping[str, Any]]) -> None:
        entries: list[Any] = [
            {"Id": str(place), "ReceiptHandle": text(message, "ReceiptHandle", "ReceiveMessage")}
            for place, message in enumerate(messages)
        ]
        answer = self._sqs.delete_message_batch(QueueUrl=self._mapped.url, Entries=entries)
        for failure in answer.get("Failed", []):
            logger.warning("delete_failed", code=failure.get("Code"), reason=failure.get("Message"))

    def _run_sweep(self) -> None:
        try:
            self._sweep({}, LocalContext())
        except Exception as error:  # noqa: BLE001 - the next sweep tries again
            logger.exception("sweep_failed", error=error)


def _log_failed_poll(state: RetryCallState) -> None:
    error = None if state.outcome is None else state.outcome.exception()
    logger.warning("poll_failed", error=error, failures=state.attempt_number)


def lambda_record(message: Mapping[str, Any], mapped: Mapped) -> dict[str, Any]:
    """A received message as Lambda passes it to a function (Lambda Developer Guide, "Using Lambda with Amazon SQS")."""
    attributes = {
        name: {_lower_first(part): value for part, value in attribute.items()}
        for name, attribute in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": text(message, "MessageId", "ReceiveMessage"),
        "receiptHandle": text(message, "ReceiptHandle", "ReceiveMessage"),
        "body": message.get("Body", ""),  # the handler fails this message alone
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
    """The client and the queue of the settings.

    Raises:
        QueueError: The answer is not one of SQS.
    """
    sqs, url = client("sqs", settings.aws), settings.object_events_url
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = text(mapping(answer, "Attributes", "GetQueueAttributes"), "QueueArn", "GetQueueAttributes")
    region = arn.split(":")[3] if arn.count(":") >= 5 else ""  # arn:aws:sqs:REGION:ACCOUNT:NAME
    return sqs, Mapped(url, arn, region, round(settings.event_visibility_s), settings.sweep_every_s)


def main() -> int:
    """Run until SIGTERM or SIGINT; 1 with a message if a setting is absent or the endpoint does not answer."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = MappingSettings.from_env()
        sqs, mapped = connect(settings)
        service = Service(settings)
    except (IngestError, SettingsError, ClientError, BotoCoreError) as error:
        hint = error.hint if isinstance(error, ScenelakeError) else None
        print(f"event-source mapping cannot start: {error}" + (f"; {hint}" if hint else ""), file=sys.stderr)
        return 1
    print(f"{READY}: {mapped.arn}", flush=True)
    handle = logger.inject_lambda_context(lambda event, _: service.handle(event))
    sweep = logger.inject_lambda_context(lambda *_: service.run_sweep())
    EventSourceMapping(sqs, mapped, handle, sweep, settings.alive_file).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
