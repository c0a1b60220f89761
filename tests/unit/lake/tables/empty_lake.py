"""The tables of an empty lake, made once a process: `ensure_tables` takes 0.3 CPU seconds, and hundreds of tests begin so."""

from __future__ import annotations

import functools
import gzip
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pyiceberg.catalog.sql import IcebergNamespaceProperties, IcebergTables
from pyiceberg.io import load_file_io
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.creation import ensure_tables

_PACKED = ".gz.metadata.json"


@dataclass(frozen=True)
class _Template:
    """What `ensure_tables` made in `warehouse`: metadata files by their path in it, and the rows of the catalog."""

    warehouse: str
    files: dict[str, bytes]
    namespaces: tuple[dict[str, str], ...]
    tables: tuple[dict[str, str], ...]


@functools.cache
def _template() -> _Template:
    with tempfile.TemporaryDirectory(prefix="scenelake-empty-lake-") as name:
        folder = Path(name) / "warehouse"
        catalog = LakeCatalog("template", uri=f"sqlite:///{name}/catalog.db", warehouse=f"file://{folder}")
        ensure_tables(catalog)
        files = {str(path.relative_to(folder)): _text(path) for path in folder.rglob("*") if path.is_file()}
        with Session(catalog.engine) as session:
            rows = [
                tuple({column.name: getattr(row, column.name) for column in model.__table__.columns} for row in found)
                for model in (IcebergNamespaceProperties, IcebergTables)
                for found in [session.scalars(select(model))]
            ]
        catalog.engine.dispose()
    return _Template(f"file://{folder}", files, *rows)


def _text(path: Path) -> bytes:
    assert path.name.endswith(".metadata.json"), f"{path.name} would need more than another warehouse's path"
    body = path.read_bytes()
    return gzip.decompress(body) if path.name.endswith(_PACKED) else body


def make_empty_lake(catalog: LakeCatalog) -> None:
    """What `ensure_tables` does to a catalog without tables: the same rows and metadata files, for its own warehouse."""
    template, warehouse = _template(), catalog.properties["warehouse"]
    old, new = template.warehouse, warehouse.rstrip("/")
    io = load_file_io(catalog.properties, warehouse)
    for path, body in template.files.items():
        with io.new_output(f"{new}/{path}").create() as stream:
            moved = body.replace(old.encode(), new.encode())
            stream.write(gzip.compress(moved) if path.endswith(_PACKED) else moved)
    with Session(catalog.engine) as session:
        for model, rows in ((IcebergNamespaceProperties, template.namespaces), (IcebergTables, template.tables)):
            here = [{name: value and value.replace(old, new) for name, value in row.items()} for row in rows]
            session.execute(insert(model), [row | {"catalog_name": catalog.name} for row in here])
        session.commit()
