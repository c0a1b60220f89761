"""What publications leave small is merged, a dry run says how much, and a second run has nothing to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import PyArrowFile

from lake.errors import MaintenanceError
from lake.landing import DriveId
from lake.maintenance.manifests import LEAST_FILES
from lake.maintenance.metadata import merge_metadata
from lake.tables.creation import ensure_tables
from lake.tables.names import DATA_TABLES
from lake.tables.publish import publish
from lake.tables.schemas import RECORDS
from lake.versions.recalls import EXCLUDE, RecallRow, exclude, recall_rows
from tests.unit.lake.tables import fence_lake
from tests.unit.lake.tables.fence_lake import DAY, FenceLake, held, record

TABLE = "quarantine.records"


def test_a_dry_run_says_what_the_real_one_merges_and_then_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = FenceLake(tmp_path)
    for number in range(LEAST_FILES):
        monkeypatch.setattr(fence_lake, "DAY", DAY.replace(day=number + 1))  # a partition, and so a manifest, of its own
        publish(lake.catalog(), lake.batch("r1", 1, (10,), DriveId("car-1", f"drive-{number}")))
    before = lake.catalog().pointers()
    planned = merge_metadata(lake.catalog(), apply=False)
    assert lake.catalog().pointers() == before
    assert planned["row files of gold.drives"] == planned["manifests of gold.scenes"] == LEAST_FILES
    assert merge_metadata(lake.catalog(), apply=True) == planned
    after = lake.catalog().pointers()
    assert set(merge_metadata(lake.catalog(), apply=True).values()) == {0}
    assert lake.catalog().pointers() == after
    assert lake.rows(DriveId("car-1", "drive-3")) == held("r1", (10,))


def test_row_files_of_recalls_are_merged_and_every_row_stays(tmp_path: Path) -> None:
    lake, table = FenceLake(tmp_path), "gold.recalls"
    for number in range(LEAST_FILES):
        of = {"vehicle_id": "car-1", "drive_id": "d", "criteria": "{}", "reason": "loose mount", "person": "ada"}
        exclude(lake.catalog(), [RecallRow(recall_id=f"recall-{number}", kind=EXCLUDE, recorded_ns=LEAST_FILES - number, **of)])
    before = recall_rows(lake.catalog())
    assert merge_metadata(lake.catalog(), apply=False)[f"row files of {table}"] == len(before) == LEAST_FILES
    merge_metadata(lake.catalog(), apply=True)
    assert recall_rows(lake.catalog()) == before
    assert len(list(lake.catalog().load_table(table).scan().plan_files())) == 1
    assert merge_metadata(lake.catalog(), apply=True)[f"row files of {table}"] == 0


def test_a_lake_without_the_tables_of_later_versions_is_merged_too(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    for name in ("gold.recalls", "gold.compactions"):
        lake.catalog().drop_table(name)
    assert set(merge_metadata(lake.catalog(), apply=True)) == {
        "row files of gold.drives",
        *(f"manifests of {name}" for name in (*DATA_TABLES, "gold.drives")),
    }


def test_small_manifests_of_two_partitionings_are_not_written_anew_each_day(tmp_path: Path) -> None:
    """They cannot be merged, however small they are."""
    lake = FenceLake(tmp_path)
    lake.catalog().drop_table(TABLE)
    older = pa.schema([field for field in RECORDS if field.name != "day"])
    table = lake.catalog().create_table(TABLE, older)
    with table.update_spec() as spec:
        spec.add_identity("vehicle_id")
    row = {name: value for name, value in record(DriveId("car-1", "older"), "r0", 1).items() if name != "day"}
    lake.catalog().load_table(TABLE).add_files([lake.put([row], older)])
    ensure_tables(lake.catalog())
    publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    current = lake.catalog().load_table(TABLE).current_snapshot()
    assert current is not None
    assert len({one.partition_spec_id for one in current.manifests(lake.catalog().load_table(TABLE).io)}) == 2
    before = lake.catalog().pointers()
    assert merge_metadata(lake.catalog(), apply=True)[f"manifests of {TABLE}"] == 0
    assert lake.catalog().pointers() == before
    assert lake.rows() == held("r1", (10,))


def test_a_disk_that_is_full_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = FenceLake(tmp_path)
    for number in range(LEAST_FILES):
        publish(lake.catalog(), lake.batch("r1", 1, (10,), DriveId("car-1", f"drive-{number}")))
    before = lake.catalog().pointers()

    def full(self: PyArrowFile, overwrite: bool = False) -> None:
        raise OSError("AWS Error SLOW_DOWN: please reduce your request rate")

    with monkeypatch.context() as patch:
        patch.setattr(PyArrowFile, "create", full)
        with pytest.raises(MaintenanceError, match=r"row files of gold\.drives: .* failed: AWS Error") as raised:
            merge_metadata(lake.catalog(), apply=True)
    assert raised.value.hint == "run it again"
    assert lake.catalog().pointers() == before
