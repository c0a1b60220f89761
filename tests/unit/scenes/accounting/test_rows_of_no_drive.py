"""Rows without a vehicle or a drive are in the check of no drive, and fail the audit all the same."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ops.audit.run
from bench.lake_audit.lake import SmallLake
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.storage import ObjectStore
from ops.audit.run import Auditor
from scenes.accounting.watermark import WatermarkStore
from tests.unit.scenes.accounting.conftest import in_process
from tests.unit.scenes.accounting.lake_faults import DAY, A, of

LATER_NS = 3600 * 10**9


def add_row_without(lake: SmallLake, name: str, column: str) -> str:
    """Give the drive's file of a table one row more, as a tool could that made the column optional. The bounds stay."""
    catalog = lake.catalog()
    with catalog.load_table(name).update_schema() as columns:
        columns.make_column_optional(column)
    table = catalog.load_table(name)
    (task,) = table.scan(row_filter=of(A)).plan_files()
    old = Path(task.file.file_path.removeprefix("file://"))
    rows = pq.read_table(old)
    lax = pa.schema([field.with_nullable(True) if field.name == column else field for field in rows.schema])
    strange = pa.Table.from_pylist([{**rows.slice(0, 1).to_pylist()[0], column: None}], schema=lax)
    new = old.with_name(f"strange-{column}.parquet")
    pq.write_table(pa.concat_tables([rows.cast(lax), strange]), new)
    change = begin(table)
    replace_files(change, table.io, [task.file], [f"file://{new}"], {})
    catalog.commit_together([change])
    return str(new)


@pytest.mark.parametrize(
    ("name", "column"),
    [("gold.scenes", "drive_id"), ("gold.frames", "vehicle_id"), ("gold.frames", "drive_id"), ("gold.drives", "drive_id")],
)
def test_they_fail_the_audit_of_everything_and_of_what_changed(
    tmp_path: Path, name: str, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_process(monkeypatch, tmp_path) as lake:
        lake.add(A, DAY)
        monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)
        monkeypatch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
        auditor = Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", "a secret of auditors"), "test")
        assert auditor.everything().result.balanced
        path = add_row_without(lake, name, column)
        for done in (auditor.changed(), auditor.everything()):
            (failure,) = [one for one in done.result.failures if one.scope == "the lake"]
            assert path in failure.detail
            assert "ids that no drive can have" in failure.detail
            assert not done.result.balanced
            assert done.signed is None
