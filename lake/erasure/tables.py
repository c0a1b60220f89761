"""Forgets a drive in the tables: first its tombstone, then its rows and every version that held them, in one commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException

from lake.erasure.redact import Redacted, TableRedaction
from lake.errors import TableError
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drives import DRIVES_TABLE, SALT
from lake.tables.iceberg_internals import begin
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from lake.tables.publisher import Publisher

MAX_ATTEMPTS = 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0


def salt_of(catalog: Publisher) -> str | None:
    """The salt of the deployment's pseudonyms; None if no drive was ever forgotten."""
    return catalog.load_table(DRIVES_TABLE).properties.get(SALT)


def keep_salt(catalog: Publisher, salt: str) -> str:
    """Store the salt where `publish` finds it, and return the one that is in force: that of an earlier erasure, if there is one.

    Raises:
        TableError: Other commits won every attempt; nothing was changed.
    """

    def stage() -> list[Transaction]:
        table = catalog.load_table(DRIVES_TABLE)
        if SALT in table.properties:
            return []
        change = begin(table)
        change.set_properties({SALT: salt})
        return [change]

    _commit(catalog, stage)
    return salt_of(catalog) or salt


def rows_of(catalog: Publisher, drive: DriveId) -> dict[str, int]:
    """Rows of a drive in every table, as of now."""
    return {name: TableRedaction(catalog.load_table(name), drive, "").rows() for name in PUBLISHED}


def put_tombstone(catalog: Publisher, drive: DriveId, request: str, now_ns: int) -> None:
    """Let no publication of the drive succeed any more; what is published stays until `forget_rows`. Idempotent.

    Raises:
        TableError: The table has no salt, see `keep_salt`; or other commits won every attempt, and nothing was changed.
    """

    def stage() -> list[Transaction]:
        table = catalog.load_table(DRIVES_TABLE)
        if SALT not in table.properties:
            raise TableError(f"{DRIVES_TABLE} has no salt for pseudonyms")
        if drives.tombstone(table, drive) is not None:
            return []
        change = begin(table)
        drives.add_rows(change, table, [drives.tombstone_row(table.properties[SALT], drive, request, now_ns)], {})
        return [change]

    _commit(catalog, stage)


def forget_rows(catalog: Publisher, drive: DriveId, request: str) -> tuple[Redacted, ...]:
    """Replace every version that mentions the drive by a successor without it, in one commit over all tables.

    What changes is what still mentions the drive, so that running it again changes nothing.

    Raises:
        TableError: Other commits won every attempt, and nothing was changed.
    """
    done: list[Redacted] = []

    def stage() -> list[Transaction]:
        staged = [TableRedaction(catalog.load_table(name), drive, request).stage() for name in PUBLISHED]
        done[:] = [redacted for found in staged if found is not None for redacted in found[1:]]
        return [found[0] for found in staged if found is not None]

    _commit(catalog, stage)
    return tuple(done)


def _commit(catalog: Publisher, stage: Callable[[], list[Transaction]]) -> None:
    """Commit what `stage` makes of the tables as they are; where another commit comes first, it makes it anew."""
    pause_s = FIRST_PAUSE_S
    for _ in range(MAX_ATTEMPTS):
        changes = stage()
        if not changes:
            return
        try:
            catalog.commit_together(changes)
        except CommitFailedException:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        return
    raise TableError(f"the tables changed {MAX_ATTEMPTS} times while a drive was being forgotten; run it again")
