"""What the lake does with private names of pyiceberg, and with which version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyiceberg
import pyiceberg.table
import pytest
from pyiceberg.table import Transaction

from lake.tables.catalog import LakeCatalog, ensure_tables
from lake.tables.iceberg_internals import CHECKED_WITH, begin
from lake.tables.schemas import FRAMES
from tests.unit.lake.tables.fence_lake import DRIVE, frame


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LakeCatalog]:
    opened = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    ensure_tables(opened)
    yield opened
    opened.engine.dispose()


def change(transaction: Transaction, stamp_ns: int) -> None:
    if stamp_ns > 1:
        transaction.delete(f"drive_id == '{DRIVE.drive_id}'")
    transaction.append(pa.Table.from_pylist([frame(DRIVE, "r1", stamp_ns)], schema=FRAMES))


def test_the_private_names_were_checked_with_the_installed_version() -> None:
    assert pyiceberg.__version__ == CHECKED_WITH


def test_what_a_transaction_has_staged_is_computed_once_for_each_change(
    catalog: LakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = 0
    real = pyiceberg.table.update_table_metadata

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal computed
        computed += 1
        return real(*given, **named)

    monkeypatch.setattr(pyiceberg.table, "update_table_metadata", counted)
    transaction = begin(catalog.load_table("gold.frames"))
    change(transaction, 1)
    metadata = transaction.table_metadata
    assert transaction.table_metadata is metadata
    assert computed <= 3
    assert metadata == real(transaction._table.metadata, transaction._updates)
    change(transaction, 2)
    assert [one.snapshot_id for one in transaction.table_metadata.snapshots][:1] == [
        one.snapshot_id for one in metadata.snapshots
    ]
    assert len(transaction.table_metadata.snapshots) == 3
    catalog.commit_together([transaction])
    assert catalog.load_table("gold.frames").scan().to_arrow()["stamp_ns"].to_pylist() == [2]
