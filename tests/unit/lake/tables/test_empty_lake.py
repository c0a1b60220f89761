"""A lake that was copied is like one that was made."""

from __future__ import annotations

from pathlib import Path

from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.creation import ensure_tables
from lake.tables.publish import publish
from lake.tables.schemas import PUBLISHED
from tests.unit.lake.tables.empty_lake import make_empty_lake
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, held


def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    return one, other


def opened(folder: Path) -> LakeCatalog:
    return LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def described(folder: Path) -> dict[str, object]:
    """Everything that the metadata of the tables says, without ids and times."""
    chance = {"table_uuid", "last_updated_ms", "metadata_log"}
    found = {name: opened(folder).load_table(name) for name in PUBLISHED}
    return {
        name: (table.metadata.model_dump(exclude=chance | {"location"}), table.location().removeprefix(f"file://{folder}"))
        for name, table in found.items()
    }


def test_it_has_the_tables_that_are_made_and_needs_no_change(tmp_path: Path) -> None:
    made, copied = folders(tmp_path)
    ensure_tables(opened(made))
    make_empty_lake(opened(copied))
    assert described(copied) == described(made)
    assert opened(copied).list_namespaces() == opened(made).list_namespaces()
    before = opened(copied).pointers()
    assert all(str(copied) in place for place in before.values())
    ensure_tables(opened(copied))
    assert opened(copied).pointers() == before


def test_two_copies_know_nothing_of_each_other(tmp_path: Path) -> None:
    lakes = [FenceLake(folder) for folder in folders(tmp_path)]
    publish(lakes[0].catalog(), lakes[0].batch("r1", 1, (10,)))
    assert lakes[0].rows(DRIVE) == held("r1", (10,))
    assert lakes[1].rows(DRIVE) == held("r1", ()) | {"quarantine.records": []}
