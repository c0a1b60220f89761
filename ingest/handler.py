"""Lambda entry points. Nothing is read or connected at import; adapters are created at the first call and kept.

`logger` is configured here, once: the loggers of this package's modules are below it and inherit its JSON lines.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes import SQSRecord

from ingest.dead_letters import work_messages
from ingest.environment import IngestSettings, client
from ingest.errors import DeliveryError, EventError, SweepError
from ingest.events import Delivery, is_sqs_batch, parse_message, parse_notification
from ingest.ledger.repository import Ledger
from ingest.queues import WorkQueue
from ingest.register import Registrar
from ingest.s3_objects import S3Objects
from ingest.sweep import Sweep
from lake.landing import DriveId
from sensors.printable import printable

MAX_FAULTS_LOGGED = 20
MAX_VALUE_CHARACTERS = 2000
MAX_TRACEBACK_CHARACTERS = 20_000

BatchResponse = dict[str, Any]  # `{"batchItemFailures": [{"itemIdentifier": message id}, …]}`


def log_line(record: Mapping[str, object]) -> str:
    """One log record as one line of ASCII JSON. Long values are cut, so that no event can flood the log; all are printable, for
    those who read them decoded."""
    return json.dumps({name: _bounded(name, value) for name, value in record.items()}, separators=(",", ":"))


def _bounded(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(str(value)[: MAX_TRACEBACK_CHARACTERS if name == "exception" else MAX_VALUE_CHARACTERS], keep="\n")


logger = Logger(service="ingest", utc=True, use_rfc3339=True, serialize_stacktrace=False, json_serializer=log_line)


@logger.inject_lambda_context
def handler(event: object, context: object) -> BatchResponse:  # noqa: ARG001 - Lambda's signature
    """Register the objects that an event names: an SQS batch of notifications, or one (`ingest.events`).

    Returns:
        `batchItemFailures` with the messages that SQS is to deliver again, and finally to move to the dead-letter queue.

    Raises:
        DeliveryError: A direct event, or an object of one, could not be understood or registered: Lambda invokes again, and
            then sends the event to where failures go. Nothing else would tell of it.
    """
    return _service().handle(event)


@logger.inject_lambda_context
def sweep_handler(event: object, context: object) -> dict[str, int]:  # noqa: ARG001 - Lambda's signature
    """Resend unsent work, queue overdue drives, register objects whose event was lost.

    Raises:
        SweepError: Some steps failed; the others were done.
    """
    return _service().run_sweep()


def handle(event: Any, registrar: Registrar, raw_bucket: str) -> BatchResponse:
    """`handler` with its use case: register every object, then evaluate every drive once."""
    intake = Intake(registrar, raw_bucket)
    if is_sqs_batch(event):
        return {**process_partial_response(event, intake.register_message, DriveBatchProcessor(intake))}
    delivery = parse_notification(event)
    try:
        intake.register(delivery)
    except EventError:
        pass  # logged, and reported below, after the drives of the objects that were registered
    intake.evaluate()
    if delivery.faults:
        raise DeliveryError(f"a direct event cannot be understood: {delivery.faults[0]}")
    if intake.interrupted:
        raise DeliveryError("an object of a direct event could not be registered, see the log lines before")
    return {"batchItemFailures": []}


class Intake:
    """Registers the objects of one invocation, delivery by delivery, then evaluates each of their drives once.

    `interrupted` are the positions of the deliveries that failed although their content is sound.
    """

    def __init__(self, registrar: Registrar, raw_bucket: str) -> None:
        self._registrar = registrar
        self._raw_bucket = raw_bucket
        self._deliveries = 0
        self._positions: dict[DriveId, set[int]] = defaultdict(set)
        self.interrupted: set[int] = set()

    def register_message(self, record: SQSRecord) -> None:
        """`register` the content of an SQS message, with its id on every log line."""
        logger.thread_safe_append_keys(message_id=record.get("messageId"))
        try:
            self.register(parse_message(record))
        finally:
            logger.thread_safe_remove_keys(["message_id"])

    def register(self, delivery: Delivery) -> None:
        """Register every object of a delivery; a failed object does not stop the others.

        Raises:
            EventError: A part of the delivery, or an object of it, failed.
        """
        position = self._deliveries
        self._deliveries += 1
        for notice in delivery.notices:
            if notice.bucket != self._raw_bucket or not notice.created:
                logger.info("notice_skipped", key=notice.key, bucket=notice.bucket, event_name=notice.event_name)
                continue
            try:
                drive = self._registrar.register(notice.key)
            except Exception as error:
                self.interrupted.add(position)
                logger.exception("registration_failed", key=notice.key, error=error)
            else:
                if drive is not None:
                    self._positions[drive].add(position)
        if delivery.faults:
            logger.warning("message_unreadable", faults=delivery.faults[:MAX_FAULTS_LOGGED])
        if delivery.faults or position in self.interrupted:
            raise EventError("not everything in this delivery could be registered, see the log lines before")

    def evaluate(self) -> None:
        """Evaluate each drive that got an object; all deliveries of one that fails are `interrupted`."""
        for drive, positions in self._positions.items():
            try:
                self._registrar.evaluate(drive)
            except Exception as error:
                self.interrupted |= positions
                logger.exception("evaluation_failed", drive=drive, error=error)


class DriveBatchProcessor(BatchProcessor):
    """Powertools' partial batch failures, with one evaluation of each drive after all messages are registered.

    A batch in which every message failed is reported like any other, not raised: SQS delivers it again either way.
    """

    def __init__(self, intake: Intake) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._intake = intake

    def process(self) -> list[tuple[Any, ...]]:
        """Register all messages, evaluate all drives, and mark every message of either failure.

        Raises:
            DeliveryError: A sound message without an id failed: nothing else would bring it back.
        """
        results = super().process()
        self._intake.evaluate()
        failed = {position for position, (status, *_) in enumerate(results) if status == "fail"} | self._intake.interrupted
        identified = {place for place, record in enumerate(self.records) if isinstance(record.get("messageId"), str)}
        self.fail_messages = [SQSRecord(self.records[position]) for position in sorted(failed & identified)]
        if self._intake.interrupted - identified:
            raise DeliveryError("an object of a message without an id could not be registered, see the log lines before")
        return results


class Service:
    """The use cases with their real adapters.

    Raises:
        UnversionedError: The raw bucket does not keep every version. Each invocation fails until it does.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self.settings, aws = settings, settings.aws
        objects = S3Objects(client("s3", aws), settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
        objects.check_versioning()
        ledger = Ledger(client("dynamodb", aws), settings.ledger_table)
        sqs = client("sqs", aws)
        self.registrar = Registrar(objects, ledger, WorkQueue(sqs, settings.drive_work_url))
        messages = work_messages(sqs, settings.drive_work_url)
        self.sweep = Sweep(self.registrar, objects, ledger, settings.limits, messages=messages)

    def handle(self, event: object) -> BatchResponse:
        """`handler` without Lambda's context."""
        return handle(event, self.registrar, self.settings.raw_bucket)

    def run_sweep(self) -> dict[str, int]:
        """`sweep_handler` without Lambda's context."""
        report = self.sweep.run()
        if report.failed:
            raise SweepError(f"{report.failed} steps failed, see the log lines before; done: {asdict(report)}")
        return asdict(report)


@cache
def _service() -> Service:
    return Service(IngestSettings.from_env())
