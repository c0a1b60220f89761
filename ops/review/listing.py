"""Quarantine records as a reviewer sees them: the rows of the lake, with what was decided about them since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ingest.ledger.records import DecisionRecord, DriveRecord, RefusedRecord
from ingest.ledger.states import FINAL
from lake.documents import content_hash
from lake.landing import DriveId
from lake.overrides import Decisions, Override, Verdict
from ops.audit import lake_reader
from quality.decisions import record_target, why_not_releasable
from quality.records import QUARANTINED, REJECTED

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

REFUSED, RELEASING = "refused", "releasing"
STATUSES = (QUARANTINED, RELEASING, "released", REJECTED, REFUSED)
LEVELS = ("object", "drive", "scene", REFUSED)
_READERS = 8

Row = dict[str, Any]


class Decided(Protocol):
    """What a listing asks of the ledger."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...
    def decisions(self, drive: DriveId) -> Sequence[DecisionRecord]: ...
    def refused(self) -> Iterable[RefusedRecord]: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records; None: any. `drive` is VEHICLE/DRIVE, `record` what its id begins with."""

    vehicle: str | None = None
    drive: str | None = None
    level: str | None = None
    rule: str | None = None
    sensor: str | None = None
    status: str | None = None
    record: str | None = None

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a record is one of those."""
        return (
            self.vehicle in (None, row["vehicle_id"])
            and self.drive in (None, f"{row['vehicle_id']}/{row['drive_id']}")
            and self.level in (None, row["level"])
            and (self.rule is None or self.rule in row["rule_ids"])
            and (self.sensor is None or self.sensor == row["sensor"] or self.sensor in _sensors(row))
            and self.status in (None, row["status"])
            and (self.record is None or row["record_id"].startswith(self.record))
        )


def rows(catalog: Catalog, ledger: Decided, drive: DriveId | None = None) -> list[Row]:
    """Every record, of one drive or of all; without a drive also the objects that were refused before anything was read.

    The ledger is the truth about decisions. A record that was released and whose drive is not through yet is `releasing`;
    one that was rejected is `rejected` from then on, whatever the table says of it. `decision` says who, when and why.
    """
    found = [{**row, "input": row.get("input") or row["revision"]} for row in lake_reader.records(catalog, drive)]
    drives = sorted({drive_of(row) for row in found})
    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        known = dict(zip(drives, readers.map(lambda one: _Known.of(ledger, one), drives), strict=True))
    listed = [{**row, **known[drive_of(row)].decided(row)} for row in found]
    return listed if drive is not None else listed + [refused_row(entry) for entry in ledger.refused()]


def drive_of(row: Mapping[str, Any]) -> DriveId:
    """The drive of a record that has one."""
    return DriveId(row["vehicle_id"], row["drive_id"])


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger holds about one drive: decisions by input, when each was taken, and the revision that is at rest."""

    log: tuple[tuple[Override, int], ...]
    resting: str | None

    @classmethod
    def of(cls, ledger: Decided, drive: DriveId) -> _Known:
        log = tuple((Override.parse(text), one.decided_ns) for one in ledger.decisions(drive) for text in sorted(one.overrides))
        record = ledger.drive(drive) if log else None
        return cls(log, record.revision if record is not None and record.state in FINAL else None)

    def decided(self, row: Row) -> dict[str, Any]:
        """What is to be said of a record besides its row."""
        override = Decisions.among((override for override, _ in self.log), row["input"]).of_target(record_target(row))
        status = row["status"]
        if override is not None and status == QUARANTINED:
            through = row["revision"] == self.resting
            if override.verdict is Verdict.REJECT:
                status = REJECTED
            elif not through:
                status = RELEASING
        return {"status": status, "decision": None if override is None else self._told(override)}

    def _told(self, override: Override) -> dict[str, Any]:
        decided_ns = next(at_ns for known, at_ns in self.log if known == override)
        return {
            "verdict": override.verdict.value,
            "reviewer": override.reviewer,
            "reason": override.reason,
            "rules": list(override.rules),
            "decided_ns": decided_ns,
        }


def refused_row(entry: RefusedRecord) -> Row:
    """A refused object of the ledger in the form of a record. Its id is derived from key and version."""
    finding = {
        "rule_id": entry.rule_id,
        "measured": None,
        "threshold": None,
        "message": entry.message,
        "sensor": None,
        "severity": "error",
    }
    return {
        "record_id": content_hash({"key": entry.head.key, "version_id": entry.head.version_id}),
        "level": REFUSED,
        "vehicle_id": None,
        "drive_id": None,
        "revision": None,
        "sensor": None,
        "anchor_ns": None,
        "stamp_ns": None,
        "rule_ids": [entry.rule_id],
        "findings": [finding],
        "source": {"key": entry.head.key, "version_id": entry.head.version_id, "offset": None},
        "payload_uri": entry.payload_uri,
        "frames": 0,
        "status": REFUSED,
        "decision": None,
    }


def why_not(row: Mapping[str, Any], verdict: Verdict) -> str | None:
    """Why a record cannot be released, or rejected; None if it can."""
    decision = row["decision"]
    if row["level"] == REFUSED:
        return "it was refused before anything of it was read; put it under a key of the landing layout"
    if decision is not None:
        done = "released" if decision["verdict"] == Verdict.RELEASE else "rejected"
        return f"{done} already by {decision['reviewer']}: {decision['reason']}"
    return why_not_releasable(row) if verdict is Verdict.RELEASE else None


def _sensors(row: Mapping[str, Any]) -> set[str]:
    return {found["sensor"] for found in row["findings"] if found.get("sensor")}
