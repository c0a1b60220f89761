"""A lake whose publications have names, and a catalog that lets something happen before its next commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pyiceberg.table import Transaction

from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.publish import publish
from lake.tables.rows import DriveRow
from lake.tables.schemas import PUBLISHED
from lake.versions.moments import Version
from tests.unit.lake.tables.fence_lake import FenceLake

DRIVE = DriveId("car-1", "drive-a")
OTHER = DriveId("car-2", "drive-b")
TABLES = {"gold.scenes", "gold.frames", "quarantine.records", "gold.drives"}


class VersionLake(FenceLake):
    def publish(self, revision: str, generation: int, anchors: Sequence[int], drive: DriveId = DRIVE) -> DriveRow:
        return publish(self.catalog(), self.batch(revision, generation, anchors, drive)).row

    def interrupted(self, *meanwhile: Callable[[], object]) -> Interrupted:
        catalog = Interrupted("unit", **self.catalog().properties)
        catalog.meanwhile = list(meanwhile)
        return catalog

    def locations(self) -> dict[str, str]:
        return {name: self.catalog().load_table(name).metadata_location for name in PUBLISHED}

    def current(self) -> dict[str, int]:
        found = {name: self.catalog().load_table(name).current_snapshot() for name in PUBLISHED}
        return {name: snapshot.snapshot_id for name, snapshot in found.items() if snapshot is not None}

    def anchors_at(self, version: Version, table: str = "gold.scenes", column: str = "anchor_ns") -> list[int]:
        found: list[int] = self.catalog().load_table(table).scan(snapshot_id=version.of(table)).to_arrow()[column].to_pylist()
        return sorted(found)


class Interrupted(LakeCatalog):
    """Before each of its next commits, one of `meanwhile` happens."""

    meanwhile: list[Callable[[], object]]
    commits = 0

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        self.commits += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()
        super().commit_together(transactions)


def lake_in(folder: Path) -> VersionLake:
    return VersionLake(folder)
