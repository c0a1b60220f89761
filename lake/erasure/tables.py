"""Forgets a drive in the tables: its rows, its tombstone and every version that held it change in one commit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException

from lake import pseudonyms
from lake.erasure.redact import Redacted, TableRedaction
from lake.errors import TableError
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drives import DRIVES_TABLE, SALT
from lake.tables.iceberg_internals import begin
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
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
    for _ in range(MAX_ATTEMPTS):
        table = catalog.load_table(DRIVES_TABLE)
        if SALT in table.properties:
            return table.properties[SALT]
        change = begin(table)
        change.set_properties({SALT: salt})
        try:
            catalog.commit_together([change])
        except CommitFailedException:
            time.sleep(FIRST_PAUSE_S)
            continue
        return salt
    raise TableError(f"{DRIVES_TABLE} kept changing; run it again")


def rows_of(catalog: Publisher, drive: DriveId) -> dict[str, int]:
    """Rows of a drive in every table, as of now."""
    return {name: TableRedaction(catalog.load_table(name), drive, "").rows() for name in PUBLISHED}


def forget_rows(catalog: Publisher, drive: DriveId, request: str, now_ns: int) -> tuple[Redacted, ...]:
    """Replace the drive's rows by its tombstone and every version that mentions it by a successor, in one commit.

    What changes is what still mentions the drive, so that running it again changes nothing. Publishers whose commit comes first
    make it read the tables again; those that come later find the tombstone.

    Raises:
        TableError: The table has no salt, see `keep_salt`; or other commits won every attempt, and nothing was changed.
    """
    pause_s = FIRST_PAUSE_S
    for _ in range(MAX_ATTEMPTS):
        staged = []
        for name in PUBLISHED:
            table = catalog.load_table(name)
            added: list[str] = []
            if name == DRIVES_TABLE and drives.tombstone(table, drive) is None:
                if SALT not in table.properties:
                    raise TableError(f"{DRIVES_TABLE} has no salt for pseudonyms")
                added = [drives.write_rows(table, [drives.tombstone_row(table.properties[SALT], drive, request, now_ns)])]
            found = TableRedaction(table, drive, request).stage(added)
            if found is not None:
                staged.append(found)
        if not staged:
            return ()
        try:
            catalog.commit_together([transaction for transaction, _ in staged])
        except CommitFailedException:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        return tuple(redacted for _, redacted in staged)
    raise TableError(f"the tables kept changing while drive {_pseudonym(catalog, drive)} was being forgotten; run it again")


def _pseudonym(catalog: Publisher, drive: DriveId) -> str:
    return pseudonyms.of_drive(salt_of(catalog) or "", drive)[:12]
