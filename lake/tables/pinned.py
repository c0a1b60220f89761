"""The lake's tables as of one commit, for readers that compare them with each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from lake.errors import TableError
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import DATA_TABLES
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from pyiceberg.table import Table

ATTEMPTS = 5
NEEDED = frozenset((*DATA_TABLES, DRIVES_TABLE))


class PointedCatalog(Protocol):
    """A catalog that can say, without reading a table, whether one has changed."""

    def load_table(self, identifier: str) -> Table:
        """The table of that name."""
        ...

    def pointers(self) -> dict[str, str]:
        """The current metadata file of every table, by table name, as of one moment."""
        ...


class PinnedTables:
    """Tables that were loaded together: what one commit wrote to several of them is in all of these, or in none."""

    def __init__(self, tables: Mapping[str, Table], pointers: Mapping[str, str]) -> None:
        self._tables = dict(tables)
        self.pointers = dict(pointers)

    def __bool__(self) -> bool:
        """Whether the lake has the tables that every lake has; before the first publication it may not."""
        return bool(self._tables)

    def load_table(self, identifier: str) -> Table:
        """The pinned table."""
        return self._tables[identifier]


def pin(catalog: PointedCatalog, before: PinnedTables | None = None) -> PinnedTables:
    """The tables as of now; `before` itself if no commit has changed one since.

    Raises:
        TableError: Commits kept changing the tables while they were loaded; trying again is safe.
    """
    pointers = _pointers(catalog)
    for _ in range(ATTEMPTS):
        if before is not None and before.pointers == pointers:
            return before
        # An older lake lacks tables that later releases have added; it is not empty.
        names = pointers if pointers.keys() >= NEEDED else ()
        before = PinnedTables({name: catalog.load_table(name) for name in names}, pointers)
        pointers = _pointers(catalog)
    raise TableError(f"the tables changed {ATTEMPTS} times while they were being loaded")


def _pointers(catalog: PointedCatalog) -> dict[str, str]:
    return {name: location for name, location in catalog.pointers().items() if name in PUBLISHED}
