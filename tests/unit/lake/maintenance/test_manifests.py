"""Maintenance keeps the cost of a publication and a plan as it was on the first day, and changes no row."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction

from lake.errors import MaintenanceError
from lake.iceberg import manifest_clusters
from lake.iceberg.internals import _Transaction, begin
from lake.iceberg.replace_files import replace_files
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.maintenance.manifests import FULL_ROWS, Merged, merge_manifests, merge_row_files
from lake.tables.drives import DRIVES_TABLE, newest, publications
from lake.tables.publish import PublishOutcome, publish
from lake.tables.schemas import PUBLISHED
from tests.unit.lake.iceberg.counting_io import CountingIO
from tests.unit.lake.tables import fence_lake
from tests.unit.lake.tables.fence_lake import FenceLake, held

VEHICLES, A_DAY = 3, 6  # vehicles, and drives a day
FIRST_DAY = datetime.date(2024, 5, 1)


def counting(folder: Path) -> LakeCatalog:
    properties = {"py-io-impl": f"{CountingIO.__module__}.{CountingIO.__qualname__}"}
    return LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse", **properties)


def drive(number: int) -> DriveId:
    return DriveId(f"car-{number % VEHICLES}", f"drive-{number:04d}")


def day_of(number: int) -> datetime.date:
    return FIRST_DAY + datetime.timedelta(days=number // A_DAY)


def content(lake: FenceLake) -> dict[str, list[str]]:
    """Every row of every table, whatever file it is in."""
    return {name: sorted(map(repr, lake.catalog().load_table(name).scan().to_arrow().to_pylist())) for name in PUBLISHED}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FenceLake:
    """Small manifests are full, so that a few days have several."""
    for name, value in {"FEW_ENTRIES": 4, "MOST_MANIFESTS": 2, "MOST_ENTRIES": 10}.items():
        monkeypatch.setattr(manifest_clusters, name, value)
    return FenceLake(tmp_path, lambda: counting(tmp_path))


def put(lake: FenceLake, numbers: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in numbers:
        monkeypatch.setattr(fence_lake, "DAY", day_of(number))
        assert publish(lake.catalog(), lake.batch(f"r{number}", 1, (10,), drive(number))).outcome is PublishOutcome.PUBLISHED


def maintain(lake: FenceLake) -> None:
    lake.expire()
    merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2)
    for name in PUBLISHED:
        merge_manifests(lake.catalog(), name)
    lake.expire()


def test_the_cost_of_a_publication_does_not_grow_with_the_age_of_the_lake(
    lake: FenceLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, written = list[int](), list[int]()
    for day in range(9):
        CountingIO.start()
        put(lake, range(day * A_DAY, (day + 1) * A_DAY), monkeypatch)
        opened.append(CountingIO.manifests())
        written.append(CountingIO.metadata_bytes())
        maintain(lake)
    assert opened[8] <= opened[2]
    assert written[8] <= 1.1 * written[2]
    table = lake.catalog().load_table("gold.drives")
    assert len(list(table.scan().plan_files())) == VEHICLES


def test_a_look_for_a_drive_opens_the_manifests_of_its_days(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(6):
        put(lake, range(day * A_DAY, (day + 1) * A_DAY), monkeypatch)
        maintain(lake)
    row = newest(lake.catalog().load_table("gold.drives"), drive(7))
    assert row is not None
    assert row.days == (day_of(7),)
    CountingIO.start()
    monkeypatch.setattr(fence_lake, "DAY", day_of(7))
    publish(lake.catalog(), lake.batch("new", 2, (20,), drive(7)))
    assert CountingIO.manifests() <= 2 * len(PUBLISHED)
    assert lake.rows(drive(7)) == held("new", (20,))


def test_merging_changes_no_row_no_file_and_when_repeated_nothing(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, range(14), monkeypatch)
    before = content(lake)
    table = lake.catalog().load_table("gold.scenes")
    files = {task.file.file_path: task.file.lower_bounds for task in table.scan().plan_files()}
    found = merge_manifests(lake.catalog(), "gold.scenes")
    assert found.before > found.after == 2
    assert content(lake) == before
    after = lake.catalog().load_table("gold.scenes")
    assert {task.file.file_path: task.file.lower_bounds for task in after.scan().plan_files()} == files
    current = after.current_snapshot()
    assert current is not None
    assert current.summary is not None
    assert current.summary.operation.value == "replace"
    counts = [(manifest.existing_files_count, manifest.added_files_count) for manifest in current.manifests(after.io)]
    assert counts == [(7, 0), (7, 0)]
    days = [(manifest.partitions or [])[0] for manifest in current.manifests(after.io)]
    assert (days[0].upper_bound or b"") <= (days[1].lower_bound or b"")  # in the order of days
    assert merge_manifests(lake.catalog(), "gold.scenes") == Merged(2, 2)
    assert lake.catalog().load_table("gold.scenes").metadata_location == after.metadata_location


def test_merging_keeps_one_batch_of_entries_in_memory(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, range(8), monkeypatch)
    monkeypatch.setattr("lake.iceberg.manifest_clusters._IN_MEMORY", 2)
    table = lake.catalog().load_table("gold.scenes")
    change = begin(table)
    replace_files(change, table.io, (), (), {}, same_rows=True, merge=True)
    assert isinstance(change, _Transaction)
    assert change.entries == {}


def test_rows_of_drives_are_the_same_in_fewer_files(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, range(9), monkeypatch)
    monkeypatch.setattr(fence_lake, "DAY", day_of(4))
    publish(lake.catalog(), lake.batch("second", 2, (20,), drive(4)))
    before = content(lake)
    assert merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2) == Merged(10, VEHICLES)
    assert content(lake) == before
    assert merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2) == Merged(VEHICLES, VEHICLES)
    assert [row.revision for row in publications(lake.catalog().load_table("gold.drives"), drive(4))] == ["r4", "second"]
    assert publish(lake.catalog(), lake.batch("second", 2, (20,), drive(4))).outcome is PublishOutcome.ALREADY


def test_columns_that_this_version_does_not_know_are_kept(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, (0, VEHICLES), monkeypatch)
    catalog = lake.catalog()
    table = catalog.load_table("gold.drives")
    (file,) = (task.file for task in table.scan(row_filter="drive_id == 'drive-0000'").plan_files())
    with table.update_schema() as schema:
        from pyiceberg.types import StringType

        schema.add_column("later", StringType())
    rows = pq.read_table(file.file_path.removeprefix("file://"))
    path = lake.folder / "later.parquet"
    pq.write_table(rows.append_column("later", pa.array(["kept"])), path)
    table = catalog.load_table("gold.drives")
    change = begin(table)
    replace_files(change, table.io, [file], [f"file://{path}"], {}, same_rows=True)
    catalog.commit_together([change])
    before = content(lake)
    merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2)
    assert content(lake) == before
    assert sorted(lake.catalog().load_table("gold.drives").scan().to_arrow()["later"].to_pylist(), key=str) == [None, "kept"]


def test_full_files_of_drives_are_left_alone(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FULL_ROWS > A_DAY
    monkeypatch.setattr("lake.maintenance.manifests.FULL_ROWS", 2)
    put(lake, range(2 * VEHICLES), monkeypatch)
    assert merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2) == Merged(6, 3)
    put(lake, range(2 * VEHICLES, 3 * VEHICLES), monkeypatch)
    assert merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2) == Merged(6, 6)


class Overtaken(LakeCatalog):
    """Another commit always comes first."""

    attempts = 0

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        self.attempts += 1
        raise CommitFailedException("gold.scenes was changed by another commit")


def test_maintenance_that_always_loses_gives_up_and_changes_nothing(lake: FenceLake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, range(VEHICLES * 2), monkeypatch)
    before = lake.catalog().pointers()
    monkeypatch.setattr("lake.iceberg.attempts.time.sleep", lambda _: None)
    catalog = Overtaken("unit", **lake.catalog().properties)
    for run in (lambda: merge_manifests(catalog, "gold.scenes"), lambda: merge_row_files(catalog, DRIVES_TABLE, least_files=2)):
        catalog.attempts = 0
        with pytest.raises(MaintenanceError, match="12 commits lost the race") as raised:
            run()
        assert raised.value.hint == "run it again"
        assert catalog.attempts > 1
    assert lake.catalog().pointers() == before
