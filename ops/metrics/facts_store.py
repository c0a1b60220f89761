"""What was read of each drive, on disk, so that the exporter's memory and the work of a reading do not grow with the lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from lake.landing import DriveId
from lake.tables.rows import DriveRow
from ops.metrics.drive_facts import DriveFacts

_SCHEMA = """
CREATE TABLE drives (
    drive TEXT PRIMARY KEY, facts BLOB, balanced INTEGER NOT NULL DEFAULT 1, seen INTEGER NOT NULL DEFAULT 0,
    expected INTEGER NOT NULL DEFAULT 1, published_ns INTEGER
) WITHOUT ROWID;
CREATE INDEX expected ON drives (drive) WHERE expected;
CREATE INDEX unbalanced ON drives (seen) WHERE NOT balanced;
CREATE INDEX balanced ON drives (seen) WHERE balanced;
CREATE INDEX published ON drives (published_ns) WHERE published_ns IS NOT NULL AND facts IS NOT NULL;
CREATE TABLE publications (
    drive TEXT, revision TEXT, generation INTEGER, PRIMARY KEY (drive, revision, generation)
) WITHOUT ROWID;
"""
PAGE = 100


class FactsStore:
    """The facts of each drive, and which publications were counted, in a temporary file of SQLite's own. Not thread-safe."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._turn = 0
        self.publications = 0
        self.published_scenes = 0

    def expect(self, drive: DriveId) -> None:
        """Remember that a drive has to be read."""
        change = "INSERT INTO drives (drive) VALUES (?) ON CONFLICT (drive) DO UPDATE SET expected = 1"
        self._database.execute(change, (str(drive),))

    def expect_all(self) -> None:
        """Remember that every drive has to be read, and forget which publications were counted."""
        self._database.execute("UPDATE drives SET expected = 1, published_ns = NULL")
        self._database.execute("DELETE FROM publications")
        self.publications = self.published_scenes = 0

    def expected(self) -> Iterator[DriveId]:
        """The drives that have to be read; whoever takes one has to `put` or to `remove` it."""
        while drives := self._drives("expected ORDER BY drive LIMIT ?", PAGE):
            yield from drives

    def get(self, drive: DriveId) -> DriveFacts | None:
        """What was read of a drive last; None if nothing was."""
        row = self._database.execute("SELECT facts FROM drives WHERE drive = ?", (str(drive),)).fetchone()
        return None if row is None or row[0] is None else msgspec.msgpack.decode(row[0], type=DriveFacts)

    def put(self, drive: DriveId, facts: DriveFacts) -> None:
        """Replace what is known of a drive."""
        self._turn += 1
        change = """
            INSERT INTO drives (drive, facts, balanced, seen, expected) VALUES (?, ?, ?, ?, 0)
            ON CONFLICT (drive) DO UPDATE SET
                facts = excluded.facts, balanced = excluded.balanced, seen = excluded.seen, expected = 0
        """
        self._database.execute(change, (str(drive), msgspec.msgpack.encode(facts), int(facts.balanced), self._turn))

    def remove(self, drive: DriveId) -> None:
        """Remove a drive. Its publications stay counted: they were made."""
        self._database.execute("DELETE FROM drives WHERE drive = ?", (str(drive),))

    def looked_at(self, drive: DriveId) -> None:
        """Put a drive at the end of the turn of `balanced_longest_ago`."""
        self._turn += 1
        self._database.execute("UPDATE drives SET seen = ? WHERE drive = ?", (self._turn, str(drive)))

    def unbalanced_longest_ago(self, most: int) -> list[DriveId]:
        """Drives that do not balance, those read longest ago first."""
        return self._drives("NOT balanced ORDER BY seen LIMIT ?", most)

    def balanced_longest_ago(self, most: int) -> list[DriveId]:
        """Drives that balance, those looked at longest ago first."""
        return self._drives("balanced ORDER BY seen LIMIT ?", most)

    def published_last(self, most: int) -> list[DriveId]:
        """The drives published last, newest first, of those that were read."""
        return self._drives("published_ns IS NOT NULL AND facts IS NOT NULL ORDER BY published_ns DESC, drive DESC LIMIT ?", most)

    def add_publication(self, row: DriveRow) -> None:
        """Count a publication, unless it was counted before, and remember that its drive has to be read."""
        key = str(row.drive), row.revision, row.generation
        if self._database.execute("INSERT OR IGNORE INTO publications VALUES (?, ?, ?)", key).rowcount != 1:
            return
        self.publications += 1
        self.published_scenes += row.scenes
        self.expect(row.drive)
        change = "UPDATE drives SET published_ns = MAX(COALESCE(published_ns, 0), ?) WHERE drive = ?"
        self._database.execute(change, (row.committed_ns, str(row.drive)))

    def _drives(self, condition: str, *values: object) -> list[DriveId]:
        query = f"SELECT drive FROM drives WHERE {condition}"  # noqa: S608 - conditions are written in this module
        found = self._database.execute(query, values).fetchall()
        return [DriveId(*name.split("/")) for (name,) in found]
