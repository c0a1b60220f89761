"""Quarantine records for a reviewer: rows of the lake, each with the decision about it from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import structs

from ingest.ledger.records import DecisionRecord, DriveRecord, RefusedRecord
from ingest.ledger.states import FINAL
from lake.documents import content_hash
from lake.landing import DriveId
from lake.overrides import Decisions, Override, Verdict
from lake.tables.rows import RawPosition, RecordFields, RecordFinding, RecordRow
from lake.tables.schemas import QUARANTINED
from ops.audit import lake_reader
from quality.decisions import record_target, why_not_releasable
from quality.records import REJECTED

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

REFUSED, RELEASING = "refused", "releasing"
STATUSES = (QUARANTINED, RELEASING, "released", REJECTED, REFUSED)
LEVELS = ("object", "drive", "scene", REFUSED)
_READERS = 8


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A reviewer's decision about a record: `release` or `reject`, of which rules, by whom, when and why."""

    verdict: Verdict
    reviewer: str
    reason: str
    rules: tuple[str, ...]
    decided_ns: int


class ReviewRecord(RecordFields, frozen=True, kw_only=True):
    """A quarantine record with the latest decision about it; a refused object has neither drive nor revision."""

    decision: Decision | None = None

    @property
    def drive(self) -> DriveId | None:
        """The drive of the record; None for a refused object."""
        return None if self.vehicle_id is None or self.drive_id is None else DriveId(self.vehicle_id, self.drive_id)

    @property
    def sensors(self) -> frozenset[str]:
        """The sensors that the record or one of its findings names."""
        return frozenset(name for name in (self.sensor, *(found.sensor for found in self.findings)) if name)


class ReviewLedger(Protocol):
    """Reads drives, decisions and refused objects from the ledger."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...
    def decisions(self, drive: DriveId) -> Sequence[DecisionRecord]: ...
    def refused(self) -> Iterable[RefusedRecord]: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects records; None matches any. `drive` is VEHICLE/DRIVE, `record` a prefix of its id."""

    vehicle: str | None = None
    drive: str | None = None
    level: str | None = None
    rule: str | None = None
    sensor: str | None = None
    status: str | None = None
    record: str | None = None

    def takes(self, row: ReviewRecord) -> bool:
        """Whether the filter selects a record."""
        return (
            self.vehicle in (None, row.vehicle_id)
            and self.drive in (None, f"{row.vehicle_id}/{row.drive_id}")
            and self.level in (None, row.level)
            and (self.rule is None or self.rule in row.rule_ids)
            and (self.sensor is None or self.sensor in row.sensors)
            and self.status in (None, row.status)
            and (self.record is None or row.record_id.startswith(self.record))
        )


def rows(catalog: Catalog, ledger: ReviewLedger, drive: DriveId | None = None) -> list[ReviewRecord]:
    """Every record, of one drive or of all; without a drive also the objects that were refused before anything was read.

    The ledger is the source of truth for decisions. A released record is `releasing` until its drive has been processed
    again; a rejected one is `rejected` from then on, whatever the table says.
    """
    found = lake_reader.records(catalog, drive)
    drives = sorted({row.drive for row in found})
    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        decided = dict(zip(drives, readers.map(lambda one: _DriveDecisions.read(ledger, one), drives), strict=True))
    listed = [decided[row.drive].applied(row) for row in found]
    return listed if drive is not None else listed + [refused_row(entry) for entry in ledger.refused()]


@dataclass(frozen=True, slots=True)
class _DriveDecisions:
    """A drive's decisions with the time of each, and the revision that its last finished run processed."""

    log: tuple[tuple[Override, int], ...]
    finished_revision: str | None

    @classmethod
    def read(cls, ledger: ReviewLedger, drive: DriveId) -> _DriveDecisions:
        log = tuple((Override.parse(text), one.decided_ns) for one in ledger.decisions(drive) for text in sorted(one.overrides))
        record = ledger.drive(drive) if log else None
        return cls(log, record.revision if record is not None and record.state in FINAL else None)

    def applied(self, row: RecordRow) -> ReviewRecord:
        """The record with the decision about it, if there is one, and its status."""
        base = row.input or row.revision
        override = Decisions.among((override for override, _ in self.log), base).of_target(record_target(row))
        status = row.status
        if override is not None and status == QUARANTINED:
            if override.verdict is Verdict.REJECT:
                status = REJECTED
            elif row.revision != self.finished_revision:
                status = RELEASING
        decision = None if override is None else self._decision(override)
        return ReviewRecord(**structs.asdict(row) | {"input": base, "status": status, "decision": decision})

    def _decision(self, override: Override) -> Decision:
        return Decision(
            verdict=override.verdict,
            reviewer=override.reviewer,
            reason=override.reason,
            rules=tuple(override.rules),
            decided_ns=next(at_ns for known, at_ns in self.log if known == override),
        )


def refused_row(entry: RefusedRecord) -> ReviewRecord:
    """A refused object of the ledger as a record. Its id is derived from key and version."""
    finding = RecordFinding(rule_id=entry.rule_id, measured=None, threshold=None, message=entry.message, severity="error")
    return ReviewRecord(
        record_id=content_hash({"key": entry.head.key, "version_id": entry.head.version_id}),
        level=REFUSED,
        vehicle_id=None,
        drive_id=None,
        revision=None,
        rule_ids=(entry.rule_id,),
        findings=(finding,),
        source=RawPosition(key=entry.head.key, version_id=entry.head.version_id),
        payload_uri=entry.payload_uri,
        frames=0,
        status=REFUSED,
    )


def why_not(row: ReviewRecord, verdict: Verdict) -> str | None:
    """Why a record cannot be released, or rejected; None if it can."""
    if row.level == REFUSED:
        return "it was refused before anything in it was read; upload it again under a key of the landing layout"
    if row.decision is not None:
        word = "released" if row.decision.verdict is Verdict.RELEASE else "rejected"
        return f"already {word} by {row.decision.reviewer}: {row.decision.reason}"
    return why_not_releasable(row) if verdict is Verdict.RELEASE else None
