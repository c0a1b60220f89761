"""Quarantine records for a reviewer: rows of the lake, each with the decision about it from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import msgspec

from ingest.ledger.items import refused_sort_key
from ingest.ledger.records import DecisionRecord, DriveRecord, RefusedRecord
from ingest.ledger.states import FINAL
from lake.documents import content_hash
from lake.errors import LandingError
from lake.landing import DriveId
from lake.overrides import Decisions, Override, Verdict
from lake.tables.drive_walk import LoadsTables, drives_after, drives_with_records
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import RECORDS_TABLE
from lake.tables.rows import RawPosition, RecordFields, RecordFinding, RecordRow
from lake.tables.schemas import QUARANTINED
from ops.audit import lake_reader
from ops.errors import InputError
from quality.decisions import record_target, why_not_releasable
from quality.records import REJECTED

REFUSED, RELEASING = "refused", "releasing"
STATUSES = (QUARANTINED, RELEASING, "released", REJECTED, REFUSED)
LEVELS = ("object", "drive", "scene", REFUSED)
_REFUSED = f"~{REFUSED}"  # no vehicle has this name
_FIRST = "object"  # before every sort key of a refused object
PAGE = 500
MOST_DRIVES = 200


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
    def reference(self) -> str:
        """Names the record so that it is found without a search: VEHICLE/DRIVE/RECORD, or ~refused/RECORD/KEY."""
        if self.vehicle_id is None:
            return f"{_REFUSED}/{self.record_id}/{self.source.key}"
        return f"{self.vehicle_id}/{self.drive_id}/{self.record_id}"

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
    def refused(self, after: str = "") -> Iterable[RefusedRecord]: ...
    def refused_versions(self, key: str) -> list[RefusedRecord]: ...


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


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records in order, and where the next page begins; None after the last one.

    A page may hold fewer records than asked for, even none, and still have a next one: it looks at a limited number of drives.
    """

    rows: tuple[ReviewRecord, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class RecordList:
    """Every quarantine record, by drive, then the objects that were refused before anything was read; read by page.

    The ledger is the source of truth for decisions. A released record is `releasing` until its drive has been processed
    again; a rejected one is `rejected` from then on, whatever the table says.
    """

    catalog: LoadsTables
    ledger: ReviewLedger

    def of_drive(self, drive: DriveId) -> list[ReviewRecord]:
        """The records of a drive."""
        found = lake_reader.records(self.catalog, drive)
        decided = _DriveDecisions.read(self.ledger, drive) if found else None
        return [] if decided is None else [decided.applied(row) for row in found]

    def page(self, chosen: Filter, after: str | None = None, limit: int = PAGE, most_drives: int = MOST_DRIVES) -> RecordPage:
        """The next records that a filter selects.

        Args:
            chosen: The filter; with a vehicle or a drive, nothing else is read.
            after: Where the page before ended; None for the first page.
            limit: Most records on the page.
            most_drives: Most drives whose records are read for it.

        Raises:
            InputError: `after` is no such place.
        """
        place = _Place.parse(after)
        rows: list[ReviewRecord] = []
        for read, (drive, in_it) in enumerate(self._drives(chosen, place) if not place.refused else ()):
            if read == most_drives:
                return RecordPage(tuple(rows), str(place))
            for row in in_it:
                if len(rows) == limit:
                    return RecordPage(tuple(rows), str(place))
                if chosen.takes(row):
                    rows.append(row)
                place = _Place(drive, row.record_id)
            place = _Place(drive)
        if chosen.vehicle is not None or chosen.drive is not None or chosen.level not in (None, REFUSED):
            return RecordPage(tuple(rows), None)
        for entry in self.ledger.refused(place.refused or ""):
            if len(rows) == limit:
                return RecordPage(tuple(rows), str(place if place.refused else _Place(refused=_FIRST)))
            row = refused_row(entry)
            if chosen.takes(row):
                rows.append(row)
            place = _Place(refused=refused_sort_key(entry))
        return RecordPage(tuple(rows), None)

    def every(self, chosen: Filter, report: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[ReviewRecord]:
        """All records that a filter selects.

        For a record id or a rule without a drive, the ids and rules of all records say which drives to read; nothing else of the
        others is read. `report`: called with the files of that search which are done, and all of them.
        """
        narrow = chosen.drive is None and (chosen.record is not None or chosen.rule is not None)
        if not narrow or REFUSED in (chosen.level, chosen.status):
            yield from self._pages(chosen)
            return
        for drive in self._drives_with(chosen, report):
            yield from self._pages(replace(chosen, drive=str(drive)))
        if chosen.vehicle is None and chosen.level is None:
            yield from self._pages(replace(chosen, level=REFUSED))

    def _drives_with(self, chosen: Filter, report: Callable[[int, int], None]) -> list[DriveId]:
        def wanted(row: Mapping[str, Any]) -> bool:
            return (chosen.record is None or row["record_id"].startswith(chosen.record)) and (
                chosen.rule is None or chosen.rule in row["rule_ids"]
            )

        records = lake_reader.table_or_none(self.catalog, RECORDS_TABLE)
        return [] if records is None else drives_with_records(records, wanted, ("record_id", "rule_ids"), report, chosen.vehicle)

    def _pages(self, chosen: Filter) -> Iterator[ReviewRecord]:
        page = self.page(chosen)
        yield from page.rows
        while page.following is not None:
            page = self.page(chosen, page.following)
            yield from page.rows

    def find(self, references: Iterable[str]) -> dict[str, ReviewRecord | None]:
        """The records that these values of `ReviewRecord.reference` name; None where there is none, or none any more."""
        read: dict[DriveId, dict[str, ReviewRecord]] = {}
        return {reference: self._find(reference, read) for reference in references}

    def _find(self, reference: str, read: dict[DriveId, dict[str, ReviewRecord]]) -> ReviewRecord | None:
        first, _, rest = reference.partition("/")
        second, _, record_id = rest.partition("/")
        if first == _REFUSED:
            versions = self.ledger.refused_versions(record_id)
            return next((row for row in map(refused_row, versions) if row.record_id == second), None)
        try:
            drive = DriveId(first, second)
        except LandingError:
            return None
        if drive not in read:
            read[drive] = {row.record_id: row for row in self.of_drive(drive)}
        return read[drive].get(record_id)

    def _drives(self, chosen: Filter, place: _Place) -> Iterator[tuple[DriveId, list[ReviewRecord]]]:
        """Drives with records, from `place` on, each with those behind it."""
        if REFUSED in (chosen.level, chosen.status):
            return
        if chosen.drive is not None:
            drives: Iterable[DriveId] = (DriveId(*chosen.drive.split("/")),)
        else:
            table = lake_reader.table_or_none(self.catalog, DRIVES_TABLE)
            walk = () if table is None else drives_after(table, place.drive, chosen.vehicle)
            behind = (row.drive for row in walk if row.records != 0)
            drives = behind if place.drive is None or not place.record_id else chain((place.drive,), behind)
        for drive in drives:
            rows = self.of_drive(drive)
            ids = [row.record_id for row in rows]
            if drive == place.drive and place.record_id in ids:
                rows = rows[ids.index(place.record_id) + 1 :]
            elif drive == place.drive and not place.record_id:
                continue
            yield drive, rows


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the list: behind a record of a drive, behind a drive, or behind a refused object; or its beginning."""

    drive: DriveId | None = None
    record_id: str = ""
    refused: str = ""

    def __str__(self) -> str:
        return f"{_REFUSED}/{self.refused}" if self.refused else f"{self.drive}/{self.record_id}"

    @classmethod
    def parse(cls, text: str | None) -> _Place:
        if text is None:
            return cls()
        first, slash, rest = text.partition("/")
        if slash and first == _REFUSED:
            return cls(refused=rest)
        drive_id, slash, record_id = rest.partition("/")
        try:
            return cls(DriveId(first, drive_id), record_id)
        except LandingError as error:
            raise InputError(f"{text!r} is not where a page of records ends", "begin again with the first page") from error


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
        override = Decisions.among((override for override, _ in self.log), {base}).of_target(record_target(row))
        status = row.status
        if override is not None and status == QUARANTINED:
            if override.verdict is Verdict.REJECT:
                status = REJECTED
            elif row.revision != self.finished_revision:
                status = RELEASING
        decision = None if override is None else self._decision(override)
        stated = {name: getattr(row, name) for name in RecordFields.__struct_fields__}  # all but where the row is filed
        return ReviewRecord(**stated | {"input": base, "status": status, "decision": decision})

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
