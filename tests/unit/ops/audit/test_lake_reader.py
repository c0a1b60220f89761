"""The command line's reads of the tables, over a real catalog in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.landing import DriveId
from lake.tables.catalog import LakeCatalog
from ops.audit import lake_reader
from scenes.accounting.drive_sources import held
from scenes.accounting.identity import Held
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
    assert lake_reader.accounting(empty) == ()
    assert lake_reader.scene_facts(empty) == ()
    assert lake_reader.scene(empty, "none") is None


def test_publications_of_one_drive_and_of_all(catalog: LakeCatalog) -> None:
    found = lake_reader.publications(catalog)
    assert [(row.drive, row.revision, row.generation, row.scenes) for row in found] == [
        (GOOD, rows.REVISION_A, 1, SCENES),
        (BAD, REVISION_B, 1, SCENES),
    ]
    assert lake_reader.publications(catalog, BAD) == found[1:]


def test_matches_are_read_without_payload(catalog: LakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = lake_reader.flatten_matches
    monkeypatch.setattr(lake_reader, "flatten_matches", lambda table: (seen.append(table.nbytes), original(table))[1])
    found = lake_reader.matches(catalog)
    assert len(found.sensor) == SCENES * 3 + SCENES * 2 + 4
    assert seen[0] < 20_000  # the two drives hold more than 6 MB of points and pixels


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


def test_frames_that_several_scenes_share_are_held_once(tmp_path: Path) -> None:
    catalog = rows.catalog_of(tmp_path)
    first, second = rows.scene(0), rows.scene(1)
    shared = {**second["cameras"][0], "stamp_ns": first["cameras"][0]["stamp_ns"]}
    rows.fill(catalog, [first, {**second, "cameras": [shared]}])
    assert Held(str(GOOD), rows.REVISION_A, "cam_front", 1) in held(lake_reader.matches(catalog))
    assert Held(str(GOOD), rows.REVISION_A, "lidar_top", 2) in held(lake_reader.matches(catalog))
