from __future__ import annotations

import pytest

from lake.landing import DriveId
from lineage.errors import NamingError
from lineage.names import DatasetName, JobName, Symlink, drive_manifest, iceberg_table, job, s3_object


def test_raw_object_is_named_as_the_specification_says() -> None:
    name = s3_object("raw", "car/drive/lidar/top/1700000000000000000.mcap")
    assert (name.namespace, name.name) == ("s3://raw", "car/drive/lidar/top/1700000000000000000.mcap")


def test_manifest_stands_for_the_drive() -> None:
    assert str(drive_manifest("raw", DriveId("car", "drive"))) == "s3://raw/car/drive/manifest.json"


@pytest.mark.parametrize("warehouse", ["s3://lake/warehouse", "s3://lake/warehouse/"])
def test_table_is_named_by_location_and_known_by_its_catalog_name(warehouse: str) -> None:
    assert iceberg_table(warehouse, "gold.scenes") == DatasetName(
        "s3://lake", "warehouse/gold/scenes", (Symlink("s3://lake/warehouse", "gold.scenes", "TABLE"),)
    )


def test_table_elsewhere() -> None:
    name = iceberg_table("s3://lake/warehouse", "gold.scenes", "s3://other/place/x")
    assert str(name) == "s3://other/place/x"
    assert name.symlinks[0].name == "gold.scenes"


def test_own_job() -> None:
    assert job("build_scenes") == JobName("scenelake", "build_scenes")
    assert str(job("process_drive.inspect")) == "scenelake/process_drive.inspect"


@pytest.mark.parametrize("name", ["", "Build", "build scenes", ".build", "build.", "a..b", "a/b", "a\n"])
def test_bad_job_names_are_refused(name: str) -> None:
    with pytest.raises(NamingError):
        job(name)


def test_a_job_needs_a_namespace() -> None:
    with pytest.raises(NamingError, match="empty namespace"):
        JobName("", "build")


@pytest.mark.parametrize("bucket", ["", "ab", "Raw", "-raw", "raw/x", "r" * 64])
def test_bad_buckets_are_refused(bucket: str) -> None:
    with pytest.raises(NamingError, match="bucket"):
        s3_object(bucket, "key")


@pytest.mark.parametrize("key", ["", "/key", "k" * 1025, "ä" * 513])
def test_bad_keys_are_refused(key: str) -> None:
    with pytest.raises(NamingError, match="dataset name"):
        s3_object("raw", key)


@pytest.mark.parametrize("table", ["scenes", "gold.", "gold.scenes.x", "Gold.scenes"])
def test_bad_tables_are_refused(table: str) -> None:
    with pytest.raises(NamingError, match="table"):
        iceberg_table("s3://lake/warehouse", table)


@pytest.mark.parametrize("warehouse", ["", "lake/warehouse", "file:///warehouse", "s3://lake"])
def test_bad_warehouses_are_refused(warehouse: str) -> None:
    with pytest.raises(NamingError):
        iceberg_table(warehouse, "gold.scenes")
