"""The review of one deployment, opened on first use: its records, the evidence for them, and the desk that accepts decisions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ops.review import decisions, evidence, listing

if TYPE_CHECKING:
    from ingest.ledger.repository import Ledger
    from lake.storage import ObjectStore
    from lake.tables.catalog import AnyCatalog
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

    def rows(self) -> list[ReviewRecord]:
        """Every record, as `ops.review.listing.rows`."""
        return listing.rows(self._catalog, self._ledger)

    def evidence(self, row: ReviewRecord, rows: Sequence[ReviewRecord]) -> evidence.RecordEvidence:
        """The evidence for a record; `rows` may hold those of other drives."""
        of_drive = [one for one in rows if one.drive == row.drive]
        return evidence.gather(self._catalog, self._store, row, of_drive)
