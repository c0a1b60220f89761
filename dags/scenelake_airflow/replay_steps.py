"""The steps of `replay_quarantine`: find the drives with records of a rule, and queue them again.

Imported inside the tasks, never while a DAG file is parsed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from ingest.environment import client
from ingest.errors import ReviewError, UnknownDriveError
from ingest.ledger.records import DriveRecord
from ingest.ledger.repository import Ledger
from ingest.queues import WorkQueue
from ingest.register import Registrar
from ingest.review import ReviewDesk
from ingest.s3_objects import S3Objects
from lake.landing import DriveId
from lake.settings import Settings
from scenelake_airflow.errors import PayloadError

_log = logging.getLogger(__name__)


class Reprocessor(Protocol):
    """The part of `ingest.review.ReviewDesk` that a replay uses."""

    def reprocess(self, drive: DriveId) -> DriveRecord:
        """Process the current data of a drive again."""
        ...


def find(settings: Settings, rule: str, drive: str | None, most: int) -> dict[str, int]:
    """Drives with quarantined records of `rule`, at most `most`, each with the number of them.

    Raises:
        UnknownRuleError: The rule is not in the catalogue.
        LakeError: `drive` is not VEHICLE/DRIVE.
    """
    from lake.iceberg.catalog import open_catalog
    from lake.tables.drive_walk import drives_with_rule
    from quality.rules.catalogue import rule as known

    sentence = known(rule).sentence
    chosen = None if drive is None else parse_drive(drive)
    found = dict(islice(drives_with_rule(open_catalog(settings), rule, chosen), most + 1))
    selected = dict(islice(found.items(), most))
    _log.info("%s (%s): %d records in %d drives", rule, sentence, sum(selected.values()), len(selected))
    for name, count in selected.items():
        _log.info("%s: %d records", name, count)
    if len(found) > most:
        _log.warning("there are more than %d drives, and only these are selected; run it again for the others", most)
    return {str(name): count for name, count in selected.items()}


def replay(settings: Settings, drives: Iterable[str]) -> dict[str, str]:
    """Queue each drive again; the result of each."""
    aws = settings.aws
    objects = S3Objects(client("s3", aws), settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
    ledger = Ledger(client("dynamodb", aws), settings.ledger_table)
    registrar = Registrar(objects, ledger, WorkQueue(client("sqs", aws), settings.drive_work_url))
    return requeue(ReviewDesk(registrar, ledger), drives)


def requeue(desk: Reprocessor, drives: Iterable[str]) -> dict[str, str]:
    """`replay` with its port. A drive that is being processed, or has newer data, is processed again anyway: it is skipped."""
    results = {}
    for name in drives:
        try:
            record = desk.reprocess(parse_drive(name))
        except (ReviewError, UnknownDriveError) as error:
            results[name] = f"skipped: {error}"
        else:
            results[name] = f"queued, generation {record.generation}"
        _log.info("%s: %s", name, results[name])
    return results


def parse_drive(name: str) -> DriveId:
    """The drive of VEHICLE/DRIVE.

    Raises:
        PayloadError: There is no slash.
        LandingError: An id breaks the landing layout.
    """
    vehicle_id, slash, drive_id = name.partition("/")
    if not slash:
        raise PayloadError(f"{name!r} is not VEHICLE/DRIVE")
    return DriveId(vehicle_id, drive_id)
