"""The ledger's drives, updated with every reading, and their summary: counts, ages, and lag from landing to gold.

Unfinished drives are read in full each time, finished ones only if they changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields

import numpy as np

from ingest.ledger.records import DriveRecord
from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL, DriveState
from ingest.ledger.work_message import WorkReason
from lake.landing import DriveId
from sensors.stamps import Nanoseconds
from sensors.time_units import NS_PER_S

OVERLAP_NS = 300 * NS_PER_S  # the index is eventually consistent, and the clocks of its writers differ
MAX_LATE = 256  # finished drives with objects that no revision holds; each takes a request of its own


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


class LedgerWatch:
    """The drives of a ledger. A reading reads the unfinished drives and those finished since the last one; memory grows by
    some hundred bytes per drive. Not thread-safe.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._finished: dict[DriveId, DriveMark] = {}

    def read(self) -> dict[DriveId, DriveMark]:
        """Every drive as the ledger's index has it now, in the order of their ids."""
        unfinished: dict[DriveId, DriveMark] = {}
        for state in DriveState:
            for record in () if state in FINAL else self._ledger.drives(state):
                _keep_newer(unfinished, DriveMark.of(record))
        # Finished ones last: a drive that finishes between two queries is then read, and its newer state counts.
        newest_ns = max((mark.updated_ns for mark in self._finished.values()), default=0)
        for state in sorted(FINAL):
            for record in self._ledger.drives(state, max(0, newest_ns - OVERLAP_NS)):
                _keep_newer(self._finished, DriveMark.of(record))
        self._read_late_objects()
        marks = dict(self._finished)
        for mark in unfinished.values():
            _keep_newer(marks, mark)
        return dict(sorted(marks.items()))

    def _read_late_objects(self) -> None:
        """A new object of a finished drive does not change its state, so no query by state finds it."""
        settling = self._ledger.settling(self._clock(), MAX_LATE)
        known = [drive for drive, mark in self._finished.items() if mark.settling]
        for drive in {*settling, *known} & self._finished.keys():
            record = self._ledger.drive(drive)
            if record is not None and record.state in FINAL:
                self._finished[drive] = DriveMark.of(record)


def _keep_newer(marks: dict[DriveId, DriveMark], mark: DriveMark) -> None:
    known = marks.get(mark.drive)
    if known is None or (known.generation, known.updated_ns) <= (mark.generation, mark.updated_ns):
        marks[mark.drive] = mark


RECENT_LAGS = 100
_BY_LANDING = (WorkReason.COMPLETE, WorkReason.OVERDUE)  # other runs are started by a reviewer or operator, not by an object
WAITING = tuple(state for state in DriveState if state not in FINAL)


@dataclass(frozen=True, slots=True)
class DriveStates:
    """The drives of a ledger at one time.

    `state_age_ns`: for each unfinished state, how long its oldest drive has been in it; 0 if there is none.
    `oldest_unprocessed_ns`: the longest time since the last object of a drive landed that no finished revision holds; of a
    drive that is processed again, since it was last started. `lags_ns`: ascending (N,), N <= 100, from the registration of a
    drive's last object to the ledger's record of its publication, of the drives published last.
    """

    counts: Mapping[DriveState, int]
    state_age_ns: Mapping[DriveState, int]
    oldest_unprocessed_ns: int
    lags_ns: Nanoseconds

    @classmethod
    def of(cls, marks: Collection[DriveMark], now_ns: int) -> DriveStates:
        """Summarise the drives. Ages are never negative, whatever the clocks say."""
        counts = Counter(mark.state for mark in marks)
        since = {state: min((mark.updated_ns for mark in marks if mark.state is state), default=now_ns) for state in WAITING}
        waiting = [_waiting_since_ns(mark) for mark in marks if mark.unprocessed]
        return cls(
            counts={state: counts[state] for state in DriveState},
            state_age_ns={state: max(0, now_ns - first_ns) for state, first_ns in since.items()},
            oldest_unprocessed_ns=max(0, now_ns - min(waiting, default=now_ns)),
            lags_ns=_lags_ns(marks),
        )


def _waiting_since_ns(mark: DriveMark) -> int:
    by_landing = mark.reason is None or mark.reason in _BY_LANDING or mark.settling
    return mark.changed_ns if by_landing else mark.updated_ns


def _lags_ns(marks: Collection[DriveMark]) -> Nanoseconds:
    at_rest = (mark for mark in marks if mark.state is DriveState.PUBLISHED and not mark.settling)
    by_landing = (mark for mark in at_rest if mark.reason in _BY_LANDING)
    newest = sorted(by_landing, key=lambda mark: mark.updated_ns)[-RECENT_LAGS:]
    lags = np.array([max(0, mark.updated_ns - mark.changed_ns) for mark in newest], dtype=np.int64)
    return np.sort(lags)
