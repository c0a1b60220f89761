"""Creates the lake's tables in the catalog that the environment names, for stacks with an emulator:
`python -m ops.stack.tables`.

An emulator that keeps objects in memory restarts empty, while the catalog's database does not. So tables whose files are gone
are dropped from the catalog before missing ones are created: a catalog never refers to objects that do not exist.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyiceberg.exceptions import NoSuchTableError

from lake.iceberg.catalog import open_catalog
from lake.settings import Settings
from lake.tables.creation import ensure_tables
from lake.tables.drives import DRIVES_TABLE
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from lake.iceberg.catalog import AnyCatalog


def forget_lost(catalog: AnyCatalog) -> tuple[str, ...]:
    """Drop published tables whose metadata is no longer in the lake's bucket; returns their names.

    `gold.drives` is dropped with any other: it would say of drives whose rows are gone that they are published.
    """
    lost = {name for name in PUBLISHED if _is_lost(catalog, name)}
    if lost and DRIVES_TABLE in catalog.pointers():
        lost.add(DRIVES_TABLE)
    for name in lost:
        catalog.drop_table(name)
    return tuple(name for name in PUBLISHED if name in lost)


def _is_lost(catalog: AnyCatalog, name: str) -> bool:
    try:
        catalog.load_table(name)
    except NoSuchTableError:
        return False
    except FileNotFoundError:
        return True
    return False


def main() -> int:
    """Drop lost tables, create missing ones."""
    catalog = open_catalog(Settings.from_env())
    lost = forget_lost(catalog)
    if lost:
        print(f"the endpoint was restarted and has no files of {', '.join(lost)}: the lake starts empty", flush=True)
    ensure_tables(catalog)
    return 0


if __name__ == "__main__":
    sys.exit(main())
