"""One audit, as it was asked for: which drives, from which watermark, and whether it is signed off."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.landing import DriveId
from lake.tables.pinned import PinnedTables, pin
from ops.audit import selection
from ops.errors import NotFoundError
from scenes.accounting.drive_audit import Target, audit_drives, begin_ns
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.identity import Check
from scenes.accounting.known_drives import KnownDrives, no_drives
from scenes.accounting.tally import AuditResultDocument, AuditTally
from scenes.accounting.watermark import Watermark, WatermarkStore, check_current
from scenes.accounting.whole_lake import Progress, add_shared_files, audit_lake, no_progress, one_by_one

if TYPE_CHECKING:
    from ingest.ledger.repository import Ledger


@dataclass(frozen=True, slots=True)
class AuditDone:
    """An audit and its scope.

    `since`: the watermark that it began at; what has not changed since was not looked at. `signed`: the watermark that it left,
    None if it left none.
    """

    result: AuditResultDocument
    scope: str
    since: Watermark | None = None
    signed: Watermark | None = None


@dataclass(frozen=True, slots=True)
class Auditor:
    """Audits a deployment. `ledger` is the one in `sources`; `watermarks` is None where no audit can be signed off; `each` is
    called with every check."""

    sources: AuditSources
    ledger: Ledger
    watermarks: WatermarkStore | None
    signed_by: str
    progress: Progress = no_progress
    each: Callable[[Check], None] | None = None

    def everything(self) -> AuditDone:
        """Every drive that any source knows; signed off if it balances."""
        tally, tables = self._tally(), pin(self.sources.catalog)
        audit_lake(self.sources, tally, one_by_one(self.sources), self.progress)
        return AuditDone(tally.result(), "every drive", signed=self._sign(tally.result(), tables, None))

    def changed(self) -> AuditDone:
        """The drives that changed since the watermark; signed off if they balance. Everything, where nothing has been signed off.

        Raises:
            WatermarkError: The watermark is forged or stale.
        """
        watermark = None if self.watermarks is None else self.watermarks.read()
        if watermark is None:
            return self.everything()
        tally, tables = self._tally(), pin(self.sources.catalog)
        check_current(watermark, tables, tally.as_of_ns)
        self._selected(tally, lambda known: selection.add_since_watermark(known, self.ledger, tables, watermark))
        signed = self._sign(tally.result(), tables, watermark)
        return AuditDone(tally.result(), "drives that changed since the watermark", watermark, signed)

    def day(self, day: datetime.date) -> AuditDone:
        """The drives of a UTC day."""
        tally, tables = self._tally(), pin(self.sources.catalog)
        self._selected(tally, lambda known: selection.add_day(known, self.ledger, tables, day))
        return AuditDone(tally.result(), f"drives of {day}")

    def since(self, since_ns: int, shown: str) -> AuditDone:
        """The drives that changed at a time or later; `shown` is the time as it was given."""
        tally, tables = self._tally(), pin(self.sources.catalog)
        self._selected(tally, lambda known: selection.add_since_time(known, self.ledger, tables, since_ns))
        return AuditDone(tally.result(), f"drives that changed since {shown}")

    def drive(self, drive: DriveId) -> AuditDone:
        """One drive.

        Raises:
            NotFoundError: No source knows it.
        """
        tally = self._tally()
        for found in audit_drives(self.sources, [Target(drive)], tally.as_of_ns):
            if not found.known:
                hint = "`scenelake gold ls` lists the published drives"
                raise NotFoundError(f"neither S3, the ledger nor the tables know {drive}", hint)
            tally.add(found)
        return AuditDone(tally.result(), f"drive {drive}")

    def _tally(self) -> AuditTally:
        return AuditTally(begin_ns(), self.each)

    def _selected(self, tally: AuditTally, add: Callable[[KnownDrives], None]) -> None:
        with no_drives() as known:
            add(known)
            add_shared_files(tally, known)
            one_by_one(self.sources)(known, tally, self.progress, len(known))

    def _sign(self, result: AuditResultDocument, tables: PinnedTables, since: Watermark | None) -> Watermark | None:
        if self.watermarks is None or not result.can_be_signed:
            return None
        return self.watermarks.sign(result, tables, self.signed_by, since)
