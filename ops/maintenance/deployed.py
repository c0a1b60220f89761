"""The parts of a deployment that maintenance works on, from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL
from lake.clients import client
from lake.iceberg.catalog import open_catalog
from lake.maintenance.judgement import DriveProgress
from lake.maintenance.sweep import SweptLake
from lake.storage import ObjectStore
from ops.maintenance.swept_bucket import SweptBucket

if TYPE_CHECKING:
    from lake.landing import DriveId
    from lake.settings import Settings


class LedgerAttempts:
    """The ledger, as far as a sweep asks it: strongly consistent, one item for each question."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, drive: DriveId) -> DriveProgress | None:
        """A drive as of now; None if the ledger does not know it."""
        found = self._ledger.drive(drive)
        return None if found is None else DriveProgress(found.state in FINAL, found.revision)


def swept_lake(settings: Settings) -> SweptLake:
    """What a sweep of this deployment looks at."""
    s3 = client("s3", settings.aws)
    return SweptLake(
        catalog=open_catalog(settings),
        store=ObjectStore.connect(settings.aws),
        lake=SweptBucket(s3, settings.lake_bucket),
        quarantine=SweptBucket(s3, settings.quarantine_bucket),
        attempts=LedgerAttempts(Ledger(client("dynamodb", settings.aws), settings.ledger_table)),
    )
