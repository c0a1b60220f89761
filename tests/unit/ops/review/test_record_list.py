"""The list of records by page, against all records at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ops.review.listing as listing
from ingest.ledger.items import refused_sort_key
from ingest.ledger.records import DecisionRecord, DriveRecord, ObjectHead, RefusedRecord
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.drive_walk import drives_after, drives_with_rule, vehicles
from ops.errors import InputError
from ops.review.listing import Filter, RecordList
from tests.unit.ops import lake_builders as rows

DRIVES = [DriveId(vehicle, drive) for vehicle in ("car-1", "car-1-b", "car-2") for drive in ("d-a", "d-b", "d-c")]
REFUSED = [RefusedRecord(ObjectHead(f"stray-{number}.pkl", "v1", 3, "e", 0), "KEY001", "no key", "", 0) for number in range(3)]


class RefusedLedger:
    """A ledger without decisions."""

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return None

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        return []

    def refused(self, after: str = "") -> Iterator[RefusedRecord]:
        yield from (record for record in REFUSED if refused_sort_key(record) > after)

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        return [record for record in REFUSED if record.head.key == key]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> RecordList:
    """Each drive has as many records as its place among all; the first one none."""
    folder: Path = tmp_path_factory.mktemp("lake")
    catalog: LakeCatalog = rows.catalog_of(folder)
    for number, drive in enumerate(DRIVES):
        made = [
            rows.record(f"{number:02d}{place:062d}", ["DEC005" if place % 2 else "LID001"], drive=drive)
            for place in range(number)
        ]
        rows.fill(catalog, records=made, drive=drive)
    return RecordList(catalog, RefusedLedger())


def everything(records: RecordList, **chosen: str) -> list[str]:
    every = [row for drive in DRIVES for row in records.of_drive(drive)] + [listing.refused_row(one) for one in REFUSED]
    return [row.reference for row in every if Filter(**chosen).takes(row)]


def paged(records: RecordList, chosen: Filter, **bounds: int) -> tuple[list[str], list[int]]:
    found: list[str] = []
    sizes: list[int] = []
    page = records.page(chosen, **bounds)
    while True:
        found += [row.reference for row in page.rows]
        sizes.append(len(page.rows))
        if page.following is None:
            return found, sizes
        page = records.page(chosen, page.following, **bounds)


@settings(max_examples=12)
@given(limit=st.integers(1, 50), most_drives=st.integers(1, 10))
def test_pages_of_any_size_hold_every_record_once(records: RecordList, limit: int, most_drives: int) -> None:
    found, sizes = paged(records, Filter(), limit=limit, most_drives=most_drives)
    assert found == everything(records)
    assert max(sizes) <= limit


@pytest.mark.parametrize(
    "chosen",
    [
        {"vehicle": "car-1-b"}, {"drive": "car-2/d-c"}, {"rule": "LID001"}, {"rule": "KEY001"}, {"level": "refused"},
        {"status": "refused"}, {"level": "object"}, {"rule": "XYZ000"}, {"record": "08"}, {"drive": "car-9/none"},
    ],
)  # fmt: skip
def test_filters_select_the_same_by_page(records: RecordList, chosen: dict[str, str]) -> None:
    found, _ = paged(records, Filter(**chosen), limit=2, most_drives=2)
    assert found == everything(records, **chosen)
    assert [row.reference for row in records.every(Filter(**chosen))] == found


def test_a_page_reads_few_drives(records: RecordList, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[DriveId] = []
    real = RecordList.of_drive
    monkeypatch.setattr(RecordList, "of_drive", lambda self, drive: (read.append(drive), real(self, drive))[1])
    page = records.page(Filter(rule="XYZ000"), most_drives=3)
    assert (page.rows, page.following is not None) == ((), True)
    assert len(read) <= 4


@pytest.mark.parametrize("chosen", [{"record": "08"}, {"rule": "LID001", "vehicle": "car-2"}, {"rule": "XYZ000"}])
def test_a_record_id_or_a_rule_leads_to_its_drives(
    records: RecordList, chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[DriveId] = []
    seen: list[tuple[int, int]] = []
    real = RecordList.of_drive
    monkeypatch.setattr(RecordList, "of_drive", lambda self, drive: (read.append(drive), real(self, drive))[1])
    found = list(records.every(Filter(**chosen), lambda done, total: seen.append((done, total))))
    assert read == sorted({row.drive for row in found if row.drive is not None}), "no other drive is read"
    assert [row.reference for row in found] == everything(records, **chosen)
    assert seen[-1][0] <= seen[-1][1] and [done for done, _ in seen] == list(range(1, len(seen) + 1))


def test_a_record_is_found_by_its_reference_and_by_nothing_else(records: RecordList) -> None:
    references = everything(records)
    found = records.find([*references, "car-1/d-b/none", "car-9/none/x", "nonsense", "~refused/x/stray-0.pkl", ""])
    assert [row.reference for row in found.values() if row is not None] == references
    assert sum(row is None for row in found.values()) == 5


@pytest.mark.parametrize("place", ["", "nonsense", "Bad/drive/x", "../..", "car-1"])
def test_a_place_that_no_page_ends_at_is_refused(records: RecordList, place: str) -> None:
    with pytest.raises(InputError, match="page"):
        records.page(Filter(), place)


def test_drives_are_walked_in_order_from_any_place(records: RecordList) -> None:
    table: Any = records.catalog.load_table("gold.drives")
    assert vehicles(table) == ["car-1", "car-1-b", "car-2"]
    assert [row.drive for row in drives_after(table)] == DRIVES
    assert [row.drive for row in drives_after(table, DRIVES[4])] == DRIVES[5:]
    assert [row.drive for row in drives_after(table, vehicle_id="car-2")] == DRIVES[6:]
    assert list(drives_after(table, DRIVES[-1])) == []


def test_drives_with_records_of_a_rule_are_counted_one_by_one(records: RecordList) -> None:
    expected = {drive: number // 2 for number, drive in enumerate(DRIVES) if number // 2}
    assert dict(drives_with_rule(records.catalog, "DEC005")) == expected
    assert dict(drives_with_rule(records.catalog, "DEC005", DRIVES[3])) == {DRIVES[3]: 1}
    assert next(drives_with_rule(records.catalog, "DEC005", after=DRIVES[5]))[0] == DRIVES[6]
