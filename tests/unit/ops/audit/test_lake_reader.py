"""The command line's reads of the tables, over a real catalog in a folder."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import ManifestFile

from ingest.ledger.records import DecisionRecord, RefusedRecord
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.drive_walk import drives_with_rule
from lake.tables.publish import publish
from ops.audit import lake_reader
from ops.review.listing import Filter, RecordList
from tests.unit.lake.tables import fence_lake
from tests.unit.lake.tables.fence_lake import FenceLake
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


def test_only_the_days_of_a_drive_are_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifests that are opened for a drive do not become more with the days of the lake."""
    lake = FenceLake(tmp_path)
    opened: list[str] = []
    real = ManifestFile.fetch_manifest_entry
    monkeypatch.setattr(
        ManifestFile, "fetch_manifest_entry", lambda self, *given, **more: (opened.append("x"), real(self, *given, **more))[1]
    )
    counts: list[int] = []
    for number, day in enumerate((None, *(date(2020, 1, month) for month in range(1, 7)))):
        with monkeypatch.context() as other_day:
            if day is not None:
                other_day.setattr(fence_lake, "DAY", day)
            publish(lake.catalog(), lake.batch("r1", 1, (10, 20), DriveId("car-1", f"d-{number}")))
        opened.clear()
        drive = DriveId("car-1", "d-0")
        read = (lake_reader.scene_facts, lake_reader.frame_counts, lake_reader.records)
        assert [len(one(lake.catalog(), drive)) for one in read] == [2, 1, 1]
        assert lake_reader.matches(lake.catalog(), drive).sensor == ()
        assert lake_reader.calibration(lake.catalog(), drive) == "{}"
        counts.append(len(opened))
    assert max(counts) <= counts[0] + 2, counts


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
    listed = RecordList(fresh, _EmptyLedger())
    assert [*listed.every(Filter()), *listed.every(Filter(rule="DEC005"))] == []


class _EmptyLedger:
    def drive(self, drive: DriveId) -> None:
        del drive

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        del drive
        return []

    def refused(self, after: str = "") -> list[RefusedRecord]:
        del after
        return []

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        del key
        return []
