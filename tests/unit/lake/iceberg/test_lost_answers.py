"""A commit whose answer was lost, or that comes through late, is made once and reported as made, whoever writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction

from lake.erasure.tables import forget_rows, keep_salt, put_tombstone
from lake.iceberg.catalog import AnyCatalog
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.maintenance.compact import MergeOutcome, compact
from lake.maintenance.compaction_plan import plan
from lake.maintenance.expire import ExpirePolicy, expire
from lake.maintenance.manifests import Merged, merge_manifests, merge_row_files
from lake.tables.backfill import fill_drives
from lake.tables.compactions import COMPACTIONS_TABLE, compactions
from lake.tables.creation import ensure_tables
from lake.tables.drives import DRIVES_TABLE, publications, tombstone
from lake.tables.names import DATA_TABLES, ROW_TABLES
from lake.tables.publish import PublishOutcome, publish
from lake.tables.schemas import PUBLISHED
from lake.versions.recalls import EXCLUDE, RecallRow, exclude, lift, recall_rows
from lake.versions.tags import create_tag, remove_tag, renew_tag, tags
from tests.unit.lake.maintenance.small_files import DRIVES, SMALL, SmallFilesLake

A, B, C = DRIVES
SALT = "ab" * 32


class Unconfirmed(LakeCatalog):
    """Gives no answer to its first commit. `late`: it makes it only when the next one comes."""

    late = False
    commits = 0
    waiting: Sequence[Transaction] = ()

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        self.commits += 1
        if self.commits == 1:
            if self.late:
                self.waiting = transactions
            else:
                super().commit_together(transactions)
            raise CommitFailedException("HTTP 504")
        if self.late and self.commits == 2:
            super().commit_together(self.waiting)
        super().commit_together(transactions)


class Lake(SmallFilesLake):
    """Two drives, one of them merged, a tag of each kind, and a recall; `restore` brings that state back."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for drive in (A, B):
            self.publish(drive, windows=2, scenes=1)
        for job in plan(self.catalog(), SMALL).jobs[1:]:
            compact(self.catalog(), job, SMALL)
        create_tag(self.catalog(), "reader-1", max_age_s=60)
        create_tag(self.catalog(), "release-1")
        for number in "12":
            exclude(self.catalog(), [recalled(f"recall-{number}")])
        keep_salt(self.catalog(), SALT)
        shutil.copy(folder / "catalog.db", folder / "kept.db")

    def restore(self) -> None:
        shutil.copy(self.folder / "kept.db", self.folder / "catalog.db")

    def unconfirmed(self, *, late: bool) -> Unconfirmed:
        catalog = Unconfirmed("unit", **self.catalog().properties)
        catalog.late = late
        return catalog


def recalled(name: str) -> RecallRow:
    of = {"vehicle_id": A.vehicle_id, "drive_id": A.drive_id, "criteria": "{}", "reason": "loose mount", "person": "ada"}
    return RecallRow(recall_id=name, kind=EXCLUDE, recorded_ns=1, **of)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def lake(made: Lake) -> Iterator[Lake]:
    made.restore()
    yield made


def _publish(lake: Lake, catalog: AnyCatalog) -> None:
    found = publish(catalog, lake.batch("r1", 1, (10,), C))
    assert found.outcome is PublishOutcome.PUBLISHED
    assert [row.scenes_snapshot_id for row in publications(lake.catalog().load_table(DRIVES_TABLE), C)] == [
        found.row.scenes_snapshot_id
    ]


def _columns(lake: Lake, catalog: AnyCatalog) -> None:
    with lake.catalog().load_table(DRIVES_TABLE).update_schema(allow_incompatible_changes=True) as columns:
        columns.delete_column("lock_hash")
    ensure_tables(catalog)
    assert "lock_hash" in lake.catalog().load_table(DRIVES_TABLE).schema().column_names


def _fill(lake: Lake, catalog: AnyCatalog) -> None:
    lake.catalog().load_table(DRIVES_TABLE).delete(f"drive_id == '{A.drive_id}'")
    assert fill_drives(catalog) == 1
    assert len(publications(lake.catalog().load_table(DRIVES_TABLE), A)) == 1


def _manifests(lake: Lake, catalog: AnyCatalog) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10,), DriveId("car-2", C.drive_id)))  # another partition, another manifest
    assert merge_manifests(catalog, "gold.scenes") == Merged(2, 1)


def _row_files(name: str) -> Callable[[Lake, AnyCatalog], None]:
    def write(lake: Lake, catalog: AnyCatalog) -> None:
        rows = lake.catalog().load_table(name).scan().to_arrow().num_rows
        assert rows >= 2
        found = merge_row_files(catalog, name, 2)
        assert found.after == 1 < found.before
        assert lake.catalog().load_table(name).scan().to_arrow().num_rows == rows
        assert len(lake.data_files(name)) == 1

    return write


def _expire(lake: Lake, catalog: AnyCatalog) -> None:
    remove_tag(lake.catalog(), "release-1")
    plans = expire(catalog, ExpirePolicy(0, 1), apply=True, clock=lambda: 10**19)
    assert {plan.table for plan in plans if plan.expired} >= set(DATA_TABLES)
    assert [name for plan in plans if plan.table == "gold.scenes" for name in plan.forgotten] == ["reader-1"]
    assert len(lake.catalog().load_table("gold.scenes").snapshots()) == 1


def _compact(lake: Lake, catalog: AnyCatalog) -> None:
    known = len(compactions(lake.catalog().load_table(COMPACTIONS_TABLE)))
    before, job = lake.contents(), plan(lake.catalog(), SMALL).jobs[0]
    found = compact(catalog, job, SMALL)
    assert found.outcome is MergeOutcome.COMPACTED
    rows = compactions(lake.catalog().load_table(COMPACTIONS_TABLE))
    assert (len(rows), rows[-1]) == (known + 1, found.row)
    assert lake.contents() == before


def _tag(name: str) -> Callable[[Lake, AnyCatalog], None]:
    def write(lake: Lake, catalog: AnyCatalog) -> None:
        version = create_tag(catalog, name, max_age_s=60 if name.startswith("reader") else None)
        (found,) = [tag for tag in tags(lake.catalog()) if tag.name == name]
        assert found.snapshots == version.snapshots

    return write


def _untag(lake: Lake, catalog: AnyCatalog) -> None:
    remove_tag(catalog, "release-1")
    assert [tag.name for tag in tags(lake.catalog())] == ["reader-1"]


def _renew(lake: Lake, catalog: AnyCatalog) -> None:
    renew_tag(catalog, "reader-1", 3600)
    (tag,) = [tag for tag in tags(lake.catalog()) if tag.name == "reader-1"]
    assert tag.deadline_ns is not None and tag.snapshot_ns is not None
    assert tag.deadline_ns - tag.snapshot_ns > 3000 * 10**9


def _exclude(lake: Lake, catalog: AnyCatalog) -> None:
    exclude(catalog, [recalled("recall-3")])
    assert [row.recall_id for row in recall_rows(lake.catalog())] == ["recall-1", "recall-2", "recall-3"]


def _lift(lake: Lake, catalog: AnyCatalog) -> None:
    found = lift(catalog, "recall-1", "it was sound", "bob", 2)
    assert found == tuple(row for row in recall_rows(lake.catalog()) if row.recorded_ns == 2)
    assert len(found) == 1


def _salt(lake: Lake, catalog: AnyCatalog) -> None:
    table = lake.catalog().load_table(DRIVES_TABLE)
    with table.transaction() as change:
        change.remove_properties("scenelake.pseudonym-salt")
    assert keep_salt(catalog, "cd" * 32) == "cd" * 32


def _tombstone(lake: Lake, catalog: AnyCatalog) -> None:
    put_tombstone(catalog, A, "F-1", 5)
    table = lake.catalog().load_table(DRIVES_TABLE)
    assert tombstone(table, A) == "F-1"
    assert table.scan(row_filter="vehicle_id == '~forgotten'").to_arrow().num_rows == 1


def _forget(lake: Lake, catalog: AnyCatalog) -> None:
    found = {one.table: one.rows for one in forget_rows(catalog, A, "F-1")}
    assert (found["gold.scenes"], found["gold.frames"]) == (2, 2)
    assert publications(lake.catalog().load_table(DRIVES_TABLE), A) == ()


WRITERS: Mapping[str, Callable[[Lake, AnyCatalog], None]] = {
    "publish": _publish,
    "ensure_tables": _columns,
    "fill_drives": _fill,
    "merge_manifests": _manifests,
    **{f"merge_row_files {name}": _row_files(name) for name in ROW_TABLES},
    "expire": _expire,
    "compact": _compact,
    **{f"create_tag {name}": _tag(name) for name in ("run-1", "hold-1", "reader-2", "release-2")},
    "remove_tag": _untag,
    "renew_tag": _renew,
    "exclude": _exclude,
    "lift": _lift,
    "keep_salt": _salt,
    "put_tombstone": _tombstone,
    "forget_rows": _forget,
}


@pytest.mark.parametrize("late", [False, True], ids=["lost", "late"])
@pytest.mark.parametrize("writer", WRITERS)
def test_it_is_made_once_and_reported_as_made(lake: Lake, writer: str, *, late: bool) -> None:
    catalog = lake.unconfirmed(late=late)
    WRITERS[writer](lake, catalog)
    assert catalog.commits == (2 if late else 1)


@pytest.mark.parametrize("writer", WRITERS)
def test_one_that_was_refused_is_made_by_the_next_attempt(lake: Lake, writer: str) -> None:
    class Refused(LakeCatalog):
        commits = 0

        def commit_together(self, transactions: Sequence[Transaction]) -> None:
            self.commits += 1
            if self.commits == 1:
                raise CommitFailedException("a table was changed by another commit")
            super().commit_together(transactions)

    catalog = Refused("unit", **lake.catalog().properties)
    WRITERS[writer](lake, catalog)
    assert catalog.commits == 2


def test_a_compaction_is_found_although_its_row_was_merged_into_another_file(lake: Lake) -> None:
    """Otherwise its files would be deleted as if they had lost."""

    class Merging(LakeCatalog):
        commits = 0

        def commit_together(self, transactions: Sequence[Transaction]) -> None:
            self.commits += 1
            super().commit_together(transactions)
            if self.commits == 1:
                merge_row_files(lake.catalog(), COMPACTIONS_TABLE, 2)
                raise CommitFailedException("HTTP 504")

    before, job = lake.contents(), plan(lake.catalog(), SMALL).jobs[0]
    found = compact(Merging("unit", **lake.catalog().properties), job, SMALL)
    assert found.outcome is MergeOutcome.COMPACTED
    assert lake.contents() == before
    assert compactions(lake.catalog().load_table(COMPACTIONS_TABLE))[-1] == found.row


def test_every_writer_goes_through_attempts() -> None:
    """Whoever commits by itself does not know what to make of a lost answer."""
    root = Path(__file__).parents[4]
    callers = [
        path.relative_to(root).as_posix()
        for folder in ("lake", "ops", "scenes", "ingest", "spark_jobs", "cli", "dags")
        for path in (root / folder).rglob("*.py")
        if ".commit_together(" in path.read_text()
    ]
    assert callers == ["lake/iceberg/attempts.py"]
    assert set(PUBLISHED) == {*DATA_TABLES, *ROW_TABLES}
