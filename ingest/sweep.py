"""The scheduled sweep: sends unsent and lost work, queues overdue drives, registers objects whose event was lost.

A work message can be lost after it was sent: a queue is purged, a message expires or is deleted by hand. SQS cannot be asked
for one message, so messages are counted: while fewer exist than drives that must have one, the drives that have waited
longest get another. A message too many costs little, because whoever receives it finds the work done or under way; every
drive that was sent one goes to the back. While more drives wait than one sweep looks at, a lost message shows by age alone.

Evaluating a drive reads what its vehicle wrote, and may be the end of the process. So all else is done before, and the drives are
taken in the order in which they were last tried: one that ends each sweep is the last of the next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TypeVar

from ingest.ledger.records import DriveRecord, ObjectHead
from ingest.ledger.states import WAITING
from ingest.ports import Clock, LandingObjects, LandingStore
from ingest.register import Registrar
from lake.errors import LandingError
from lake.landing import DriveId, parse_raw_key
from sensors.time_units import NS_PER_S

Subject = TypeVar("Subject")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Deadlines after which the sweep acts, and limits on the work of one sweep.

    Unsent work is sent again after `resend_after_s`; objects and drives whose event has not come, and drives whose message
    may be missing, are checked after `reconcile_after_s`; an incomplete drive is queued `overdue_after_s` after its last new
    object. A drive that has not changed for `lost_after_s` has no message any more, whatever the queues count: SQS keeps one
    for at most 14 days, and the one in its dead-letter queue expires with it; a lease lasts at most 12 hours.
    """

    overdue_after_s: float = 3600.0
    resend_after_s: float = 60.0
    reconcile_after_s: float = 300.0
    lost_after_s: float = 14.5 * 86400.0
    drives: int = 500
    objects: int = 2000


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many messages were sent again, drives evaluated, objects listed and registered, and how many steps failed.

    `resent` were never sent for certain, `replaced` were sent and are missing.
    """

    resent: int
    replaced: int
    evaluated: int
    listed: int
    reconciled: int
    failed: int


class Sweep:
    """One pass. Concurrent sweeps are harmless: every step is the same conditional write that an event causes."""

    def __init__(
        self,
        registrar: Registrar,
        objects: LandingObjects,
        ledger: LandingStore,
        limits: SweepLimits | None = None,
        clock: Clock = time.time_ns,
        messages: Callable[[], int] | None = None,
    ) -> None:
        """`messages`: how many work messages exist, dead letters included; without it only age shows that one is lost."""
        self._registrar = registrar
        self._objects = objects
        self._ledger = ledger
        self._limits = limits or SweepLimits()
        self._clock = clock
        self._messages = messages
        self._touched: set[DriveId] = set()
        self._failed = 0

    def run(self) -> SweepReport:
        """Send unsent and lost work, reconcile, evaluate settling drives. A drive or object that fails is logged and counted."""
        self._failed = 0
        self._touched.clear()
        limits = self._limits
        unsent = self._ledger.unsent(self._before(limits.resend_after_s), limits.drives)
        resent = sum(self._guard(self._resend, drive, False) for drive in unsent)
        replaced = sum(self._guard(self._replace, drive, False) for drive in self._without_message())
        listed, reconciled = self._guard(self._reconcile, self._before(limits.reconcile_after_s), (0, 0))
        waited_s = min(limits.reconcile_after_s, limits.overdue_after_s)
        settling = self._ledger.settling(self._before(waited_s), limits.drives)
        evaluated = sum(self._guard(self._evaluate, drive, False) for drive in settling)
        for drive in sorted(self._touched.difference(settling)):
            self._guard(self._evaluate, drive, False)
        report = SweepReport(resent, replaced, evaluated, listed, reconciled, self._failed)
        if resent or replaced or evaluated or reconciled or self._failed:
            _log.info("swept", extra=asdict(report))
        return report

    def _before(self, age_s: float) -> int:
        return self._clock() - round(age_s * NS_PER_S)

    def _resend(self, drive: DriveId) -> bool:
        record = self._ledger.drive(drive)  # the index may be behind
        if record is None or not record.unsent:
            return False
        if record.state in WAITING:
            self._registrar.deliver(record)
            return True
        self._ledger.sent(record)  # it is done: nobody needs a message
        return False

    def _without_message(self) -> Sequence[DriveRecord]:
        """Drives that must have a work message and, by count or by age, have none; those that have waited longest."""
        # Of every age, as the messages are: in a busy fleet, those of young drives would stand in for the lost one.
        before = self._count_messages()
        waiting = self._ledger.waiting(self._clock(), self._limits.drives)
        # A drive that finishes meanwhile is in the first count, one that is sent its message in the second.
        after = self._count_messages() if waiting and before is not None else None
        missing = 0 if before is None or after is None else len(waiting) - max(before, after)
        too_old = sum(record.updated_ns < self._before(self._limits.lost_after_s) for record in waiting)
        checked = [one for one in waiting if one.updated_ns < self._before(self._limits.reconcile_after_s)]
        return checked[: max(too_old, missing, 0)]

    def _count_messages(self) -> int | None:
        if self._messages is None:
            return None
        try:
            return self._messages()
        except Exception as error:  # noqa: BLE001 - logged and counted
            self._fail("work messages", error)
            return None

    def _replace(self, seen: DriveRecord) -> bool:
        marked = self._ledger.resend(seen)
        if marked is None:
            return False  # it moved on, so its message is there
        facts = {"drive": seen.drive, "state": seen.state, "generation": seen.generation, "since_ns": seen.updated_ns}
        _log.warning("work_message_lost", extra=facts)
        self._registrar.deliver(marked)
        return True

    def _reconcile(self, before_ns: int) -> tuple[int, int]:
        """Register the next objects of the raw bucket that the ledger does not have, then advance the cursor. Their drives are
        evaluated at the end of the sweep.

        The cursor is in the ledger, so that successive sweeps cycle through the bucket. Objects younger than `before_ns` are
        left to their events.
        """
        heads = self._objects.list_after(self._ledger.cursor(), self._limits.objects)
        found = 0
        for key in self._unknown([head for head in heads if head.last_modified_ns < before_ns]):
            found += self._guard(self._register, key, False)
        self._ledger.move_cursor(heads[-1].key if len(heads) == self._limits.objects else "")
        return len(heads), found

    def _unknown(self, heads: Iterable[ObjectHead]) -> Iterator[str]:
        for drive, group in groupby(heads, key=_drive_of):
            listed = list(group)
            if drive is None:
                known = [seen.head for head in listed for seen in self._ledger.refused_versions(head.key)]
            else:
                known = [seen.head for seen in self._ledger.objects_between(drive, listed[0].key, listed[-1].key)]
            identities = {_identity(head) for head in known}
            yield from (head.key for head in listed if _identity(head) not in identities)

    def _register(self, key: str) -> bool:
        drive = self._registrar.register(key)
        if drive is not None:
            self._touched.add(drive)
        return True

    def _evaluate(self, drive: DriveId) -> bool:
        record = self._ledger.drive(drive)
        overdue = record is not None and record.changed_ns < self._before(self._limits.overdue_after_s)
        self._registrar.evaluate(drive, overdue=overdue, swept=True)
        return True

    def _guard(self, step: Callable[[Subject], Result], subject: Subject, failed: Result) -> Result:
        """Run one step; one that raises is logged and counted, its result is `failed`, and the sweep goes on."""
        try:
            return step(subject)
        except Exception as error:  # noqa: BLE001 - logged and counted
            self._fail(subject, error)
            return failed

    def _fail(self, subject: object, error: Exception) -> None:
        self._failed += 1
        _log.exception("sweep_step_failed", extra={"subject": subject, "error": error})


def _drive_of(head: ObjectHead) -> DriveId | None:
    try:
        return parse_raw_key(head.key).drive
    except LandingError:
        return None


def _identity(head: ObjectHead) -> tuple[str, str, int, int]:
    """The part common to a listing and a HEAD: no version id, whole seconds. Equal bytes put twice in a second count as one."""
    return head.key, head.etag, head.size_bytes, head.last_modified_ns // NS_PER_S
