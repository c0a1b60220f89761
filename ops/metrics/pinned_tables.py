"""The lake's tables pinned to one commit, reloaded only after another commit, and scanned one drive at a time.

A plain scan for a drive opens every manifest that may hold its vehicle, and their number grows with every publication. Here it
opens those that the drive's own publications added; their rows are still filtered by drive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from pyiceberg.table import DataScan, FileScanTask

from lake.errors import TableError
from lake.tables.iceberg_internals import plan_manifests
from lake.tables.schemas import DATA_TABLES, PUBLISHED
from lake.tables.summaries import DRIVE

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

    from lake.landing import DriveId
    from lake.tables.catalog import AnyCatalog
    from ops.audit.lake_reader import Tables

ATTEMPTS = 5
Ids = frozenset[int]


class PinnedTables:
    """Tables that were loaded together (`ops.audit.lake_reader.Tables`)."""

    def __init__(self, tables: Mapping[str, Table], pointers: Mapping[str, str]) -> None:
        self._tables = dict(tables)
        # The manifests of `gold.drives` are merged: they say nothing of the drives in them.
        self._added_by = {name: _publications(table) if name in DATA_TABLES else None for name, table in tables.items()}
        self.pointers = dict(pointers)

    def __bool__(self) -> bool:
        """Whether the lake has its tables; before the first publication it may not."""
        return bool(self._tables)

    def load_table(self, identifier: str) -> Table:
        """The pinned table."""
        return self._tables[identifier]

    def of_drive(self, drive: DriveId) -> Tables:
        """The same tables for scans of this drive only: they open no other drive's manifests."""
        views = {name: _DriveView(table, self._ids(name, drive)) for name, table in self._tables.items()}
        return _DriveTables(views)

    def _ids(self, name: str, drive: DriveId) -> Ids | None:
        found = self._added_by[name]
        return None if found is None else found.get(str(drive), frozenset())


class _DriveTables:
    def __init__(self, views: Mapping[str, _DriveView]) -> None:
        self._views = views

    def load_table(self, identifier: str) -> Table:
        return cast("Table", self._views[identifier])  # it can be scanned, which is all that readers of one drive do


class _DriveView:
    """A scannable table. `added_by`: the snapshots whose manifests are opened; None for all."""

    def __init__(self, table: Table, added_by: Ids | None) -> None:
        self._table = table
        self._added_by = added_by

    def scan(
        self, row_filter: BooleanExpression, selected_fields: tuple[str, ...] = ("*",), limit: int | None = None
    ) -> DataScan:
        scan = _DriveScan(self._table.metadata, self._table.io, row_filter, selected_fields, limit=limit)
        scan.added_by = self._added_by
        return scan


class _DriveScan(DataScan):
    added_by: Ids | None = None

    def plan_files(self) -> Iterable[FileScanTask]:
        snapshot = self.snapshot()
        if snapshot is None or self.added_by is None:
            return super().plan_files()
        return plan_manifests(self, [entry for entry in snapshot.manifests(self.io) if entry.added_snapshot_id in self.added_by])


def _publications(table: Table) -> dict[str, Ids] | None:
    """The snapshots that changed the table for each drive: its publications, and the snapshots before them, which may have
    removed its former rows. None if manifests were rewritten by something else, so that their drives are unknown.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for snapshot in table.snapshots():
        drive = None if snapshot.summary is None else snapshot.summary[DRIVE]
        if drive is not None:
            found[drive] |= {snapshot.snapshot_id, snapshot.parent_snapshot_id or snapshot.snapshot_id}
    current = table.current_snapshot()
    known = frozenset[int]().union(*found.values())
    manifests = [] if current is None else current.manifests(table.io)
    if any(manifest.added_snapshot_id not in known for manifest in manifests):
        return None
    return {drive: frozenset(ids) for drive, ids in found.items()}


def pin(catalog: AnyCatalog, before: PinnedTables | None) -> PinnedTables:
    """The tables as of now; `before` itself if no commit has changed one since.

    Raises:
        TableError: Commits kept changing the tables while they were loaded; the next reading tries again.
    """
    pointers = _pointers(catalog)
    for _ in range(ATTEMPTS):
        if before is not None and before.pointers == pointers:
            return before
        names = PUBLISHED if PUBLISHED.keys() <= pointers.keys() else ()
        before = PinnedTables({name: catalog.load_table(name) for name in names}, pointers)
        pointers = _pointers(catalog)
    raise TableError(f"the tables changed {ATTEMPTS} times while they were being loaded")


def _pointers(catalog: AnyCatalog) -> dict[str, str]:
    return {name: location for name, location in catalog.pointers().items() if name in PUBLISHED}
