"""Forgets a drive in the tables: first its tombstone, then its rows and every version that held them, in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.erasure.redact import Redacted, TableRedaction
from lake.errors import TableError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drives import DRIVES_TABLE, SALT
from lake.tables.existing import existing_tables

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from lake.iceberg.publisher import Publisher


def keep_salt(catalog: Publisher, salt: str) -> str:
    """Store the salt where `publish` finds it, and return the one that is in force: that of an earlier erasure, if there is one.

    Raises:
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """

    def attempt() -> tuple[list[Transaction], str]:
        table = catalog.load_table(DRIVES_TABLE)
        if SALT in table.properties:
            return [], table.properties[SALT]
        change = begin(table)
        change.set_properties({SALT: salt})
        return [change], salt

    return committed(catalog, attempt, "the salt of pseudonyms")


def rows_of(catalog: Publisher, drive: DriveId) -> dict[str, int]:
    """Rows of a drive in every table, as of now."""
    return {name: TableRedaction(table, drive, "").rows() for name, table in existing_tables(catalog).items()}


def put_tombstone(catalog: Publisher, drive: DriveId, request: str, now_ns: int) -> None:
    """Let no publication of the drive succeed any more; what is published stays until `forget_rows`. Idempotent.

    Raises:
        TableError: The table has no salt, see `keep_salt`.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """

    def attempt() -> tuple[list[Transaction], None]:
        table = catalog.load_table(DRIVES_TABLE)
        if SALT not in table.properties:
            raise TableError(f"{DRIVES_TABLE} has no salt for pseudonyms")
        if drives.tombstone(table, drive) is not None:
            return [], None
        change = begin(table)
        drives.add_rows(change, table, [drives.tombstone_row(table.properties[SALT], drive, request, now_ns)], {})
        return [change], None

    committed(catalog, attempt, "a tombstone")


def forget_rows(catalog: Publisher, drive: DriveId, request: str) -> tuple[Redacted, ...]:
    """Replace every version that mentions the drive by a successor without it, in one commit over all tables.

    What changes is what still mentions the drive, so that running it again changes nothing.

    Raises:
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """

    def attempt() -> tuple[list[Transaction], tuple[Redacted, ...]]:
        staged = [TableRedaction(table, drive, request).stage() for table in existing_tables(catalog).values()]
        changed = [found for found in staged if found is not None]
        return [change for change, _ in changed], tuple(redacted for _, redacted in changed)

    return committed(catalog, attempt, "forgetting a drive")
