"""One deployment's review, opened when it is first asked for: the records, what shows them, and where decisions are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ops.review import evidence, listing, service

if TYPE_CHECKING:
    from ingest.ledger.ledger import Ledger
    from lake.settings import Settings
    from lake.storage import ObjectStore
    from lake.tables.catalog import LakeCatalog

Row = dict[str, Any]


class Review:
    """What the browser's pages are made of. Clients are made once and kept; boto3's may be used by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def desk(self) -> service.Desk:
        """Where decisions are taken."""
        return service.open_desk(self._settings)

    @cached_property
    def _ledger(self) -> Ledger:
        from ingest.ledger.ledger import Ledger
        from lake.clients import client

        return Ledger(client("dynamodb", self._settings.aws), self._settings.ledger_table)

    @cached_property
    def _catalog(self) -> LakeCatalog:
        from lake.tables.catalog import open_catalog

        return open_catalog(self._settings)

    @cached_property
    def _store(self) -> ObjectStore:
        from lake.storage import ObjectStore

        return ObjectStore.connect(self._settings.aws)

    def rows(self) -> list[Row]:
        """Every record, as `ops.review.listing.rows`."""
        return listing.rows(self._catalog, self._ledger)

    def evidence(self, row: Row, rows: Sequence[Row]) -> evidence.Evidence:
        """What shows a record."""
        of_drive = [one for one in rows if _drive(one) == _drive(row)]
        return evidence.gather(self._catalog, self._store, row, of_drive)


def _drive(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["vehicle_id"], row["drive_id"]
