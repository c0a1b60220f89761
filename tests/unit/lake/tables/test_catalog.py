"""The catalog's tables: as in the contract, and created once by any number of concurrent processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.types import ListType, StructType

from lake.tables.catalog import LakeCatalog, ensure_tables
from lake.tables.schemas import OPAQUE_LEAVES, PARTITIONS, PUBLISHED


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
        assert table.properties["write.metadata.metrics.column.drive_id"] == "full"
        assert table.properties["write.metadata.metrics.default"] == "none"
        assert not any(f"write.metadata.metrics.column.{leaf}" in table.properties for leaf in OPAQUE_LEAVES)
    close(catalog)


def test_every_column_of_the_drives_is_described_in_the_table_itself(tmp_path: Path) -> None:
    catalog = open_local(tmp_path)
    ensure_tables(catalog)
    schema = catalog.load_table("gold.drives").schema()
    files = schema.find_field("files").field_type
    assert isinstance(files, ListType)
    assert isinstance(files.element_type, StructType)
    for field in (*schema.fields, *files.element_type.fields):
        assert field.doc, field.name
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
