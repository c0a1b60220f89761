"""The audit of every drive that any source knows, and of the objects that belong to none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from scenes.accounting.drive_audit import Target, audit_drives
from scenes.accounting.drive_sources import AuditSources, exists, refused_objects
from scenes.accounting.identity import check_outside, check_refused, check_shared_files, check_strangers
from scenes.accounting.inputs import RawObject
from scenes.accounting.known_drives import KnownDrives, add_all, no_drives
from scenes.accounting.tally import AuditTally

CHUNK = 1000  # objects without a drive that are compared at once
Progress = Callable[[int, int], None]
AuditAll = Callable[[Iterable[Target], AuditTally, Progress, int], None]


def no_progress(done: int, total: int) -> None:
    """Reports nothing."""


def one_by_one(sources: AuditSources) -> AuditAll:
    """Audits drives in this process."""

    def audit_all(targets: Iterable[Target], tally: AuditTally, progress: Progress, total: int) -> None:
        for found in audit_drives(sources, targets, tally.as_of_ns):
            tally.add(found)
            progress(tally.drives, total)

    return audit_all


def audit_lake(sources: AuditSources, tally: AuditTally, audit_all: AuditAll, progress: Progress) -> None:
    """Audit everything. Memory is that of a group of drives; the names of all drives are kept on disk.

    `audit_all`: audits the drives and adds them to the tally, in their order; here (`one_by_one`) or elsewhere.
    """
    outside = _Outside(sources, tally)
    with no_drives() as known:
        add_all(known, sources, outside.add)
        outside.compare()
        add_shared_files(tally, known)
        audit_all(known, tally, progress, len(known))
    refused = iter(sources.ledger.refused())
    while chunk := list(islice(refused, CHUNK)):
        bucket = sources.names.raw_bucket
        absent = [one.head.key for one in chunk if not exists(sources.s3, bucket, one.head.key, one.head.version_id)]
        tally.add_checks([check_refused(len(chunk), absent)])


def add_shared_files(tally: AuditTally, known: KnownDrives) -> None:
    """Count the checks of the files whose drives were looked for: that all could be read, and that no row is of none."""
    if known.shared:
        tally.add_checks([check_shared_files(known.shared, known.unreadable)])
    if known.strangers:
        tally.add_checks([check_strangers(len(known.strangers), known.strangers)])


class _Outside:
    """Compares versions without a drive with what the ledger has refused, a chunk at a time."""

    def __init__(self, sources: AuditSources, tally: AuditTally) -> None:
        self._sources, self._tally = sources, tally
        self._waiting: list[RawObject] = []

    def add(self, entry: RawObject) -> None:
        self._waiting.append(entry)
        if len(self._waiting) >= CHUNK:
            self.compare()

    def compare(self) -> None:
        landed, self._waiting = self._waiting, []
        if landed:
            refused = refused_objects(self._sources.ledger, (entry.key for entry in landed))
            self._tally.add_checks([check_outside(landed, refused, self._tally.as_of_ns)])
