"""The tables that a lake has: one of an older version lacks those that came later, until something is published to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.exceptions import NoSuchTableError

from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from lake.iceberg.publisher import Publisher


def existing_tables(catalog: Publisher) -> dict[str, Table]:
    """The published tables that exist, each as of now, by name."""
    found = {}
    for name in PUBLISHED:
        try:
            found[name] = catalog.load_table(name)
        except NoSuchTableError:
            continue
    return found
