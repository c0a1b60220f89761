"""The scheduled sweep: resends unsent work, queues overdue drives, registers objects whose event was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TypeVar

from ingest.ledger.records import ObjectHead
from ingest.ledger.states import DriveState
from ingest.ports import Clock, LandingObjects, LandingStore
from ingest.register import Registrar
from lake.errors import LandingError
from lake.landing import DriveId, parse_raw_key
from sensors.time_units import NS_PER_S

Subject = TypeVar("Subject")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Deadlines after which the sweep acts, and limits on the work of one sweep.

    Unsent work is sent again after `resend_after_s`; objects and drives whose event has not come are checked after
    `reconcile_after_s`; an incomplete drive is queued `overdue_after_s` after its last new object.
    """

    overdue_after_s: float = 3600.0
    resend_after_s: float = 60.0
    reconcile_after_s: float = 300.0
    drives: int = 500
    objects: int = 2000


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many messages were sent again, drives evaluated, objects listed and registered, and how many steps failed."""

    resent: int
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
    ) -> None:
        self._registrar = registrar
        self._objects = objects
        self._ledger = ledger
        self._limits = limits or SweepLimits()
        self._clock = clock
        self._failed = 0

    def run(self) -> SweepReport:
        """Send unsent work, evaluate settling drives, reconcile. A drive or object that fails is logged and counted."""
        self._failed = 0
        limits = self._limits
        unsent = self._ledger.unsent(self._before(limits.resend_after_s), limits.drives)
        resent = sum(self._guard(self._resend, drive) for drive in unsent)
        waited_s = min(limits.reconcile_after_s, limits.overdue_after_s)
        settling = self._ledger.settling(self._before(waited_s), limits.drives)
        evaluated = sum(self._guard(self._evaluate, drive) for drive in settling)
        listed, reconciled = self._reconcile(self._before(limits.reconcile_after_s))
        report = SweepReport(resent, evaluated, listed, reconciled, self._failed)
        if resent or evaluated or reconciled or self._failed:
            _log.info("swept", extra=asdict(report))
        return report

    def _before(self, age_s: float) -> int:
        return self._clock() - round(age_s * NS_PER_S)

    def _resend(self, drive: DriveId) -> bool:
        record = self._ledger.drive(drive)  # the index may be behind
        if record is None or not record.unsent:
            return False
        if record.state is DriveState.QUEUED:
            self._registrar.deliver(record)
            return True
        self._ledger.sent(record)  # it is processing or done, so its message did arrive
        return False

    def _reconcile(self, before_ns: int) -> tuple[int, int]:
        """Register the next objects of the raw bucket that the ledger does not have, then advance the cursor.

        The cursor is in the ledger, so that successive sweeps cycle through the bucket. Objects younger than `before_ns` are
        left to their events.
        """
        heads = self._objects.list_after(self._ledger.cursor(), self._limits.objects)
        touched: set[DriveId] = set()
        found = 0
        for key in self._unknown([head for head in heads if head.last_modified_ns < before_ns]):
            found += self._guard(lambda key: self._register(key, touched), key)
        for drive in sorted(touched):
            self._guard(self._evaluate, drive)
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

    def _register(self, key: str, touched: set[DriveId]) -> bool:
        drive = self._registrar.register(key)
        if drive is not None:
            touched.add(drive)
        return True

    def _evaluate(self, drive: DriveId) -> bool:
        record = self._ledger.drive(drive)
        overdue = record is not None and record.changed_ns < self._before(self._limits.overdue_after_s)
        self._registrar.evaluate(drive, overdue=overdue)
        return True

    def _guard(self, step: Callable[[Subject], bool], subject: Subject) -> bool:
        """Run one step; a failure is logged and counted, and the sweep goes on."""
        try:
            return step(subject)
        except Exception as error:  # noqa: BLE001 - logged and counted
            self._failed += 1
            _log.exception("sweep_step_failed", extra={"subject": subject, "error": error})
            return False


def _drive_of(head: ObjectHead) -> DriveId | None:
    try:
        return parse_raw_key(head.key).drive
    except LandingError:
        return None


def _identity(head: ObjectHead) -> tuple[str, str, int, int]:
    """The part common to a listing and a HEAD: no version id, whole seconds. Equal bytes put twice in a second count as one."""
    return head.key, head.etag, head.size_bytes, head.last_modified_ns // NS_PER_S
