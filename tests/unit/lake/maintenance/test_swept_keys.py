"""What a key is: only what is recognised whole has an area, and hostile keys have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.drive_input import input_key
from lake.landing import DriveId
from lake.maintenance.swept_keys import LAKE_PREFIXES, QUARANTINE_PREFIXES, Area, SweptKey, lake_key, quarantine_key
from scenes.targets import DriveTargets

DRIVE = DriveId("car-1", "drive-a")
REVISION = "a" * 64
TABLES = {"warehouse/gold/scenes/": "gold.scenes", "warehouse/quarantine/records/": "quarantine.records"}
TARGETS = DriveTargets(DRIVE, REVISION, "raw", "lake", "quarantine")


def test_every_place_that_the_jobs_write_to_is_known() -> None:
    data = TARGETS.data_file("gold.scenes", TARGETS.unique_name("parquet", "0"))
    assert lake_key(data.key, TABLES) == SweptKey(Area.DATA, "gold.scenes", DRIVE)
    for target in (TARGETS.validations(), TARGETS.quarantined_keys()):
        assert lake_key(target.key, TABLES) == SweptKey(Area.RESULT, drive=DRIVE)
    assert lake_key(input_key(DRIVE, REVISION), TABLES) == SweptKey(Area.INPUT, drive=DRIVE, revision=REVISION)
    copies = (
        TARGETS.quarantined_scenes(TARGETS.unique_name("parquet")),
        TARGETS.quarantined_frame("7"),
        TARGETS.quarantined_object(f"{DRIVE}/lidar/top/1.mcap"),
        TARGETS.quarantined_drive(),
    )
    found = [quarantine_key(copy.key) for copy in copies]
    assert [(one.area, one.drive) for one in found] == [(Area.COPY, DRIVE)] * 4
    assert [one.revision for one in found] == [None, REVISION, REVISION, REVISION]


def test_what_a_baseline_is_learned_from_and_refused_objects_stay() -> None:
    assert lake_key(TARGETS.statistics(1).key, TABLES).area is Area.OTHER
    assert lake_key("baselines/car-1.json", TABLES).area is Area.OTHER
    assert quarantine_key("refused/car-1/drive-a/x").area is Area.OTHER


def test_files_of_tables_without_a_drive_in_their_name() -> None:
    part = "day=2024-05-01/vehicle_id=car-1/00000-0.parquet"
    assert lake_key(f"warehouse/gold/scenes/data/{part}", TABLES) == SweptKey(Area.DATA, "gold.scenes")
    assert lake_key("warehouse/gold/scenes/metadata/snap-1.avro", TABLES) == SweptKey(Area.METADATA, "gold.scenes")
    assert lake_key("warehouse/gold/other/data/a.parquet", TABLES).area is Area.OTHER
    assert lake_key("warehouse/gold/scenes/readme", TABLES).area is Area.OTHER


@pytest.mark.parametrize(
    "key",
    [
        "work/",
        "work/Car 1/drive-a/r/x",
        "work/car-1/drive-a/r",
        "inputs/car-1/drive-a/../x.json",
        "work/car-1//r/x",
        "\n",
        "maintenance/x",
    ],
)
def test_what_only_looks_alike_is_unknown(key: str) -> None:
    assert lake_key(key, TABLES).area is Area.OTHER


@given(st.text(max_size=60), st.sampled_from([*LAKE_PREFIXES, *QUARANTINE_PREFIXES, ""]))
def test_any_key_has_an_area_and_what_is_not_of_a_table_has_a_drive_or_none(rest: str, prefix: str) -> None:
    for found in (lake_key(prefix + rest, TABLES), quarantine_key(prefix + rest)):
        if found.area in (Area.WORK, Area.INPUT, Area.RESULT, Area.COPY):
            assert found.drive is not None


def test_prefixes_are_listed_in_the_order_of_their_keys() -> None:
    assert list(LAKE_PREFIXES) == sorted(LAKE_PREFIXES)
    assert list(QUARANTINE_PREFIXES) == sorted(QUARANTINE_PREFIXES)
