"""The audit of some drives, in the memory of a few: group by group, each drive from its own prefix, records and files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from ingest.ledger.records import DriveRecord
from lake.landing import DriveId
from lake.tables.pinned import pin
from lake.tables.planned_files import Days
from scenes.accounting.drive_rows import GroupRows
from scenes.accounting.drive_sources import (
    AuditSources,
    copies_that_exist,
    declared,
    exists,
    is_outside,
    late_objects,
    ledger_drive,
    ledger_objects,
    raw_versions,
    refused_objects,
)
from scenes.accounting.identity import Check, check_drive, check_outside
from scenes.accounting.inputs import DriveInputs, LedgerObject, RawObject
from sensors.time_units import NS_PER_S

GROUP = 32  # drives that are planned together
READERS = 4  # drives that are read at the same time: they wait for S3 and the ledger, and each is held in memory
ATTEMPTS = 3  # readings of a drive that does not balance


@dataclass(frozen=True, slots=True)
class Target:
    """A drive to audit. `days`: days that its rows may be filed under besides those of its publications."""

    drive: DriveId
    days: Days = frozenset()


@dataclass(frozen=True, slots=True)
class DriveAudit:
    """The checks of one drive. `known`: whether any source holds anything of it. `arriving`: how many of its objects landed
    during the audit and are not in the ledger yet: nothing is said of them."""

    drive: DriveId
    checks: tuple[Check, ...]
    known: bool
    arriving: int

    @property
    def balanced(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


def begin_ns() -> int:
    """The time as of which an audit that begins now speaks: the full second, because S3 knows no finer time of an upload."""
    return time.time_ns() // NS_PER_S * NS_PER_S


def audit_drives(sources: AuditSources, targets: Iterable[Target], as_of_ns: int) -> Iterator[DriveAudit]:
    """Audit drives, in the order given.

    The sources cannot be read at one moment. A drive that does not balance is read again, up to three times in all, until two
    readings agree: what was published, registered or processed again in between is no fault.
    """
    remaining = iter(targets)
    while group := list(islice(remaining, GROUP)):
        yield from audit_group(sources, group, as_of_ns)


def audit_group(sources: AuditSources, group: Sequence[Target], as_of_ns: int) -> list[DriveAudit]:
    """As `audit_drives`, for few enough drives to plan them together."""
    found = {one.drive: one for one in _read(sources, group, as_of_ns)}
    for _ in range(ATTEMPTS - 1):
        again = [target for target in group if not found[target.drive].balanced]
        before = [found[target.drive] for target in again]
        after = _read(sources, again, as_of_ns) if again else []
        found |= {one.drive: one for one in after}
        if after == before:
            break
    return [found[target.drive] for target in group]


def _read(sources: AuditSources, group: Sequence[Target], as_of_ns: int) -> list[DriveAudit]:
    with ThreadPoolExecutor(READERS) as readers:
        # The ledger first: a drive is marked published after its commit, so the tables that are pinned next hold it.
        records = list(readers.map(lambda target: sources.ledger.drive(target.drive), group))
        days: Days = frozenset().union(*(target.days for target in group))
        rows = GroupRows(pin(sources.catalog), [target.drive for target in group], days)
        audit = partial(_audit, sources, rows, as_of_ns)
        return list(readers.map(audit, [target.drive for target in group], records))


def _audit(sources: AuditSources, rows: GroupRows, as_of_ns: int, drive: DriveId, record: DriveRecord | None) -> DriveAudit:
    inputs, outside = read_inputs(sources, rows, as_of_ns, drive, record)
    checks = check_drive(inputs)
    if outside:
        refused = [*refused_objects(sources.ledger, (entry.key for entry in outside))]
        if record is None:
            refused += late_objects(sources.ledger, drive, outside)
        checks += (check_outside(outside, refused, as_of_ns),)
    known = bool(record or inputs.raw or outside or inputs.batches or inputs.frames or inputs.scenes or inputs.records)
    return DriveAudit(drive, checks, known, len(inputs.arriving))


def read_inputs(
    sources: AuditSources, rows: GroupRows, as_of_ns: int, drive: DriveId, record: DriveRecord | None
) -> tuple[DriveInputs, tuple[RawObject, ...]]:
    """What the sources hold of a drive, and the objects under its prefix that are outside the landing layout."""
    names = sources.names
    found = rows.read(drive)
    listed = tuple(raw_versions(sources.s3, names.raw_bucket, drive.prefix))
    raw = tuple(entry for entry in listed if not is_outside(entry.key))
    registered = tuple(ledger_objects(sources.ledger, drive))
    if record is None:  # as of a drive that was forgotten
        registered += tuple(late_objects(sources.ledger, drive, raw))
    inputs = DriveInputs(
        drive=str(drive),
        as_of_ns=as_of_ns,
        raw=raw + tuple(_landed_meanwhile(sources, raw, registered)),
        ledger=None if record is None else ledger_drive(record),
        ledger_objects=registered,
        declared=() if record is None else tuple(declared(sources.store, names.raw_bucket, record)),
        indexed=found.indexed,
        frames=found.frames,
        scenes=found.scenes,
        held=found.held,
        records=found.records,
        payloads=copies_that_exist(
            sources.store, names.quarantine_bucket, (entry.payload_uri for entry in found.records if entry.payload_uri)
        ),
        batches=found.batches,
        unreadable=found.unreadable,
    )
    return inputs, tuple(entry for entry in listed if is_outside(entry.key))


def _landed_meanwhile(sources: AuditSources, raw: Iterable[RawObject], registered: Iterable[LedgerObject]) -> Iterator[RawObject]:
    """Versions that landed and were registered between the listing and the reading of the ledger."""
    seen = {(entry.key, entry.version_id) for entry in raw}
    for entry in registered:
        unseen = (entry.key, entry.version_id) not in seen
        if unseen and exists(sources.s3, sources.names.raw_bucket, entry.key, entry.version_id):
            yield RawObject(entry.key, entry.version_id)
