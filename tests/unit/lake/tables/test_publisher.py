"""What an adapter of `Publisher` has to do; one factory for each adapter, the same tests for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction

from lake.tables.catalog import LakeCatalog, ensure_tables
from lake.tables.iceberg_internals import begin
from lake.tables.publish import Publication, PublishOutcome, publish
from lake.tables.publisher import Publisher
from lake.tables.schemas import FRAMES, PUBLISHED, RECORDS
from lake.tables.staged import staged
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, frame, held, record

Open = Callable[[], Publisher]
FRAMES_TABLE, RECORDS_TABLE = "gold.frames", "quarantine.records"


def sql(folder: Path) -> Open:
    def opened() -> Publisher:
        return LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")

    first = opened()
    assert isinstance(first, LakeCatalog)
    ensure_tables(first)
    return opened


@pytest.fixture(params=[sql])
def open_publisher(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    made: Open = request.param(tmp_path)
    return made


def frames(publisher: Publisher, stamp_ns: int) -> Transaction:
    change = begin(publisher.load_table(FRAMES_TABLE))
    change.append(pa.Table.from_pylist([frame(DRIVE, "r1", stamp_ns)], schema=FRAMES))
    return change


def records(publisher: Publisher, stamp_ns: int) -> Transaction:
    change = begin(publisher.load_table(RECORDS_TABLE))
    change.append(pa.Table.from_pylist([record(DRIVE, "r1", stamp_ns)], schema=RECORDS))
    return change


def stamps(publisher: Publisher, table: str) -> list[int]:
    found: list[int] = publisher.load_table(table).scan(selected_fields=("stamp_ns",)).to_arrow()["stamp_ns"].to_pylist()
    return sorted(found)


def state(publisher: Publisher) -> dict[str, str]:
    return {name: publisher.load_table(name).metadata_location for name in PUBLISHED}


def test_all_tables_change_and_their_snapshots_are_those_that_were_staged(open_publisher: Open) -> None:
    publisher = open_publisher()
    changes = {FRAMES_TABLE: frames(publisher, 1), RECORDS_TABLE: records(publisher, 1)}
    expected = {name: staged(change, ()) for name, change in changes.items()}
    publisher.commit_together(list(changes.values()))
    for name, found in expected.items():
        current = open_publisher().load_table(name).current_snapshot()
        assert current is not None
        assert (current.snapshot_id, current.timestamp_ms) == (found.snapshot_id, found.timestamp_ms)
        assert stamps(open_publisher(), name) == [1]


def test_nothing_changes_if_one_table_was_changed_meanwhile(open_publisher: Open) -> None:
    slow, fast = open_publisher(), open_publisher()
    late = [frames(slow, 2), records(slow, 2)]
    fast.commit_together([records(fast, 1)])
    before = state(fast)
    with pytest.raises(CommitFailedException):
        slow.commit_together(late)
    assert state(fast) == before
    assert (stamps(fast, FRAMES_TABLE), stamps(fast, RECORDS_TABLE)) == ([], [1])


def test_a_change_that_would_not_conflict_is_refused_all_the_same(open_publisher: Open) -> None:
    slow, fast = open_publisher(), open_publisher()
    late = records(slow, 2)
    with fast.load_table(RECORDS_TABLE).transaction() as other:
        other.set_properties({"note": "not even a row"})
    with pytest.raises(CommitFailedException):
        slow.commit_together([late])
    assert stamps(fast, RECORDS_TABLE) == []


def test_commits_of_different_tables_do_not_disturb_each_other(open_publisher: Open) -> None:
    one, two = open_publisher(), open_publisher()
    first, second = frames(one, 1), records(two, 1)
    two.commit_together([second])
    one.commit_together([first])
    assert (stamps(one, FRAMES_TABLE), stamps(one, RECORDS_TABLE)) == ([1], [1])


def test_a_delete_and_an_append_of_one_table_become_visible_together(open_publisher: Open) -> None:
    publisher = open_publisher()
    publisher.commit_together([frames(publisher, 1)])
    change = begin(publisher.load_table(FRAMES_TABLE))
    change.delete("drive_id == '" + DRIVE.drive_id + "'")
    change.append(pa.Table.from_pylist([frame(DRIVE, "r2", 2)], schema=FRAMES))
    assert stamps(open_publisher(), FRAMES_TABLE) == [1]
    publisher.commit_together([change])
    assert stamps(open_publisher(), FRAMES_TABLE) == [2]


class Unanswered:
    """A publisher whose first commit succeeds, but whose answer is lost."""

    def __init__(self, inner: Publisher) -> None:
        self._inner = inner
        self.lost = 0
        self.load_table = inner.load_table

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        self._inner.commit_together(transactions)
        if not self.lost:
            self.lost += 1
            raise CommitFailedException("the catalog did not answer")


def test_a_commit_whose_answer_was_lost_is_found_by_the_next_attempt(open_publisher: Open, tmp_path: Path) -> None:
    lake, publisher = FenceLake(tmp_path), Unanswered(open_publisher())
    found: Publication = publish(publisher, lake.batch("r1", 1, (10, 20)))
    assert (publisher.lost, found.outcome) == (1, PublishOutcome.ALREADY)
    assert lake.rows() == held("r1", (10, 20))
    assert len(lake.drives()) == 1
