"""The review of one deployment, opened on first use: its records, the evidence for them, and the desk that accepts decisions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ops.review import decisions, evidence, listing

if TYPE_CHECKING:
    from ingest.ledger.repository import Ledger
    from lake.iceberg.catalog import AnyCatalog
    from lake.storage import ObjectStore
    from ops.deployment import Deployment
    from ops.review.listing import ReviewRecord


class ReviewSession:
    """The data behind the review pages. Clients are made once and kept; boto3's are safe to share between threads."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @cached_property
    def desk(self) -> decisions.DecisionDesk:
        """Accepts decisions."""
        return decisions.open_desk(self._deployment.settings)

    @cached_property
    def _ledger(self) -> Ledger:
        return self._deployment.ledger()

    @cached_property
    def _catalog(self) -> AnyCatalog:
        return self._deployment.catalog()

    @cached_property
    def _store(self) -> ObjectStore:
        return self._deployment.store()

    @cached_property
    def records(self) -> listing.RecordList:
        """The quarantine records."""
        return listing.RecordList(self._catalog, self._ledger)

    def evidence(self, row: ReviewRecord) -> evidence.RecordEvidence:
        """The evidence for a record."""
        of_drive = [] if row.drive is None else self.records.of_drive(row.drive)
        return evidence.gather(self._catalog, self._store, row, of_drive)
