"""A catalog in an SQL database, whose tables can be changed together.

Iceberg promises atomicity per table. A drive's publication touches four (scenes, frames, quarantine records, and the row that
says so), so this catalog stages each table's new metadata file and then moves all pointers in one SQL transaction (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction
from sqlalchemy import create_engine, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from lake.iceberg.internals import IcebergTables, stage, table_of


class LakeCatalog(SqlCatalog):
    """An SQL catalog that can commit several tables at once: the adapter of `lake.iceberg.publisher.Publisher`.

    Atomic: the pointers of all tables, in one transaction of the database, each only from the metadata file that its change was
    staged on. Metadata and data files of a commit that failed stay unreferenced.
    """

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **properties)
        if properties["uri"].startswith("sqlite:///"):
            # A file needs no connection pool, and a connection left to the garbage collector holds its lock until then.
            self.engine.dispose()
            self.engine = create_engine(properties["uri"], poolclass=NullPool)

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        """Make the staged changes of all transactions visible, or none of them (`Publisher.commit_together`).

        Raises:
            CommitFailedException: Another commit moved one of the tables, and nothing has changed; or the database is busy or
                did not answer.
        """
        staged = [(transaction, stage(transaction)) for transaction in transactions]
        try:
            with Session(self.engine) as session:
                for transaction, location in staged:
                    self._move_pointer(session, transaction, location)
                session.commit()
        except OperationalError as error:
            raise CommitFailedException(f"catalog is busy: {error}") from error

    def pointers(self) -> dict[str, str]:
        """The current metadata file of every table, by table name, as of one moment; the files are not read."""
        of_catalog = IcebergTables.catalog_name == self.name
        columns = (IcebergTables.table_namespace, IcebergTables.table_name, IcebergTables.metadata_location)
        with Session(self.engine) as session:
            found = session.execute(select(*columns).where(of_catalog)).all()
        return {f"{namespace}.{table}": str(location) for namespace, table, location in found}

    def _move_pointer(self, session: Session, transaction: Transaction, location: str) -> None:
        current = table_of(transaction)
        namespace = Catalog.namespace_to_string(Catalog.namespace_from(current.name()))
        moved: Any = session.execute(
            update(IcebergTables)
            .where(
                IcebergTables.catalog_name == self.name,
                IcebergTables.table_namespace == namespace,
                IcebergTables.table_name == Catalog.table_name_from(current.name()),
                IcebergTables.metadata_location == current.metadata_location,
            )
            .values(
                metadata_location=location,
                previous_metadata_location=current.metadata_location,
            )
        )
        if moved.rowcount != 1:
            raise CommitFailedException(f"{'.'.join(current.name())} was changed by another commit")
