"""The lake's tables as of one commit, loaded again only when a commit has moved them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lake.errors import TableError
from lake.tables import PUBLISHED

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from lake.catalog import LakeCatalog

ATTEMPTS = 5


class PinnedTables:
    """`cli.lake_reader.Tables` of tables that were loaded together."""

    def __init__(self, tables: Mapping[str, Table], pointers: Mapping[str, str]) -> None:
        self._tables = dict(tables)
        self.pointers = dict(pointers)

    def __bool__(self) -> bool:
        """Whether the lake has its tables; before the first publication it may not."""
        return bool(self._tables)

    def load_table(self, identifier: str) -> Table:
        """The table as it was pinned."""
        return self._tables[identifier]


def pin(catalog: LakeCatalog, before: PinnedTables | None) -> PinnedTables:
    """The tables as of now; `before` itself if no commit has moved one since.

    Raises:
        TableError: Commits kept moving the tables while they were loaded; the next reading tries again.
    """
    pointers = _pointers(catalog)
    for _ in range(ATTEMPTS):
        if before is not None and before.pointers == pointers:
            return before
        wanted = PUBLISHED if PUBLISHED.keys() <= pointers.keys() else ()
        before = PinnedTables({name: catalog.load_table(name) for name in wanted}, pointers)
        pointers = _pointers(catalog)
    raise TableError(f"the tables were changed by others {ATTEMPTS} times while they were loaded")


def _pointers(catalog: LakeCatalog) -> dict[str, str]:
    return {name: location for name, location in catalog.pointers().items() if name in PUBLISHED}
