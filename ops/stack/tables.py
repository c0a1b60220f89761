"""The lake's tables in the catalog that the environment names, for stacks with an emulator: `python -m ops.stack.tables`.

An emulator that keeps objects in memory comes back empty, while a catalog in a database does not. Tables whose files went
with it are taken out of the catalog before those that are absent are created: a catalog never speaks of objects that are gone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyiceberg.exceptions import NoSuchTableError

from lake.settings import Settings
from lake.tables.catalog import ensure_tables, open_catalog
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from lake.tables.catalog import LakeCatalog


def forget_lost(catalog: LakeCatalog) -> tuple[str, ...]:
    """Take out of the catalog the published tables whose metadata is not in the lake's bucket any more; their names."""
    lost = tuple(name for name in PUBLISHED if _is_lost(catalog, name))
    for name in lost:
        catalog.drop_table(name)
    return lost


def _is_lost(catalog: LakeCatalog, name: str) -> bool:
    try:
        catalog.load_table(name)
    except NoSuchTableError:
        return False
    except FileNotFoundError:
        return True
    return False


def main() -> int:
    """Forget what is lost, create what is missing."""
    catalog = open_catalog(Settings.from_env())
    lost = forget_lost(catalog)
    if lost:
        print(f"the endpoint is new and holds no files of {', '.join(lost)}: the lake begins empty", flush=True)
    ensure_tables(catalog)
    return 0


if __name__ == "__main__":
    sys.exit(main())
