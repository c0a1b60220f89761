"""Pages of publications hold what sorting all of them would, and reading one does not read the others."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.errors import VersionError
from lake.iceberg.internals import begin
from lake.iceberg.manifest_clusters import MOST_MANIFESTS
from lake.landing import DriveId
from lake.maintenance.expire import ExpirePolicy, expire
from lake.maintenance.manifests import merge_row_files
from lake.tables.drives import DRIVES_TABLE, add_rows, publications
from lake.tables.rows import DriveRow
from lake.versions import publication_pages as module
from lake.versions.publication_pages import Cursor, PageFilter, publication_page
from tests.unit.lake.versions.version_lake import DRIVE, OTHER, VersionLake

S = 10**9
DAY_S = 86400


def row(number: int, vehicle: str, **more: object) -> DriveRow:
    values: dict[str, object] = {
        "vehicle_id": vehicle,
        "drive_id": f"drive-{number}",
        "revision": "r",
        "generation": 1,
        "committed_ns": (1_000_000 + number) * S,
        "scenes": number,
        "scenes_snapshot_id": number,
        "first_anchor_ns": number * S,
        "last_anchor_ns": number * S + 1,
        "days": (datetime.date(1970, 1, 1) + datetime.timedelta(days=number * S // (DAY_S * S)),),
        **more,
    }
    return DriveRow(**values)  # type: ignore[arg-type]


def commit(lake: VersionLake, *rows: DriveRow) -> None:
    catalog = lake.catalog()
    table = catalog.load_table(DRIVES_TABLE)
    change = begin(table)
    add_rows(change, table, rows, {})
    catalog.commit_together([change])


def listed(page: module.Page) -> list[int]:
    return [one.row.scenes for one in page.publications]


def load(lake: VersionLake):  # type: ignore[no-untyped-def]
    return lake.catalog().load_table(DRIVES_TABLE)


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> VersionLake:
    """40 publications of three vehicles, one a commit, so that manifests have been merged."""
    lake = VersionLake(tmp_path_factory.mktemp("lake"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lake.iceberg.manifest_clusters.FEW_ENTRIES", 3)  # or each vehicle has one manifest
        for number in range(40):
            commit(lake, row(number, f"car-{number % 3}", committed_ns=time.time_ns()))
    expire(lake.catalog(), ExpirePolicy(0, 10), apply=True)
    return lake


def test_pages_follow_each_other_down_and_up_and_miss_nothing(forty: VersionLake) -> None:
    table, before, down = load(forty), None, []
    pages = []
    while True:
        page = publication_page(table, 7, before=before)
        pages.append(page)
        down += listed(page)
        if page.before is None:
            break
        before = page.before
    assert down == list(range(39, -1, -1))
    up = publication_page(table, 7, after=pages[3].publications[0].cursor)
    assert listed(up) == listed(pages[2])
    assert listed(publication_page(table, 7, after=pages[0].publications[0].cursor)) == []


def test_the_newest_page_opens_the_newest_manifests_only(forty: VersionLake, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.manifest import ManifestFile

    monkeypatch.setattr(module, "SKEW_NS", 0)
    table, opened, read = load(forty), [], []
    plain_fetch, plain_read = ManifestFile.fetch_manifest_entry, module.read_rows
    monkeypatch.setattr(
        ManifestFile, "fetch_manifest_entry", lambda self, io, **more: opened.append(1) or plain_fetch(self, io, **more)
    )
    monkeypatch.setattr(module, "read_rows", lambda io, uri: read.append(uri) or plain_read(io, uri))
    assert listed(publication_page(table, 3)) == [39, 38, 37]
    manifests = len(table.current_snapshot().manifests(table.io))
    assert len(opened) <= 5 < manifests <= 3 * MOST_MANIFESTS
    assert len(read) <= 5


def test_a_vehicle_has_pages_of_its_own(forty: VersionLake) -> None:
    page = publication_page(load(forty), 5, PageFilter(vehicle="car-1"))
    assert listed(page) == [37, 34, 31, 28, 25]
    assert listed(publication_page(load(forty), 5, PageFilter(vehicle="car-1"), before=page.before)) == [22, 19, 16, 13, 10]
    assert listed(publication_page(load(forty), 5, PageFilter(vehicle="car-9"))) == []


def test_since_and_day_are_kept_to(tmp_path: Path) -> None:
    lake = VersionLake(tmp_path)
    for number in (0, DAY_S - 1, DAY_S, 3 * DAY_S):
        commit(lake, row(number, "car-1"))
    commit(lake, row(DAY_S + 5, "car-2", days=None))
    commit(lake, row(1, "car-2", first_anchor_ns=None, last_anchor_ns=None, days=(datetime.date(1970, 1, 2),)))
    second = PageFilter(day=datetime.date(1970, 1, 2))
    assert listed(publication_page(load(lake), 9, second)) == [DAY_S + 5, DAY_S, 1]
    since = PageFilter(since_ns=(1_000_000 + DAY_S) * S)
    assert listed(publication_page(load(lake), 9, since)) == [3 * DAY_S, DAY_S + 5, DAY_S]


def test_rows_of_one_commit_are_ordered_and_paged_too(tmp_path: Path) -> None:
    lake = VersionLake(tmp_path)
    commit(lake, *(row(number, f"car-{number % 2}") for number in range(6)))
    commit(lake, row(9, "car-0"))
    page = publication_page(load(lake), 4)
    assert listed(page) == [9, 5, 4, 3]
    assert listed(publication_page(load(lake), 4, before=page.before)) == [2, 1, 0]
    assert listed(publication_page(load(lake), 2, after=page.publications[-1].cursor)) == [5, 4]


def test_the_snapshot_between_a_delete_and_an_append_is_not_listed(tmp_path: Path) -> None:
    lake = VersionLake(tmp_path)
    lake.publish("r1", 1, (10,))
    rows = [lake.publish("r2", 2, (20,))]
    lake.catalog().load_table("gold.scenes").delete(f"drive_id == '{DRIVE.drive_id}'")
    rows.append(lake.publish("r3", 3, (30,)))
    page = publication_page(load(lake), 9)
    assert [one.row.generation for one in page.publications] == [3, 2, 1]
    assert {one.row.scenes_snapshot_id for one in page.publications} >= {one.scenes_snapshot_id for one in rows}
    assert len(lake.catalog().load_table("gold.scenes").snapshots()) > 3


def test_an_empty_table_has_an_empty_page(tmp_path: Path) -> None:
    page = publication_page(load(VersionLake(tmp_path)), 5)
    assert (page.publications, page.before) == ((), None)


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "1.x", "1.-3", "-1.2", "١.2", "9" * 30 + ".1"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(VersionError, match="is not a cursor"):
        Cursor.parse(text)


@given(st.tuples(*[st.integers(0, 2**62)] * 2))
def test_a_cursor_survives_being_printed(parts: tuple[int, int]) -> None:
    assert Cursor.parse(str(Cursor(*parts))) == Cursor(*parts)


def test_a_page_has_room_and_one_direction(tmp_path: Path) -> None:
    table = load(VersionLake(tmp_path))
    with pytest.raises(VersionError):
        publication_page(table, 0)
    with pytest.raises(VersionError):
        publication_page(table, 1, before=Cursor(1, 1), after=Cursor(1, 1))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    commits=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=3), min_size=1, max_size=6),
    limit=st.integers(1, 5),
    vehicle=st.sampled_from([None, "car-0", "car-2"]),
    merged=st.booleans(),
)
def test_any_lake_is_listed_as_sorting_all_of_its_rows_would(
    commits: list[list[tuple[int, int]]], limit: int, vehicle: str | None, merged: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake, number, expected = VersionLake(tmp_path_factory.mktemp("lake")), 0, []
    for part in commits:
        rows = []
        for vehicle_number, committed in part:
            number += 1
            rows.append(row(number, f"car-{vehicle_number}", committed_ns=committed))
        commit(lake, *rows)
        expected += [one for one in rows if vehicle in (None, one.vehicle_id)]
    if merged:
        merge_files(lake)
    found, before, pages = [], None, []
    while True:
        page = publication_page(load(lake), limit, PageFilter(vehicle=vehicle), before=before)
        pages.append(listed(page))
        found += listed(page)
        before = page.before
        if before is None:
            break
    assert found == [one.scenes for one in sorted(expected, key=Cursor.of, reverse=True)]
    if len(pages) > 1:
        first = publication_page(load(lake), limit, PageFilter(vehicle=vehicle), before=Cursor(2**62, 0))
        last = publication_page(load(lake), len(found), PageFilter(vehicle=vehicle)).publications[-1].cursor
        up = publication_page(load(lake), limit, PageFilter(vehicle=vehicle), after=last)
        assert listed(first) == pages[0]
        assert listed(up) == found[:-1][-limit:]


def merge_files(lake: VersionLake) -> None:
    """The rows of each vehicle in one file, as maintenance of `gold.drives` leaves them."""
    merge_row_files(lake.catalog(), DRIVES_TABLE, least_files=2)


def test_it_lists_what_publications_lists(tmp_path: Path) -> None:
    lake = VersionLake(tmp_path)
    for generation in (1, 2):
        lake.publish(f"r{generation}", generation, (10,), DRIVE)
        lake.publish(f"r{generation}", generation, (10,), OTHER)
    page = publication_page(load(lake), 99)
    assert sorted((one.row for one in page.publications), key=lambda one: (one.committed_ns, str(one.drive))) == list(
        publications(load(lake))
    )
    assert DriveId(*str(DRIVE).split("/")) == DRIVE
