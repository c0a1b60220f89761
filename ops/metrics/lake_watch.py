"""Follows ledger and lake: reads a drive again when its record or its publication changed, or while it does not balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from lake.landing import DriveId
from ops.audit import lake_reader
from ops.metrics.drive_facts import Amount, DriveFacts
from ops.metrics.drive_reading import Sources, read_drive
from ops.metrics.lake_summary import LakeSummary, summarise
from ops.metrics.ledger_watch import DriveMark, LedgerWatch
from ops.metrics.pinned_tables import PinnedTables, pin

if TYPE_CHECKING:
    from lake.tables.catalog import LakeCatalog

RECENT_DRIVES = 32  # that residuals, rules and the share of quarantine speak of; bounds what is kept in memory
MAX_AGAIN = 16  # drives that do not balance and have not changed: looked at again in turn, however many there are
MAX_REFUSED = 1000  # the count stands for "as many or more" there


@dataclass(frozen=True, slots=True)
class _Read:
    mark: DriveMark
    snapshot_id: int | None
    whole: bool
    facts: DriveFacts
    reading: int


class LakeWatch:
    """The lake's summary. A reading costs the drives that changed since the last one, and up to 16 that do not balance, which
    may be for a moment only; the first costs every drive once.

    Used by one thread.
    """

    def __init__(self, sources: Sources, drives: LedgerWatch, open_catalog: Callable[[], LakeCatalog]) -> None:
        self._sources = sources
        self._drives = drives
        self._open_catalog = open_catalog
        self._catalog: LakeCatalog | None = None
        self._tables: PinnedTables | None = None
        self._snapshots: tuple[lake_reader.Snapshot, ...] = ()
        self._batches: dict[str, list[lake_reader.Snapshot]] = {}
        self._read: dict[DriveId, _Read] = {}
        self._summary: LakeSummary | None = None
        self._readings = 0

    def read(self) -> LakeSummary:
        """The summary as of now.

        Raises:
            LakeError: Something of a drive that changed could not be read; what had been read before is kept for the next time.
        """
        # The ledger first: it calls a drive published only after the commit, so what it says is in the tables that follow.
        marks = self._drives.read()
        self._pin()
        recent = _newest(self._batches, marks)
        self._readings += 1
        again = self._unbalanced_longest_ago()
        for drive, mark in marks.items():
            self._look_at(mark, whole=drive in recent, again=drive in again)
        refused = self._refused()
        if self._summary is None or self._summary.objects["refused"] != refused:
            self._summary = summarise(
                drives=[read.facts for read in self._read.values()],
                recent=[self._read[drive].facts for drive in recent],
                refused=refused,
                publications=len(self._snapshots),
                published_scenes=sum(snapshot.added_scenes for snapshot in self._snapshots),
            )
        return self._summary

    def _pin(self) -> None:
        if self._catalog is None:
            self._catalog = self._open_catalog()
        pinned = pin(self._catalog, self._tables)
        if pinned is self._tables:
            return
        self._summary = None
        self._tables = pinned
        self._snapshots = tuple(lake_reader.batches(lake_reader.snapshots(pinned))) if pinned else ()
        self._batches = {}
        for snapshot in self._snapshots:
            drive = snapshot.drive or ""
            # Taken out and put in again, so that the order of the drives is that of their last publication.
            self._batches[drive] = [*self._batches.pop(drive, []), snapshot]

    def _unbalanced_longest_ago(self) -> frozenset[DriveId]:
        unbalanced = [(read.reading, drive) for drive, read in self._read.items() if not read.facts.balanced]
        return frozenset(drive for _, drive in sorted(unbalanced)[:MAX_AGAIN])

    def _look_at(self, mark: DriveMark, *, whole: bool, again: bool) -> None:
        drive, batches = mark.drive, self._batches.get(str(mark.drive), [])
        known = self._read.get(drive)
        newest = batches[-1].snapshot_id if batches else None
        unchanged = known is not None and (known.mark, known.snapshot_id) == (mark, newest)
        if known is not None and unchanged and not again and (known.whole or not whole):
            if known.whole and not whole:
                self._read[drive] = replace(known, whole=False, facts=_light(known.facts))
            return
        self._summary = None  # before anything can fail: an old summary must not outlive a reading that was broken off
        record = self._sources.ledger.drive(drive)
        assert record is not None and self._tables is not None
        facts = read_drive(self._sources, self._tables.of_drive(drive), record, batches, whole=whole)
        self._read[drive] = _Read(mark, newest, whole, facts, self._readings)

    def _refused(self) -> Amount:
        first = islice(self._sources.ledger.refused(), MAX_REFUSED)
        return sum((Amount(1, entry.head.size_bytes) for entry in first), Amount())


def _newest(published: dict[str, list[lake_reader.Snapshot]], marks: dict[DriveId, DriveMark]) -> tuple[DriveId, ...]:
    """The drives that were published last, newest first."""
    drives = (DriveId(*name.split("/")) for name in reversed(published))
    return tuple(islice((drive for drive in drives if drive in marks), RECENT_DRIVES))


def _light(facts: DriveFacts) -> DriveFacts:
    """Without what only the newest drives are asked for."""
    return replace(facts, outcomes={}, residuals_ns={}, tolerances_ns={})
