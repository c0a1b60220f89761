"""The port to a catalog that drives are published through, and what publications rely on.

Two adapters exist: `lake.iceberg.sql_catalog` (SQLite, PostgreSQL) and `lake.iceberg.rest_catalog`. AWS Glue has no request that
changes several tables, and cannot be one. `tests/unit/lake/iceberg/publisher_cases.py` is what an adapter has to pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction


class Publisher(Protocol):
    """A catalog whose tables can be changed together."""

    def load_table(self, identifier: str) -> Table:
        """A table as of now; tables that are loaded one after another may be of different commits."""
        ...

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        """Make the staged changes of all transactions visible at one moment, or none of them.

        No table may have changed since its transaction began, even where the changes would not conflict: what `publish` read in
        `gold.drives` still holds when its commit succeeds. The snapshots become current under the ids that were staged. The
        transactions must not be used afterwards.

        Raises:
            CommitFailedException: Another commit changed one of the tables, and nothing has changed; or the catalog did not
                answer, and it is not known. `lake.iceberg.attempts.commit` finds out, and tries again.
        """
        ...
