"""A catalog that outlives its objects: lost tables are dropped, the others stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.exceptions import ValidationError

from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.creation import ensure_tables
from lake.tables.schemas import PUBLISHED
from ops.stack.tables import forget_lost


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LakeCatalog]:
    opened = LakeCatalog("scenelake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    yield opened
    opened.engine.dispose()


def metadata_file(catalog: LakeCatalog, name: str) -> Path:
    return Path(catalog.load_table(name).metadata_location.removeprefix("file://"))


def test_an_empty_catalog_and_a_whole_lake_lose_nothing(catalog: LakeCatalog) -> None:
    assert forget_lost(catalog) == ()
    ensure_tables(catalog)
    before = {name: metadata_file(catalog, name) for name in PUBLISHED}
    assert forget_lost(catalog) == ()
    assert {name: metadata_file(catalog, name) for name in PUBLISHED} == before


def test_tables_without_their_metadata_begin_anew_and_with_them_what_says_that_drives_are_published(
    catalog: LakeCatalog,
) -> None:
    ensure_tables(catalog)
    lost, drives = "gold.scenes", "gold.drives"
    kept = PUBLISHED.keys() - {lost, drives}
    before = {name: metadata_file(catalog, name) for name in PUBLISHED}
    before[lost].unlink()
    assert forget_lost(catalog) == (lost, drives)
    ensure_tables(catalog)
    assert metadata_file(catalog, lost) != before[lost]
    assert metadata_file(catalog, drives) != before[drives]
    assert {name: metadata_file(catalog, name) for name in kept} == {name: before[name] for name in kept}


def test_what_cannot_be_read_for_another_reason_is_not_taken_for_lost(catalog: LakeCatalog) -> None:
    ensure_tables(catalog)
    lost = next(iter(PUBLISHED))
    metadata_file(catalog, lost).write_text("{")
    with pytest.raises(ValidationError, match="Invalid JSON"):
        forget_lost(catalog)


def test_a_lake_that_lost_everything_begins_anew(catalog: LakeCatalog) -> None:
    ensure_tables(catalog)
    for name in PUBLISHED:
        metadata_file(catalog, name).unlink()
    assert forget_lost(catalog) == tuple(PUBLISHED)
    ensure_tables(catalog)
    assert all(metadata_file(catalog, name).exists() for name in PUBLISHED)
