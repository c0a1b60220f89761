"""What an adapter of `Publisher` has to do: the same cases for all, on whatever catalog a `Setting` opens.

A subclass gives the fixture `setting`: `test_publisher.py` that of SQLite, `tests/integration/catalogs` those of servers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.table import Transaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from lake.iceberg import sql_catalog
from lake.iceberg.attempts import commit
from lake.iceberg.catalog import AnyCatalog
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import data_files, replace_files
from lake.iceberg.sql_catalog import LakeCatalog
from lake.iceberg.staged import staged
from lake.landing import DriveId
from lake.tables.creation import ensure_tables
from lake.tables.drives import publications
from lake.tables.pinned import pin
from lake.tables.publish import PublishOutcome, publish
from lake.tables.schemas import FRAMES, PARTITIONS, PUBLISHED, RECORDS
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, frame, held, record

FRAMES_TABLE, RECORDS_TABLE = "gold.frames", "quarantine.records"


class Setting(Protocol):
    """A catalog with the lake's tables, and what can go wrong with it."""

    folder: Path

    def open(self) -> AnyCatalog:
        """The catalog, opened anew as another process would."""
        ...

    def lose_answer(self) -> None:
        """Let the next commit succeed, and its answer be lost."""
        ...

    def fail_midway(self) -> None:
        """Let the catalog fail in the next commit, when it has begun."""
        ...


class SqlSetting:
    """A catalog in a database."""

    def __init__(self, uri: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.uri, self.folder = uri, folder
        self.faults = type("Faults", (_FaultySession,), {"faults": deque()})
        patch.setattr(sql_catalog, "Session", self.faults)
        ensure_tables(self.open())

    def open(self) -> LakeCatalog:
        return LakeCatalog("unit", uri=self.uri, warehouse=f"file://{self.folder}/warehouse")

    def lose_answer(self) -> None:
        self.faults.faults.append("answer")

    def fail_midway(self) -> None:
        self.faults.faults.append("statement")


class _FaultySession(Session):
    faults: ClassVar[deque[str]]
    executed = 0

    def execute(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
        self.executed += 1
        if self.executed == 2:
            self._fail("statement")
        return super().execute(*arguments, **named)  # type: ignore[call-overload]

    def commit(self) -> None:
        super().commit()
        self._fail("answer")

    def _fail(self, where: str) -> None:
        if self.faults and self.faults[0] == where:
            self.faults.popleft()
            raise OperationalError(where, {}, Exception("server closed the connection unexpectedly"))


def frames(catalog: AnyCatalog, stamp_ns: int) -> Transaction:
    change = begin(catalog.load_table(FRAMES_TABLE))
    change.append(pa.Table.from_pylist([frame(DRIVE, "r1", stamp_ns)], schema=FRAMES))
    return change


def records(catalog: AnyCatalog, stamp_ns: int) -> Transaction:
    change = begin(catalog.load_table(RECORDS_TABLE))
    change.append(pa.Table.from_pylist([record(DRIVE, "r1", stamp_ns)], schema=RECORDS))
    return change


def tag(catalog: AnyCatalog, name: str) -> Transaction:
    """A tag of the current snapshot of the frames."""
    table = catalog.load_table(FRAMES_TABLE)
    current, change = table.current_snapshot(), begin(table)
    assert current is not None
    requirements_and_updates = change._set_ref_snapshot(current.snapshot_id, name, "tag")
    change._apply(*requirements_and_updates)
    return change


def expiry(catalog: AnyCatalog) -> Transaction:
    """Of all snapshots of the frames but the current one."""
    from pyiceberg.table.update import RemoveSnapshotsUpdate

    table = catalog.load_table(FRAMES_TABLE)
    change, current = begin(table), table.current_snapshot()
    old = [one.snapshot_id for one in table.snapshots() if current is not None and one.snapshot_id != current.snapshot_id]
    change._apply((RemoveSnapshotsUpdate(snapshot_ids=old),))
    return change


def noted(catalog: AnyCatalog) -> Transaction:
    """A property of the frames."""
    change = begin(catalog.load_table(FRAMES_TABLE))
    change.set_properties({"noted": "yes"})
    return change


STAGED: Mapping[str, Callable[[AnyCatalog], Transaction]] = {
    "rows": lambda catalog: frames(catalog, 3),
    "property": noted,
    "tag": lambda catalog: tag(catalog, "early"),
    "expiry": expiry,
}


def stamps(catalog: AnyCatalog, table: str) -> list[int]:
    found: list[int] = catalog.load_table(table).scan(selected_fields=("stamp_ns",)).to_arrow()["stamp_ns"].to_pylist()
    return sorted(found)


class PublisherCases:
    """The conformance suite."""

    def test_all_tables_change_and_their_snapshots_are_those_that_were_staged(self, setting: Setting) -> None:
        publisher = setting.open()
        changes = {FRAMES_TABLE: frames(publisher, 1), RECORDS_TABLE: records(publisher, 1)}
        expected = {name: staged(change, ()) for name, change in changes.items()}
        publisher.commit_together(list(changes.values()))
        for name, found in expected.items():
            current = setting.open().load_table(name).current_snapshot()
            assert current is not None
            assert (current.snapshot_id, current.timestamp_ms) == (found.snapshot_id, found.timestamp_ms)
            assert stamps(setting.open(), name) == [1]

    def test_nothing_changes_if_one_table_was_changed_meanwhile(self, setting: Setting) -> None:
        slow, fast = setting.open(), setting.open()
        late = [frames(slow, 2), records(slow, 2)]
        fast.commit_together([records(fast, 1)])
        before = fast.pointers()
        with pytest.raises(CommitFailedException):
            slow.commit_together(late)
        assert fast.pointers() == before
        assert (stamps(fast, FRAMES_TABLE), stamps(fast, RECORDS_TABLE)) == ([], [1])

    def test_a_change_that_would_not_conflict_is_refused_all_the_same(self, setting: Setting) -> None:
        slow, fast = setting.open(), setting.open()
        late = records(slow, 2)
        other = begin(fast.load_table(RECORDS_TABLE))
        other.set_properties({"note": "not even a row"})
        fast.commit_together([other])
        with pytest.raises(CommitFailedException):
            slow.commit_together([late])
        assert stamps(fast, RECORDS_TABLE) == []
        assert fast.load_table(RECORDS_TABLE).properties["note"] == "not even a row"

    def test_commits_of_different_tables_do_not_disturb_each_other(self, setting: Setting) -> None:
        one, two = setting.open(), setting.open()
        first, second = frames(one, 1), records(two, 1)
        two.commit_together([second])
        one.commit_together([first])
        assert (stamps(one, FRAMES_TABLE), stamps(one, RECORDS_TABLE)) == ([1], [1])

    def test_a_delete_and_an_append_are_one_snapshot(self, setting: Setting) -> None:
        publisher, lake = setting.open(), FenceLake(setting.folder, setting.open)
        publisher.commit_together([frames(publisher, 1)])
        table = publisher.load_table(FRAMES_TABLE)
        change = begin(table)
        old = [task.file for task in table.scan().plan_files()]
        replace_files(change, table.io, old, data_files(table, [lake.put([frame(DRIVE, "r2", 2)], FRAMES)]), {})
        assert stamps(setting.open(), FRAMES_TABLE) == [1]
        publisher.commit_together([change])
        after = setting.open().load_table(FRAMES_TABLE)
        assert (stamps(setting.open(), FRAMES_TABLE), len(after.snapshots())) == ([2], len(table.snapshots()) + 1)

    def test_a_tag_that_was_made_meanwhile_is_not_lost_to_expiry(self, setting: Setting) -> None:
        one, two = setting.open(), setting.open()
        one.commit_together([frames(one, 1)])
        late_tag, late_expiry = tag(one, "late"), expiry(two)
        two.commit_together([tag(two, "early")])
        before = two.pointers()
        for late in (late_tag, late_expiry):
            with pytest.raises(CommitFailedException):
                one.commit_together([late])
        assert two.pointers() == before
        assert set(two.load_table(FRAMES_TABLE).metadata.refs) == {"main", "early"}

    def test_a_commit_whose_answer_was_lost_is_not_known_to_have_happened(self, setting: Setting) -> None:
        publisher = setting.open()
        change = frames(publisher, 1)
        setting.lose_answer()
        with pytest.raises(CommitFailedException):
            publisher.commit_together([change])
        assert stamps(setting.open(), FRAMES_TABLE) == [1]

    def test_a_publication_whose_answer_was_lost_is_found_by_the_next_attempt(self, setting: Setting) -> None:
        lake = FenceLake(setting.folder, setting.open)
        batch = lake.batch("r1", 1, (10, 20))
        setting.lose_answer()
        found = publish(setting.open(), batch)
        assert found.outcome is PublishOutcome.PUBLISHED
        assert [row.scenes_snapshot_id for row in lake.drives()] == [found.row.scenes_snapshot_id]
        assert lake.rows() == held("r1", (10, 20))

    @pytest.mark.parametrize("kind", ["rows", "property", "tag", "expiry"])
    def test_any_commit_whose_answer_was_lost_is_found_by_the_next_attempt(self, setting: Setting, kind: str) -> None:
        publisher, attempts = setting.open(), 0
        for stamp_ns in (1, 2):
            publisher.commit_together([frames(publisher, stamp_ns)])

        def attempt() -> tuple[list[Transaction], int]:
            nonlocal attempts
            attempts += 1
            return [STAGED[kind](setting.open())], attempts

        setting.lose_answer()
        assert (commit(publisher, attempt), attempts) == (1, 1)
        table = setting.open().load_table(FRAMES_TABLE)
        assert stamps(setting.open(), FRAMES_TABLE) == ([1, 2, 3] if kind == "rows" else [1, 2])
        assert ("early" in table.metadata.refs) is (kind == "tag")
        assert ("noted" in table.properties) is (kind == "property")

    def test_a_catalog_that_fails_midway_has_moved_nothing(self, setting: Setting) -> None:
        lake, publisher = FenceLake(setting.folder, setting.open), setting.open()
        changes, before = [frames(publisher, 1), records(publisher, 1)], publisher.pointers()
        setting.fail_midway()
        with pytest.raises(CommitFailedException):
            publisher.commit_together(changes)
        assert setting.open().pointers() == before
        setting.fail_midway()
        assert publish(setting.open(), lake.batch("r1", 1, (10, 20))).outcome is PublishOutcome.PUBLISHED
        assert (lake.rows(), len(lake.drives())) == (held("r1", (10, 20)), 1)

    def test_two_publishers_of_one_drive_and_a_neighbour_end_as_one_clean_run(self, setting: Setting) -> None:
        lake, neighbour = FenceLake(setting.folder, setting.open), DriveId("car-1", "a-neighbour")
        batches = [lake.batch("r1", 1, (10, 20)), lake.batch("r1", 1, (10, 20)), lake.batch("n1", 1, (10,), neighbour)]
        outcomes: list[PublishOutcome] = []
        threads = [threading.Thread(target=lambda b=one: outcomes.append(publish(setting.open(), b).outcome)) for one in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert sorted(outcomes) == [PublishOutcome.ALREADY, PublishOutcome.PUBLISHED, PublishOutcome.PUBLISHED]
        assert lake.rows() == held("r1", (10, 20))
        assert lake.rows(neighbour) == held("n1", (10,))
        assert len(publications(setting.open().load_table("gold.drives"))) == 2

    def test_a_table_that_is_gone_fails_the_commit_and_moves_no_other(self, setting: Setting) -> None:
        lake, publisher = FenceLake(setting.folder, setting.open), setting.open()
        changes: Sequence[Transaction] = [records(publisher, 1), frames(publisher, 1)]
        setting.open().drop_table(FRAMES_TABLE)
        before = setting.open().pointers()
        with pytest.raises(CommitFailedException):
            publisher.commit_together(changes)
        assert setting.open().pointers() == before
        assert stamps(setting.open(), RECORDS_TABLE) == []
        with pytest.raises(NoSuchTableError):
            publish(setting.open(), lake.batch("r1", 1, (10,)))

    def test_tables_are_made_once_and_those_of_an_older_lake_are_brought_up_to_date(self, setting: Setting) -> None:
        catalog = setting.open()
        before = catalog.pointers()
        ensure_tables(setting.open())
        assert setting.open().pointers() == before
        catalog.drop_table(RECORDS_TABLE)
        older = pa.schema([field for field in RECORDS if field.name not in ("day", "reviewer")])
        catalog.create_table(RECORDS_TABLE, older)
        ensure_tables(setting.open())
        table = setting.open().load_table(RECORDS_TABLE)
        assert set(table.schema().column_names) >= set(RECORDS.names)
        assert {field.name for field in table.spec().fields} == set(PARTITIONS[RECORDS_TABLE])
        lake = FenceLake(setting.folder, setting.open)
        publish(setting.open(), lake.batch("r1", 1, (10, 20)))
        assert lake.rows() == held("r1", (10, 20))

    def test_the_pointers_are_those_of_all_tables(self, setting: Setting) -> None:
        catalog = setting.open()
        assert set(catalog.pointers()) == set(PUBLISHED)
        assert catalog.pointers() == {name: catalog.load_table(name).metadata_location for name in PUBLISHED}

    def test_tables_are_pinned_together_and_read_again_only_when_one_has_changed(self, setting: Setting) -> None:
        lake = FenceLake(setting.folder, setting.open)
        before = pin(setting.open())
        assert pin(setting.open(), before) is before
        publish(setting.open(), lake.batch("r1", 1, (10, 20)))
        after = pin(setting.open(), before)
        assert [tables.load_table(FRAMES_TABLE).scan().count() for tables in (before, after)] == [0, 2]
        assert after.pointers == setting.open().pointers()

    def test_a_lake_without_the_tables_of_later_releases_is_not_empty(self, setting: Setting) -> None:
        publish(setting.open(), FenceLake(setting.folder, setting.open).batch("r1", 1, (10, 20)))
        for name in ("gold.recalls", "gold.compactions"):
            setting.open().drop_table(name)
        assert pin(setting.open()).load_table(FRAMES_TABLE).scan().count() == 2
        setting.open().drop_table("gold.drives")
        assert not pin(setting.open())
