"""The command line's reads of the tables, over a real catalog in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.drive_walk import drives_with_rule
from ops.audit import lake_reader
from tests.unit.ops import lake_builders as rows
from tests.unit.ops.report.report_builders import BAD, GOOD, REVISION_B, SCENES, fill_two_drives


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> LakeCatalog:
    made = rows.catalog_of(tmp_path_factory.mktemp("lake"))
    fill_two_drives(made)
    return made


def test_an_empty_lake_reads_as_nothing(tmp_path: Path) -> None:
    empty = rows.catalog_of(tmp_path)
    assert lake_reader.publications(empty) == ()
    assert lake_reader.accounting(empty, GOOD) == ()
    assert lake_reader.scene_facts(empty, GOOD) == ()
    assert lake_reader.matches(empty, GOOD).sensor == ()
    assert lake_reader.scene(empty, "none") is None


def test_publications_of_one_drive_and_of_all(catalog: LakeCatalog) -> None:
    found = lake_reader.publications(catalog)
    assert [(row.drive, row.revision, row.generation, row.scenes) for row in found] == [
        (GOOD, rows.REVISION_A, 1, SCENES),
        (BAD, REVISION_B, 1, SCENES),
    ]
    assert lake_reader.publications(catalog, BAD) == found[1:]


def test_matches_are_read_without_payload(catalog: LakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real = pq.ParquetFile.iter_batches

    def noted(file: pq.ParquetFile, *given: Any, columns: list[str], **more: Any) -> Any:
        seen.append(columns)
        return real(file, *given, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    found = lake_reader.matches(catalog, BAD)
    assert len(found.sensor) == SCENES * 2 + 4
    leaves = {column for columns in seen for column in columns if "." in column}
    assert {leaf.rpartition(".")[2] for leaf in leaves} == {"sensor", "stamp_ns", "offset_ns", "residual_ns"}


def test_the_accounting_of_one_drive(catalog: LakeCatalog) -> None:
    lines = {line.sensor: line for line in lake_reader.accounting(catalog, BAD)}
    assert list(lines) == ["lidar_top", "cam_front", "radar_front"]
    camera = lines["cam_front"]
    assert (camera.read, camera.gold, camera.quarantined, camera.reasons) == (14, 12, 2, (("DEC005", 2),))
    assert camera.residuals is not None
    assert (camera.residuals.matches, camera.residuals.max_ns) == (12, 13_000_000)
    assert lines["radar_front"].residuals is not None
    assert lines["radar_front"].residuals.matches == 4


def test_one_scene_comes_with_its_payload(catalog: LakeCatalog) -> None:
    scene_id = lake_reader.scene_facts(catalog, GOOD)[3].scene_id
    row = lake_reader.scene(catalog, scene_id)
    assert row is not None
    assert row.cameras[0].image == rows.jpeg(hue=12)


def test_records_can_be_filtered_by_drive(catalog: LakeCatalog) -> None:
    assert [row.rule_ids for row in lake_reader.records(catalog, BAD)] == [("DEC005",)]
    assert lake_reader.records(catalog, DriveId("veh-9", "none")) == ()


def test_a_lake_without_tables_is_empty(tmp_path: Path) -> None:
    fresh = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    drive = DriveId("car-1", "drive-1")
    assert lake_reader.publications(fresh) == lake_reader.publications(fresh, drive) == ()
    assert lake_reader.records(fresh, drive) == lake_reader.frame_counts(fresh, drive) == ()
    assert lake_reader.matches(fresh, drive).scene_id == ()
    assert lake_reader.calibration(fresh, drive) is None
    assert lake_reader.scene(fresh, "car-1.drive-1.1700000000000000000") is None
    assert list(drives_with_rule(fresh, "DEC005")) == []
