"""The ledger's drives, updated with every reading, and their summary: counts, ages, and lag from landing to gold.

Unfinished drives are read in full each time, finished ones only if they changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL, DriveState
from lake.landing import DriveId
from ops.metrics.mark_store import BY_LANDING, WAITING, DriveMark, MarkStore
from sensors.stamps import Nanoseconds
from sensors.time_units import NS_PER_S

OVERLAP_NS = 300 * NS_PER_S  # the index is eventually consistent, and the clocks of its writers differ
MAX_LATE = 256  # finished drives with objects that no revision holds; each takes a request of its own
MOST_ASKED = 16  # drives at rest of which a reading asks whether they are still there
RECENT_LAGS = 100
Changed = Callable[[DriveId], None]


def _unnoticed(drive: DriveId) -> None:
    del drive


class LedgerWatch:
    """The drives of a ledger. A reading reads the unfinished drives and those finished since the last one; what is known of the
    others is on disk. Not thread-safe.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._place = ""
        self.marks = MarkStore()

    def read(self, changed: Changed = _unnoticed) -> MarkStore:
        """Every drive as the ledger's index has it now. `changed` is called with each drive that is new, has another mark, or is
        gone."""
        unfinished: set[DriveId] = set()
        newest_ns = self.marks.newest_finished_ns()
        # Finished ones last: a drive that finishes between two queries is then read, and its newer state counts.
        for state in (*WAITING, *sorted(FINAL)):
            since_ns = max(0, newest_ns - OVERLAP_NS) if state in FINAL else 0
            for record in self._ledger.drives(state, since_ns):
                mark = DriveMark.of(record)
                if state not in FINAL:
                    unfinished.add(mark.drive)
                if self.marks.put_newer(mark):
                    changed(mark.drive)
        self._read_others(unfinished, changed)
        self._look_for_forgotten(changed)
        return self.marks

    def _look_for_forgotten(self, changed: Changed) -> None:
        """Ask in turn whether drives at rest are still there: one may be forgotten between two readings."""
        some = self.marks.at_rest_after(self._place, MOST_ASKED)
        for mark in some:
            if self._ledger.drive(mark.drive) is None:
                self.marks.remove(mark)
                changed(mark.drive)
        self._place = str(some[-1].drive) if len(some) == MOST_ASKED else ""

    def _read_others(self, unfinished: set[DriveId], changed: Changed) -> None:
        """A new object of a finished drive does not change its state, so no query by state finds it; nor one that was removed."""
        known = {mark.drive for mark in self.marks.unprocessed()} - unfinished
        for drive in known.union(self._ledger.settling(self._clock(), MAX_LATE)) - unfinished:
            before, record = self.marks.get(drive), self._ledger.drive(drive)
            if record is not None and (before is not None or record.state in FINAL):
                if self.marks.put(DriveMark.of(record)):
                    changed(drive)
            elif record is None and before is not None:
                self.marks.remove(before)
                changed(drive)


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
    def of(cls, marks: MarkStore, now_ns: int) -> DriveStates:
        """Summarise the drives. Ages are never negative, whatever the clocks say."""
        since = {state: marks.oldest_ns(state) for state in WAITING}
        waiting = (_waiting_since_ns(mark) for mark in marks.unprocessed() if mark.state is not DriveState.FORGOTTEN)
        lags = [max(0, mark.updated_ns - mark.changed_ns) for mark in marks.published_last(RECENT_LAGS)]
        return cls(
            counts={state: marks.counts.get(state, 0) for state in DriveState},
            state_age_ns={state: 0 if ns is None else max(0, now_ns - ns) for state, ns in since.items()},
            oldest_unprocessed_ns=max(0, now_ns - min(waiting, default=now_ns)),
            lags_ns=np.sort(np.array(lags, dtype=np.int64)),
        )


def _waiting_since_ns(mark: DriveMark) -> int:
    by_landing = mark.reason is None or mark.reason in BY_LANDING or mark.settling
    return mark.changed_ns if by_landing else mark.updated_ns
