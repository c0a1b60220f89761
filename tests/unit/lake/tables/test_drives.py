"""Finding a drive's publications costs the same however many drives there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyiceberg.manifest import ManifestFile

from lake.iceberg.internals import begin
from lake.iceberg.manifest_clusters import MOST_MANIFESTS
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.drives import DRIVES_TABLE, add_rows, newest, publications
from lake.tables.publish import publish
from lake.tables.rows import DriveRow, PublishedFile
from tests.unit.lake.tables.empty_lake import make_empty_lake
from tests.unit.lake.tables.fence_lake import FenceLake

VEHICLES = tuple(f"car-{number}" for number in range(5))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LakeCatalog]:
    opened = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    make_empty_lake(opened)
    yield opened
    opened.engine.dispose()


def row(vehicle: str, number: int, generation: int = 1) -> DriveRow:
    return DriveRow(
        vehicle_id=vehicle,
        drive_id=f"drive-{number:04d}",
        revision=f"{number:064d}",
        generation=generation,
        committed_ns=number,
        scenes=1,
        scenes_snapshot_id=number,
        files=(PublishedFile(table="gold.scenes", uri=f"s3://lake/{vehicle}/{number}.parquet", bytes=7),),
    )


def commit(catalog: LakeCatalog, *rows: DriveRow) -> None:
    table = catalog.load_table(DRIVES_TABLE)
    change = begin(table)
    add_rows(change, table, rows, {})
    catalog.commit_together([change])


def manifests(catalog: LakeCatalog) -> list[ManifestFile]:
    table = catalog.load_table(DRIVES_TABLE)
    snapshot = table.current_snapshot()
    return [] if snapshot is None else snapshot.manifests(table.io)


class Opened:
    """Counts the manifests that are opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = ManifestFile.fetch_manifest_entry

        def counted(manifest: ManifestFile, io: Any, discard_deleted: bool = True) -> Any:
            self.count += 1
            return real(manifest, io, discard_deleted)

        monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", counted)


def test_a_drive_is_found_in_the_few_manifests_of_its_vehicle(catalog: LakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    drives = 4 * MOST_MANIFESTS
    for number in range(drives):
        commit(catalog, row(VEHICLES[0], number))
        if number % 4 == 0:
            commit(catalog, row(VEHICLES[1], number))
    assert len(manifests(catalog)) <= 2 * MOST_MANIFESTS
    table, opened = catalog.load_table(DRIVES_TABLE), Opened(monkeypatch)
    for number in range(drives):
        opened.count = 0
        found = newest(table, DriveId(VEHICLES[0], f"drive-{number:04d}"))
        assert found is not None
        assert found.revision == f"{number:064d}"
        assert opened.count <= MOST_MANIFESTS
    opened.count = 0
    assert newest(table, DriveId("car-unknown", "drive-0000")) is None
    assert opened.count == 0
    assert len(publications(table)) == drives + drives // 4


def test_merged_manifests_hold_every_row_once_and_its_files(catalog: LakeCatalog) -> None:
    rows = [row(vehicle, number) for number in range(MOST_MANIFESTS + 3) for vehicle in VEHICLES]
    for one in rows:
        commit(catalog, one)
    stored = catalog.load_table(DRIVES_TABLE).scan().to_arrow().to_pylist()
    assert sorted((found["vehicle_id"], found["drive_id"], found["files"][0]["uri"]) for found in stored) == sorted(
        (one.vehicle_id, one.drive_id, one.files[0].uri) for one in rows if one.files
    )
    assert sum(manifest.added_files_count or 0 for manifest in manifests(catalog)) < len(rows)
    assert sum((one.added_files_count or 0) + (one.existing_files_count or 0) for one in manifests(catalog)) == len(rows)


def test_rows_of_several_vehicles_in_one_commit_are_found_like_any_other(catalog: LakeCatalog) -> None:
    commit(catalog, *(row(vehicle, number) for vehicle in VEHICLES for number in range(3)))
    for number in range(3, 3 + 2 * MOST_MANIFESTS):
        commit(catalog, row(VEHICLES[2], number))
    table = catalog.load_table(DRIVES_TABLE)
    for vehicle in VEHICLES:
        found = newest(table, DriveId(vehicle, "drive-0001"))
        assert found is not None
        assert found.vehicle_id == vehicle
    assert len(publications(table)) == 3 * len(VEHICLES) + 2 * MOST_MANIFESTS


def test_the_newest_publication_is_that_of_the_highest_generation_in_whatever_order_they_were_written(
    catalog: LakeCatalog,
) -> None:
    for generation in (2, 11, 3):
        commit(catalog, row(VEHICLES[0], 1, generation))
    table = catalog.load_table(DRIVES_TABLE)
    found = newest(table, DriveId(VEHICLES[0], "drive-0001"))
    assert found is not None
    assert (found.generation, found.files) == (11, None)


def test_a_drive_whose_name_is_like_another_one_is_not_taken_for_it(catalog: LakeCatalog) -> None:
    commit(catalog, row("car-1", 1), row("car-10", 1), row("car-1", 11))
    table = catalog.load_table(DRIVES_TABLE)
    assert [str(one.drive) for one in publications(table, DriveId("car-1", "drive-0001"))] == ["car-1/drive-0001"]


def test_a_publication_states_the_digest_of_each_file_that_has_one(tmp_path: Path) -> None:
    lake = FenceLake(tmp_path)
    batch = lake.batch("r1", 1, [1, 2])
    (scenes,) = batch.files["gold.scenes"]
    facts = msgspec.structs.replace(batch.facts, content_digest="c" * 64)
    found = publish(lake.catalog(), replace(batch, sha256={scenes: "a" * 64}, facts=facts))
    stored = lake.catalog().load_table(DRIVES_TABLE).scan().to_arrow().to_pylist()[0]
    assert {file["uri"]: file["sha256"] for file in stored["files"]} == {
        uri: "a" * 64 if uri == scenes else None for uris in batch.files.values() for uri in uris
    }
    assert found.row.content_digest == stored["content_digest"] == "c" * 64
