"""The ledger's drives as they were last read: on disk, with an index for each question, so that no answer takes longer when
there are more drives."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from ingest.ledger.records import DriveRecord
from ingest.ledger.states import FINAL, DriveState
from ingest.ledger.work_message import WorkReason
from lake.landing import DriveId

BY_LANDING = (WorkReason.COMPLETE, WorkReason.OVERDUE)  # other runs are started by a reviewer or operator, not by an object
WAITING = tuple(state for state in DriveState if state not in FINAL)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_AT_REST = f"state = '{DriveState.PUBLISHED}' AND NOT settling AND reason IN ({_quoted(BY_LANDING)})"
_SCHEMA = f"""
CREATE TABLE marks (
    drive TEXT PRIMARY KEY, state TEXT, reason TEXT, revision TEXT, generation INTEGER, updated_ns INTEGER, changed_ns INTEGER,
    settling INTEGER
) WITHOUT ROWID;
CREATE INDEX by_state ON marks (state, updated_ns);
CREATE INDEX by_settling ON marks (settling) WHERE settling;
CREATE INDEX at_rest ON marks (updated_ns) WHERE {_AT_REST};
"""
_COLUMNS = "drive, state, reason, revision, generation, updated_ns, changed_ns, settling"


@dataclass(frozen=True, slots=True)
class DriveMark:
    """The fields of a `DriveRecord` that show whether the drive has changed."""

    drive: DriveId
    state: DriveState
    reason: WorkReason | None
    revision: str | None
    generation: int
    updated_ns: int
    changed_ns: int
    settling: bool

    @classmethod
    def of(cls, record: DriveRecord) -> DriveMark:
        """The mark of a record."""
        return cls(**{field.name: getattr(record, field.name) for field in fields(cls)})

    @property
    def unprocessed(self) -> bool:
        """Whether the drive has data that no finished revision holds."""
        return self.state not in FINAL or self.settling


class MarkStore:
    """One mark for each drive, in a temporary file of SQLite's own. Not thread-safe."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._counts: Counter[DriveState] = Counter()

    @property
    def counts(self) -> Mapping[DriveState, int]:
        """Drives by state."""
        return self._counts

    def get(self, drive: DriveId) -> DriveMark | None:
        """The mark of a drive."""
        return next(self._marks("drive = ?", str(drive)), None)

    def put(self, mark: DriveMark) -> bool:
        """Replace a drive's mark; False if it was the same."""
        before = self.get(mark.drive)
        if before == mark:
            return False
        if before is not None:
            self._counts[before.state] -= 1
        self._counts[mark.state] += 1
        row = (str(mark.drive), mark.state, mark.reason, mark.revision, mark.generation, mark.updated_ns, mark.changed_ns)
        self._database.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, int(mark.settling)))
        return True

    def put_newer(self, mark: DriveMark) -> bool:
        """As `put`, unless a newer mark of the drive is known."""
        known = self.get(mark.drive)
        if known is not None and (known.generation, known.updated_ns) > (mark.generation, mark.updated_ns):
            return False
        return self.put(mark)

    def remove(self, mark: DriveMark) -> None:
        """Remove a drive."""
        self._database.execute("DELETE FROM marks WHERE drive = ?", (str(mark.drive),))
        self._counts[mark.state] -= 1

    def newest_finished_ns(self) -> int:
        """When the drive that finished last did; 0 if none has."""
        query = "SELECT MAX(updated_ns) FROM marks WHERE state = ?"
        return max((self._database.execute(query, (state,)).fetchone()[0] or 0 for state in FINAL), default=0)

    def oldest_ns(self, state: DriveState) -> int | None:
        """When the drive entered a state that has been in it for longest; None if there is none."""
        found: int | None = self._database.execute("SELECT MIN(updated_ns) FROM marks WHERE state = ?", (state,)).fetchone()[0]
        return found

    def unprocessed(self) -> Iterator[DriveMark]:
        """The drives with data that no finished revision holds."""
        for state in WAITING:
            yield from self._marks("state = ?", state)
        yield from self._marks(f"settling AND state IN ({_quoted(sorted(FINAL))})")

    def at_rest_after(self, name: str, most: int) -> list[DriveMark]:
        """Some finished drives in the order of their names, which are behind `name`."""
        # With the plus, SQLite goes by the name, and stops, where it would sort all drives of these states.
        return list(self._marks(f"drive > ? AND +state IN ({_quoted(sorted(FINAL))}) ORDER BY drive LIMIT ?", name, most))

    def published_last(self, most: int) -> Iterator[DriveMark]:
        """The drives at rest in gold whose run was started by an object that landed, the last published first."""
        yield from self._marks(f"{_AT_REST} ORDER BY updated_ns DESC LIMIT ?", most)

    def _marks(self, condition: str, *values: object) -> Iterator[DriveMark]:
        query = f"SELECT {_COLUMNS} FROM marks WHERE {condition}"  # noqa: S608 - conditions are written in this module
        for row in self._database.execute(query, values).fetchall():
            drive, state, reason, revision, generation, updated_ns, changed_ns, settling = row
            yield DriveMark(
                DriveId(*drive.split("/")),
                DriveState(state),
                None if reason is None else WorkReason(reason),
                revision,
                generation,
                updated_ns,
                changed_ns,
                bool(settling),
            )
