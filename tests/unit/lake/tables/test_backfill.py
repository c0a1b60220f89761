"""A lake that was filled before it had `gold.drives` gets its rows once, from what its snapshots say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException

from lake.errors import SupersededError, TableError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables import publish as publish_module
from lake.tables import summaries
from lake.tables.backfill import fill_drives
from lake.tables.creation import ensure_tables
from lake.tables.drives import DRIVES_TABLE, FILLED, NEW_LAKE
from lake.tables.publish import PublishOutcome, publish
from lake.tables.summaries import summary_of
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, held

OTHER = DriveId("car-2", "b")


def older_summary(drive: DriveId, revision: str, generation: int) -> dict[str, str]:
    """What an earlier version of this code wrote."""
    more = {summaries.VERDICT: "publish", summaries.CODE_VERSION: "c", summaries.BASELINE: "none", summaries.WARNINGS: ""}
    return summary_of(drive, revision, generation) | more


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FenceLake:
    """Three publications of two drives, in an older lake: its tables have no row that says so."""
    monkeypatch.setattr(publish_module, "summary_of", older_summary)
    lake = FenceLake(tmp_path)
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    publish(lake.catalog(), lake.batch("o1", 1, (10,), OTHER))
    publish(lake.catalog(), lake.batch("r2", 2, (20, 30, 40)))
    lake.catalog().drop_table(DRIVES_TABLE)
    return lake


def properties(lake: FenceLake) -> dict[str, str]:
    return dict(lake.catalog().load_table(DRIVES_TABLE).properties)


def test_every_publication_that_the_snapshots_name_gets_its_row(lake: FenceLake) -> None:
    ensure_tables(lake.catalog())
    first, second = lake.drives()
    assert [(row.revision, row.generation, row.scenes, row.frames, row.records) for row in (first, second)] == [
        ("r1", 1, 2, 2, 1),
        ("r2", 2, 3, 3, 1),
    ]
    assert (first.verdict, first.code_version, first.baseline, first.warnings) == ("publish", "c", None, ())
    assert (first.sensors, first.first_anchor_ns, first.content_digest) == (None, None, None)
    (other,) = lake.drives(OTHER)
    assert first.committed_ns <= other.committed_ns <= second.committed_ns
    snapshots = {one.snapshot_id for one in lake.catalog().load_table("gold.scenes").snapshots()}
    assert {first.scenes_snapshot_id, second.scenes_snapshot_id, other.scenes_snapshot_id} <= snapshots


def test_the_rows_are_a_fence_when_the_snapshots_are_gone(lake: FenceLake) -> None:
    ensure_tables(lake.catalog())
    lake.expire()
    assert publish(lake.catalog(), lake.batch("r2", 2, (20, 30, 40))).outcome is PublishOutcome.ALREADY
    with pytest.raises(SupersededError):
        publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    publish(lake.catalog(), lake.batch("r3", 3, (50,)))
    assert lake.rows() == held("r3", (50,))


def test_filling_again_adds_what_is_missing_and_nothing_twice(lake: FenceLake) -> None:
    ensure_tables(lake.catalog())
    ensure_tables(lake.catalog())
    assert fill_drives(lake.catalog()) == 0
    assert (len(lake.drives()), len(lake.drives(OTHER))) == (2, 1)
    table = lake.catalog().load_table(DRIVES_TABLE)
    table.delete(f"drive_id == '{OTHER.drive_id}'")
    assert fill_drives(lake.catalog()) == 1
    assert (len(lake.drives()), len(lake.drives(OTHER))) == (2, 1)


def test_a_new_lake_is_marked_as_filled_and_written_once(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    before = lake.catalog().load_table(DRIVES_TABLE).metadata_location
    ensure_tables(lake.catalog())
    assert properties(lake)[FILLED] == NEW_LAKE
    assert lake.catalog().load_table(DRIVES_TABLE).metadata_location == before


def test_a_publication_that_was_rolled_back_gets_no_row(lake: FenceLake) -> None:
    ensure_tables(lake.catalog())
    before = {row.generation: row for row in lake.drives()}[1]
    for name, snapshot_id in (
        ("gold.scenes", before.scenes_snapshot_id),
        ("gold.frames", before.frames_snapshot_id),
        ("quarantine.records", before.records_snapshot_id),
    ):
        assert snapshot_id is not None
        lake.catalog().load_table(name).manage_snapshots().rollback_to_snapshot(snapshot_id).commit()
    lake.catalog().drop_table(DRIVES_TABLE)
    ensure_tables(lake.catalog())
    assert [row.generation for row in lake.drives()] == [1]
    publish(lake.catalog(), lake.batch("r2", 2, (20, 30, 40)))
    assert lake.rows() == held("r2", (20, 30, 40))


def test_a_drive_whose_snapshots_expired_before_there_were_rows_is_replaced_all_the_same(lake: FenceLake) -> None:
    for name in ("gold.scenes", "gold.frames", "quarantine.records"):
        table = lake.catalog().load_table(name)
        current = table.current_snapshot()
        assert current is not None
        old = [one.snapshot_id for one in table.snapshots() if one.snapshot_id != current.snapshot_id]
        table.maintenance.expire_snapshots().by_ids(old).commit()
    ensure_tables(lake.catalog())
    assert (len(lake.drives(DRIVE)), lake.drives(OTHER)) == (1, ())
    publish(lake.catalog(), lake.batch("o1", 1, (10,), OTHER))
    assert lake.rows(OTHER) == held("o1", (10,))


def test_filling_gives_up_with_an_error_that_says_what_to_do(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CommitFailedException("gold.drives was changed by another commit")

    ensure_tables(lake.catalog())
    lake.catalog().load_table(DRIVES_TABLE).delete(f"drive_id == '{OTHER.drive_id}'")
    monkeypatch.setattr(LakeCatalog, "commit_together", refuse)
    monkeypatch.setattr("lake.iceberg.attempts.time.sleep", lambda _: None)
    with pytest.raises(TableError, match="could not be filled: 12 commits lost the race"):
        fill_drives(lake.catalog())
    assert lake.drives(OTHER) == ()
