"""The fence of a publication holds whatever maintenance has done to the history of the tables (promise P2)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from pyiceberg.table import Transaction

from lake.errors import PublishError, SupersededError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.creation import ensure_tables
from lake.tables.names import DATA_TABLES
from lake.tables.publish import Batch, Publication, PublishOutcome, publish
from lake.tables.rows import DriveRow, PublicationFacts, row_of
from tests.unit.lake.tables import fence_lake
from tests.unit.lake.tables.fence_lake import DAY, DRIVE, FenceLake, held

NEIGHBOUR = DriveId("car-1", "another-drive-that-is-published-later")


@pytest.fixture
def lake(tmp_path: Path) -> FenceLake:
    return FenceLake(tmp_path)


def test_a_late_duplicate_is_not_published_again_after_everything_expired(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30)))
    publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
    lake.expire()
    assert publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30))).outcome is PublishOutcome.ALREADY
    assert lake.rows() == held("r1", (10, 20, 30))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))


def test_a_new_revision_replaces_the_old_one_after_everything_expired(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30)))
    publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
    lake.expire()
    assert publish(lake.catalog(), lake.batch("r2", 2, (20, 30, 40, 50))).outcome is PublishOutcome.PUBLISHED
    assert lake.rows() == held("r2", (20, 30, 40, 50))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))


def test_every_order_of_generations_ends_with_the_newest_after_everything_expired(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    publish(lake.catalog(), lake.batch("r3", 3, (30,)))
    lake.expire()
    for stale in (lake.batch("r2", 2, (20,)), lake.batch("r1", 1, (10, 20)), lake.batch("other", 3, (40,))):
        with pytest.raises(SupersededError, match="generation 3 has been published") as caught:
            publish(lake.catalog(), stale)
        assert caught.value.generation == 3
        lake.expire()
    assert lake.rows() == held("r3", (30,))
    assert [(row.revision, row.generation) for row in lake.drives()] == [("r1", 1), ("r3", 3)]


class Interrupted(LakeCatalog):
    """A catalog whose process is stopped before its first commit while `meanwhile` happens."""

    meanwhile: Callable[[], object] | None = None

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        super().commit_together(transactions)


def interrupted(lake: FenceLake, meanwhile: Callable[[], object]) -> Interrupted:
    catalog = Interrupted("unit", **lake.catalog().properties)
    catalog.meanwhile = meanwhile
    return catalog


@pytest.mark.parametrize("expired", [False, True])
def test_a_publisher_that_resumes_after_a_newer_generation_changes_nothing(lake: FenceLake, *, expired: bool) -> None:
    def newer() -> None:
        publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
        publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
        if expired:
            lake.expire()

    with pytest.raises(SupersededError, match="generation 2 has been published"):
        publish(interrupted(lake, newer), lake.batch("r1", 1, (10,)))
    assert lake.rows() == held("r2", (20, 30))


@pytest.mark.parametrize("expired", [False, True])
def test_a_publisher_that_resumes_after_its_own_batch_reports_that_commit(lake: FenceLake, *, expired: bool) -> None:
    first: list[Publication] = []

    def same() -> None:
        first.append(publish(lake.catalog(), lake.batch("r1", 1, (10, 20))))
        if expired:
            lake.expire()

    second = publish(interrupted(lake, same), lake.batch("r1", 1, (10, 20)))
    assert (first[0].outcome, second.outcome) == (PublishOutcome.PUBLISHED, PublishOutcome.ALREADY)
    assert second.row == replace(first[0].row, files=None)
    assert lake.rows() == held("r1", (10, 20))


@pytest.mark.parametrize("paused", ["new drive", "new revision", "duplicate", "stale"])
def test_a_publisher_that_was_paused_while_everything_was_expired_and_merged(lake: FenceLake, paused: str) -> None:
    """It resumes hours later, on snapshots, manifests and files that are all gone from the tables."""
    if paused not in ("new drive", "duplicate"):
        publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
    batch = lake.batch("r2", 2, (20, 30)) if paused == "duplicate" else lake.batch("r3", 3, (40,))

    def hours() -> None:
        if paused == "duplicate":
            publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
        for number in range(3):
            publish(lake.catalog(), lake.batch(f"n{number}", number + 1, (10, 50), NEIGHBOUR))
            lake.expire()
            lake.merge()
        if paused == "stale":
            publish(lake.catalog(), lake.batch("r4", 4, (60,)))
        lake.expire()

    catalog = interrupted(lake, hours)
    if paused == "stale":
        with pytest.raises(SupersededError, match="generation 4 has been published"):
            publish(catalog, batch)
    else:
        assert publish(catalog, batch).outcome == ("already" if paused == "duplicate" else "published")
    expected = {"duplicate": held("r2", (20, 30)), "stale": held("r4", (60,))}
    assert lake.rows() == expected.get(paused, held("r3", (40,)))
    assert lake.rows(NEIGHBOUR) == held("n2", (10, 50))
    assert len(lake.drives(NEIGHBOUR)) == 3


def test_a_drive_is_replaced_where_its_newest_publication_was_filed(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame was late: the new revision begins on the day before."""
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    monkeypatch.setattr(fence_lake, "DAY", DAY - timedelta(days=1))
    publish(lake.catalog(), lake.batch("r2", 2, (5, 10)))
    assert lake.rows() == held("r2", (5, 10))
    monkeypatch.setattr(fence_lake, "DAY", DAY)
    publish(lake.catalog(), lake.batch("r3", 3, (7,)))
    assert lake.rows() == held("r3", (7,))
    assert [row.days for row in lake.drives()] == [(DAY,), (DAY - timedelta(days=1),), (DAY,)]


@pytest.mark.parametrize("unknown", ["days of its row", "its row"])
def test_a_drive_of_an_older_lake_is_replaced_on_whatever_day_it_is(
    lake: FenceLake, unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
    if unknown == "its row":
        lake.expire()
    lake.catalog().drop_table("gold.drives")
    ensure_tables(lake.catalog())
    assert [one.days for one in lake.drives()] == ([None] if unknown == "days of its row" else [])
    monkeypatch.setattr(fence_lake, "DAY", DAY + timedelta(days=40))
    publish(lake.catalog(), lake.batch("r2", 2, (30,)))
    assert lake.rows() == held("r2", (30,))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))


def test_an_attempt_that_lost_leaves_a_file_of_its_own_that_nothing_references(lake: FenceLake) -> None:
    neighbour = lake.batch("n1", 1, (10,), NEIGHBOUR)
    catalog = interrupted(lake, lambda: publish(lake.catalog(), neighbour))
    assert publish(catalog, lake.batch("r1", 1, (10,))).outcome is PublishOutcome.PUBLISHED
    table = lake.catalog().load_table("gold.drives")
    referenced = set(table.inspect.data_files()["file_path"].to_pylist())
    assert len(referenced) == 2
    (lost,) = lake.row_files() - referenced
    assert f"/gold/drives/data/{DRIVE}/" in lost
    assert (len(lake.drives()), len(lake.drives(NEIGHBOUR))) == (1, 1)


def test_two_publishers_of_one_drive_and_a_neighbour_end_as_one_clean_run(lake: FenceLake) -> None:
    batches = [lake.batch("r1", 1, (10, 20)), lake.batch("r1", 1, (10, 20)), lake.batch("n1", 1, (10,), NEIGHBOUR)]
    outcomes: list[PublishOutcome] = []
    threads = [threading.Thread(target=lambda b=batch: outcomes.append(publish(lake.catalog(), b).outcome)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == [PublishOutcome.ALREADY, PublishOutcome.PUBLISHED, PublishOutcome.PUBLISHED]
    assert lake.rows() == held("r1", (10, 20))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))


def test_the_row_says_what_was_committed(lake: FenceLake) -> None:
    batch = lake.batch("r1", 7, (10, 20, 30))
    facts = replace(batch.facts, sensors=("cam", "top"), calibration_hash="cal", lock_hash="lock", warnings=("CLK004",))
    row = publish(lake.catalog(), dataclasses.replace(batch, facts=facts)).row
    assert (row.drive, row.revision, row.generation, row.verdict) == (DRIVE, "r1", 7, "publish")
    assert (row.scenes, row.frames, row.records, row.first_anchor_ns, row.last_anchor_ns) == (3, 3, 1, 10, 30)
    assert row.days == (DAY,)
    assert (row.sensors, row.calibration_hash, row.lock_hash, row.warnings) == (("cam", "top"), "cal", "lock", ("CLK004",))
    ids = row.scenes_snapshot_id, row.frames_snapshot_id, row.records_snapshot_id
    for name, snapshot_id in zip(DATA_TABLES, ids, strict=True):
        current = lake.catalog().load_table(name).current_snapshot()
        assert current is not None
        assert (current.snapshot_id, current.timestamp_ms * 10**6 >= row.committed_ns) == (snapshot_id, True)
    assert row.files is not None
    assert {file.table: [file.uri] for file in row.files} == batch.files
    assert [file.bytes for file in row.files] == [Path(file.uri.removeprefix("file://")).stat().st_size for file in row.files]
    stored = lake.catalog().load_table("gold.drives").scan().to_arrow().to_pylist()
    assert [row_of(DriveRow, found) for found in stored] == [row]


def test_files_that_do_not_hold_what_the_audit_counted_are_not_committed(lake: FenceLake) -> None:
    batch = lake.batch("r1", 1, (10, 20))
    with pytest.raises(PublishError, match=r"gold\.scenes hold 2 rows, the audit counted 3"):
        publish(lake.catalog(), dataclasses.replace(batch, facts=replace(batch.facts, scenes=3)))
    assert lake.drives() == ()
    assert lake.rows() == {"gold.scenes": [], "gold.frames": [], "quarantine.records": []}


def test_a_drive_that_becomes_empty_leaves_its_rows_and_keeps_its_history(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    nothing = PublicationFacts(verdict="quarantine", scenes=0, frames=0, records=0)
    row = publish(lake.catalog(), Batch(DRIVE, "r2", 2, {}, nothing)).row
    assert (row.first_anchor_ns, row.last_anchor_ns, row.days, row.files) == (None, None, (), ())
    lake.expire()
    assert lake.rows() == {"gold.scenes": [], "gold.frames": [], "quarantine.records": []}
    assert [(row.revision, row.verdict) for row in lake.drives()] == [("r1", "publish"), ("r2", "quarantine")]


def test_a_table_of_drives_is_not_a_target_of_files(lake: FenceLake) -> None:
    nothing = PublicationFacts(scenes=0, frames=0, records=0)
    with pytest.raises(PublishError, match=r"gold\.drives"):
        publish(lake.catalog(), Batch(DRIVE, "r1", 1, {"gold.drives": ["file:///x"]}, nothing))
