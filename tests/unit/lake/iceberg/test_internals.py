"""What the lake does with private names of pyiceberg, and with which version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyiceberg
import pyiceberg.table
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction

from lake.iceberg.internals import CHECKED_WITH, begin, stage_updates
from lake.iceberg.refs import ref_is, remove_snapshots, set_tag
from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.publish import publish
from lake.tables.schemas import FRAMES
from tests.unit.lake.tables.empty_lake import make_empty_lake
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, frame


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LakeCatalog]:
    opened = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    make_empty_lake(opened)
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


def test_a_removal_of_snapshots_is_sent_as_the_specification_has_it_and_finds_ids_fast() -> None:
    update: Any = remove_snapshots(range(1, 4))
    assert update.model_dump(by_alias=True, mode="json") == {"action": "remove-snapshots", "snapshot-ids": [1, 2, 3]}
    assert json.loads(update.model_dump_json(by_alias=True)) == {"action": "remove-snapshots", "snapshot-ids": [1, 2, 3]}
    assert (2 in update.snapshot_ids, 9 in update.snapshot_ids) == (True, False)


def test_every_assertion_is_kept_and_one_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    table = lake.catalog().load_table("gold.scenes")
    current = table.current_snapshot()
    assert current is not None
    change = begin(table)
    stage_updates(change, [set_tag("a", current.snapshot_id)], [ref_is("main", current.snapshot_id), ref_is("a", None)])
    assert len(change._requirements) == 2
    with pytest.raises(CommitFailedException):
        stage_updates(begin(table), [], [ref_is("main", 1)])
