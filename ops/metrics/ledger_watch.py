"""Follows the ledger's drives: reads in whole what is unfinished, and of what is finished only what changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest.ledger.ledger import DriveRecord, DriveState, Ledger
from ingest.ledger.states import FINAL
from ingest.ledger.work import Reason
from lake.landing import DriveId
from sensors.time_units import NS_PER_S

OVERLAP_NS = 300 * NS_PER_S  # the index is eventually consistent, and the clocks of its writers differ
MAX_LATE = 256  # finished drives with objects that no revision holds; each takes a request of its own


@dataclass(frozen=True, slots=True)
class DriveMark:
    """What says whether a drive changed since it was last looked at; the fields are those of `DriveRecord`."""

    drive: DriveId
    state: DriveState
    reason: Reason | None
    revision: str | None
    generation: int
    updated_ns: int
    changed_ns: int
    settling: bool

    @classmethod
    def of(cls, record: DriveRecord) -> DriveMark:
        """The mark of a record."""
        return cls(
            record.drive,
            record.state,
            record.reason,
            record.revision,
            record.generation,
            record.updated_ns,
            record.changed_ns,
            record.settling,
        )

    @property
    def unprocessed(self) -> bool:
        """Whether there is data of the drive that no finished revision holds."""
        return self.state not in FINAL or self.settling


class LedgerWatch:
    """The drives of a ledger. A reading costs what is unfinished and what was finished since the last one; memory grows by
    some hundred bytes a drive. Used by one thread.
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
        # Finished ones last: a drive that ends between two queries is seen, and its newer state counts.
        newest_ns = max((mark.updated_ns for mark in self._finished.values()), default=0)
        for state in sorted(FINAL):
            for record in self._ledger.drives(state, max(0, newest_ns - OVERLAP_NS)):
                _keep_newer(self._finished, DriveMark.of(record))
        self._look_at_late_objects()
        marks = dict(self._finished)
        for mark in unfinished.values():
            _keep_newer(marks, mark)
        return dict(sorted(marks.items()))

    def _look_at_late_objects(self) -> None:
        """A new object of a finished drive does not move its state, so no query by state tells of it."""
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
