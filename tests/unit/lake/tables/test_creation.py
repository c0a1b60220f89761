"""The catalog's tables: as in the contract, and created once by any number of concurrent processes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.creation import POINT_LAYOUT, READER, ensure_tables
from lake.tables.schemas import OPAQUE_LEAVES, PARTITIONS, PUBLISHED, SCENES
from tests.unit.lake.tables.fence_lake import DRIVE, scene

SCENES_TABLE = "gold.scenes"


def open_local(folder: Path) -> LakeCatalog:
    return LakeCatalog("scenelake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def close(catalog: LakeCatalog) -> None:
    catalog.engine.dispose()


def test_tables_have_the_schemas_partitions_and_properties_of_the_contract(tmp_path: Path) -> None:
    catalog = open_local(tmp_path)
    ensure_tables(catalog)
    for name, schema in PUBLISHED.items():
        table = catalog.load_table(name)
        assert [field.name for field in table.schema().fields] == schema.names
        assert [field.required for field in table.schema().fields] == [not field.nullable for field in schema]
        assert tuple(field.name for field in table.spec().fields) == PARTITIONS[name]
        assert table.properties["commit.retry.num-retries"] == "0"
        assert table.properties["write.metadata.metrics.column.vehicle_id"] == "full"
        assert table.properties["write.metadata.metrics.default"] == "none"
        assert not any(f"write.metadata.metrics.column.{leaf}" in table.properties for leaf in OPAQUE_LEAVES)
    close(catalog)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_column_is_described_in_the_table_itself(tmp_path: Path, name: str) -> None:
    catalog = open_local(tmp_path)
    ensure_tables(catalog)
    table = catalog.load_table(name)
    for column in table.schema().column_names:
        assert table.schema().find_field(column).doc or column.endswith("element"), column
    assert table.properties[READER]
    close(catalog)


def test_a_table_of_an_older_lake_gets_columns_descriptions_and_properties(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was before columns had descriptions and scenes a digest; rows stay readable, their digest is null."""
    old = pa.schema([pa.field(one.name, one.type, one.nullable) for one in SCENES if one.name != "scene_digest"])
    with monkeypatch.context() as patch:
        patch.setitem(PUBLISHED, SCENES_TABLE, old)
        patch.setattr("lake.tables.creation._OWN_PROPERTIES", {})
        catalog = open_local(tmp_path)
        ensure_tables(catalog)
        row = scene(DRIVE, "r", 5)
        catalog.load_table(SCENES_TABLE).append(pa.Table.from_pylist([row], schema=old))
    assert catalog.load_table(SCENES_TABLE).schema().find_field("anchor_ns").doc is None
    ensure_tables(catalog)
    table = catalog.load_table(SCENES_TABLE)
    assert table.schema().find_field("anchor_ns").doc == "Stamp of the anchor, Unix epoch"
    assert table.schema().find_field("lidars.points").doc
    assert "planes" in table.properties[POINT_LAYOUT]
    assert [(one["anchor_ns"], one["scene_digest"]) for one in table.scan().to_arrow().to_pylist()] == [(5, None)]
    before = table.metadata_location
    ensure_tables(catalog)
    assert catalog.load_table(SCENES_TABLE).metadata_location == before, "once is enough"
    close(catalog)


def test_two_processes_that_make_the_tables_at_once_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = open_local(tmp_path)
    ensure_tables(catalog)
    before = {name: catalog.load_table(name).metadata_location for name in PUBLISHED}
    # What the slower process saw: no namespace yet, although the other has made it since.
    monkeypatch.setattr(LakeCatalog, "namespace_exists", lambda *_: False)
    ensure_tables(catalog)
    assert {name: catalog.load_table(name).metadata_location for name in PUBLISHED} == before
    close(catalog)
