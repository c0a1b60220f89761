"""Which days daily maintenance looks at: those of the drives that were published lately, whenever they were recorded."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from lake.iceberg.internals import begin
from lake.landing import DriveId
from lake.maintenance import recent_days as module
from lake.maintenance.recent_days import recent_days
from lake.tables.drives import DRIVES_TABLE, add_rows
from lake.tables.rows import DriveRow
from tests.unit.lake.tables.fence_lake import FenceLake

FIRST = date(2024, 5, 1)
S = 10**9


def row(number: int, days: tuple[date, ...] | None) -> DriveRow:
    """Committed in second `number`."""
    made = DriveRow(
        vehicle_id="car-1",
        drive_id=f"drive-{number}",
        revision="r",
        generation=1,
        committed_ns=number * S,
        scenes=0,
        scenes_snapshot_id=1,
    )
    return msgspec.structs.replace(made, days=days)


def add(lake: FenceLake, rows: list[DriveRow]) -> None:
    table = lake.catalog().load_table(DRIVES_TABLE)
    change = begin(table)
    add_rows(change, table, rows, {})
    lake.catalog().commit_together([change])


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_they_are_the_days_of_all_publications_since_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(module, "PAGE", page)
    lake = FenceLake(tmp_path)
    assert recent_days(lake.catalog(), 0) == ()
    late = FIRST - timedelta(days=300)  # an upload that was late: what counts is the commit
    add(lake, [row(1, (FIRST,)), row(2, (late,)), row(3, (FIRST, FIRST + timedelta(days=1))), row(4, ())])
    assert recent_days(lake.catalog(), 0) == (late, FIRST, FIRST + timedelta(days=1))
    assert recent_days(lake.catalog(), 2 * S) == (late, FIRST, FIRST + timedelta(days=1))
    assert recent_days(lake.catalog(), 3 * S) == (FIRST, FIRST + timedelta(days=1))
    assert recent_days(lake.catalog(), 4 * S) == ()


def test_a_publication_of_an_older_lake_counts_for_none(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    add(lake, [row(1, None), row(2, (FIRST,))])
    assert recent_days(lake.catalog(), 0) == (FIRST,)


def test_the_name_of_the_vehicle_does_not_matter(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    rows = [msgspec.structs.replace(row(n, (FIRST + timedelta(days=n),)), vehicle_id=f"car-{n}") for n in range(3)]
    add(lake, rows)
    assert rows[0].drive == DriveId("car-0", "drive-0")
    assert recent_days(lake.catalog(), 1 * S) == (FIRST + timedelta(days=1), FIRST + timedelta(days=2))
