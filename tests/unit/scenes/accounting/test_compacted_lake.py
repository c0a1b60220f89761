"""The audit of a lake whose files maintenance has merged: several drives in a file of frames, records or publications."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import bench.lake_audit.lake
import ops.audit.run
import ops.audit.selection
from bench.lake_audit.lake import Size, SmallLake
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.landing import DriveId
from lake.maintenance.compact import MergeOutcome, compact
from lake.maintenance.compaction_plan import plan
from lake.maintenance.manifests import merge_manifests, merge_row_files
from lake.maintenance.merge_sizes import Sizes
from lake.storage import ObjectStore
from lake.tables.drives import DRIVES_TABLE
from lake.tables.schemas import PUBLISHED
from ops.audit.run import Auditor
from scenes.accounting.tally import AuditResultDocument
from scenes.accounting.watermark import WatermarkStore
from tests.unit.scenes.accounting.lake_faults import DAY, of

A, B, C = (DriveId("car-1", f"d-{name}") for name in "abc")
LATER_NS = 3600 * 10**9
SIZES = Sizes(10**6, 4 * 10**6, 10**6)
ROWS = {"gold.frames": "frames", "quarantine.records": "records"}


@pytest.fixture
def merged(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> SmallLake:
    """Three drives of a vehicle, compacted, and one of them published again: its rows were taken out of the shared files."""
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)
    for drive in (A, B, C):
        lake.add(drive, DAY)
    compact_all(lake)
    lake.publish(B, DAY, revision="b" * 64)
    return lake


def compact_all(lake: SmallLake) -> None:
    catalog = lake.catalog()
    done = [compact(catalog, job, SIZES) for job in plan(catalog, SIZES).jobs]
    assert {one.outcome for one in done} == {MergeOutcome.COMPACTED}, [one.reason for one in done]
    merge_row_files(catalog, DRIVES_TABLE, 2)
    for name in PUBLISHED:
        merge_manifests(catalog, name)


def audited(lake: SmallLake) -> AuditResultDocument:
    return Auditor(lake.sources, lake.ledger, None, "test").everything().result


def failed(result: AuditResultDocument) -> set[tuple[str, str]]:
    return {(failure.name.split(" = ")[0], failure.scope.partition("@")[0]) for failure in result.failures}


def shared_file(lake: SmallLake, name: str) -> Path:
    """The file of a table that A and C share, as the publication of B has left it."""
    table = lake.catalog().load_table(name)
    (both,) = {
        tuple(task.file.file_path for task in table.scan(row_filter=of(drive)).plan_files() if task.file.record_count > 1)
        for drive in (A, C)
    }
    (path,) = both
    return Path(path.removeprefix("file://"))


def test_files_that_no_publication_names_are_no_fault(merged: SmallLake) -> None:
    assert shared_file(merged, "gold.frames") and shared_file(merged, "gold.drives")
    found = audited(merged)
    assert (found.failures, found.drives) == ((), 3)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_a_merged_file_lost_are_missed(merged: SmallLake, name: str) -> None:
    merged.catalog().load_table(name).delete(of(A))
    found = failed(audited(merged))
    assert ("rows of the last publication", str(A)) in found
    assert {scope for _, scope in found} == {str(A)}


@pytest.mark.parametrize("name", ["gold.frames", "gold.drives"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_shared_file_that_cannot_be_read_is_a_failed_check(merged: SmallLake, name: str, damage: str) -> None:
    path = shared_file(merged, name)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = audited(merged)
    found = failed(result)
    assert ("files of several drives", "the lake") in found
    assert {("tables of rows", str(drive)) for drive in (A, C)} <= found
    assert result.drives == 3 and not result.can_be_signed
    named = next(failure.detail for failure in result.failures if failure.scope == "the lake")
    assert path.name in named


def test_records_of_an_older_lake_which_name_no_day_are_found(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bench.lake_audit.lake._record
    with monkeypatch.context() as older:
        older.setattr(bench.lake_audit.lake, "_record", lambda *given: real(*given) | {"day": None})
        lake.add(A, DAY)
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)
    lake.add(B, DAY)
    assert audited(lake).failures == ()


def watching(lake: SmallLake) -> Auditor:
    return Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", "a secret of auditors"), "test")


def test_what_was_signed_off_and_then_merged_is_not_looked_at_again(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)
    monkeypatch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
    for drive in (A, B, C):
        lake.add(drive, DAY)
    assert watching(lake).changed().signed is not None
    compact_all(lake)
    merged = watching(lake).changed()
    assert (merged.result.drives, merged.result.failures) == (0, ()) and merged.signed is not None

    lake.commit(B, "b" * 64, 9, DAY, Size())  # behind the ledger's back
    compact_all(lake)
    found = watching(lake).changed()
    assert ("drives published in the ledger", str(B)) in failed(found.result), "it was published and merged since"


def test_a_merge_that_loses_rows_is_looked_at(merged: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
    assert watching(merged).changed().signed is not None
    catalog = merged.catalog()
    table = catalog.load_table("gold.frames")
    path = shared_file(merged, "gold.frames")
    (file,) = (task.file for task in table.scan().plan_files() if task.file.file_path.endswith(path.name))
    rows = pq.read_table(path)
    less = path.with_name("less.parquet")
    pq.write_table(rows.slice(0, len(rows) - 1), less)
    change = begin(table)
    replace_files(change, table.io, [file], [f"file://{less}"], {}, same_rows=True)
    catalog.commit_together([change])
    found = watching(merged).changed()
    assert ("rows of the last publication", str(C)) in failed(found.result)
