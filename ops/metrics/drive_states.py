"""How the drives stand: counts by state, how long the longest wait is, and how long the newest took from landing to gold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ingest.ledger.states import FINAL, DriveState
from ingest.ledger.work import Reason
from ops.metrics.ledger_watch import DriveMark
from sensors.stamps import Nanoseconds

RECENT_LAGS = 100
_BY_LANDING = (Reason.COMPLETE, Reason.OVERDUE)  # the others begin with a reviewer's or operator's act, not with an object
WAITING = tuple(state for state in DriveState if state not in FINAL)


@dataclass(frozen=True, slots=True)
class DriveStates:
    """The drives of a ledger at one time.

    `state_age_ns`: for each unfinished state, how long the drive has been in it that came first; 0 where there is none.
    `oldest_unprocessed_ns`: the longest time since the last object of a drive landed that no finished revision holds; of a
    drive that is processed again, since it was last taken up. `lags_ns`: ascending (N,), N <= 100, from the registration
    of a drive's last object to the ledger's note that it is published, of the drives published last.
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
