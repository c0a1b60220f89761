"""Lambda entry points. Nothing is read or connected at import; adapters are made at the first call and kept."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from typing import Any

from ingest.environment import IngestSettings, client
from ingest.errors import DeliveryError, EventError, SweepError
from ingest.events import Delivery, parse_event
from ingest.journal import note
from ingest.ledger.ledger import Ledger
from ingest.queues import WorkQueue
from ingest.register import Registrar
from ingest.s3_objects import S3Objects
from ingest.sweep import Sweep
from lake.landing import DriveId

MAX_FAULTS_NAMED = 20


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Register the objects that an event tells of: an SQS batch of S3 events, or one S3 event.

    Returns:
        `batchItemFailures` with the messages that SQS shall deliver again, and move to the dead letters in the end.

    Raises:
        DeliveryError: An object of a direct event could not be registered, so that Lambda invokes again.
    """
    service = _service()
    return handle(event, service.registrar, service.settings.raw_bucket)


def sweep_handler(event: object, context: object) -> dict[str, int]:  # noqa: ARG001 - Lambda's signature
    """Send what was not sent, queue what is overdue, register what no event told of.

    Raises:
        SweepError: A part failed; the rest was done.
    """
    report = _service().sweep.run()
    if report.failed:
        raise SweepError(f"{report.failed} steps failed, see the log lines before; done: {asdict(report)}")
    return asdict(report)


def handle(event: object, registrar: Registrar, raw_bucket: str) -> dict[str, Any]:
    """`handler` without its surroundings: register every object, then evaluate every drive once."""
    try:
        deliveries = parse_event(event)
    except EventError as error:
        note("event_unreadable", logging.WARNING, error=error)
        return {"batchItemFailures": []}
    failed: set[int] = set()  # positions in `deliveries` that are to come again
    broken: set[int] = set()  # the part of them that failed for no fault of their own
    drives: dict[DriveId, set[int]] = defaultdict(set)
    for position, delivery in enumerate(deliveries):
        if delivery.faults:
            failed.add(position)
            note("message_unreadable", logging.WARNING, message_id=delivery.message_id, faults=delivery.faults[:MAX_FAULTS_NAMED])
        for drive in _register(delivery, registrar, raw_bucket, position, broken):
            drives[drive].add(position)
    for drive, positions in drives.items():
        try:
            registrar.evaluate(drive)
        except Exception as error:  # noqa: BLE001 - reported below: one drive's trouble is not the others'
            broken |= positions
            note("evaluation_failed", logging.ERROR, exc_info=True, drive=drive, error=error)
    failed |= broken
    if any(deliveries[position].message_id is None for position in broken):
        raise DeliveryError("an object of a direct event could not be registered, see the log lines before")
    identified = (deliveries[position].message_id for position in sorted(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in identified if message_id is not None]}


def _register(delivery: Delivery, registrar: Registrar, raw_bucket: str, position: int, broken: set[int]) -> set[DriveId]:
    drives = set()
    for notice in delivery.notices:
        if notice.bucket != raw_bucket or not notice.created:
            note("notice_passed_over", key=notice.key, bucket=notice.bucket, event_name=notice.event_name)
            continue
        try:
            drive = registrar.register(notice.key)
        except Exception as error:  # noqa: BLE001 - reported as this message's failure; the others go on
            broken.add(position)
            note("registration_failed", logging.ERROR, exc_info=True, key=notice.key, error=error)
        else:
            drives |= set() if drive is None else {drive}
    return drives


class Service:
    """The use cases on their real adapters."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings, aws = settings, settings.aws
        objects = S3Objects(client("s3", aws), settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
        ledger = Ledger(client("dynamodb", aws), settings.ledger_table)
        self.registrar = Registrar(objects, ledger, WorkQueue(client("sqs", aws), settings.drive_work_url))
        self.sweep = Sweep(self.registrar, objects, ledger, settings.limits)


@cache
def _service() -> Service:
    logging.getLogger("ingest").setLevel(logging.INFO)
    return Service(IngestSettings.from_env())
