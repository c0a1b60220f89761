"""Bulk decisions: release or reject many records at once, with one result per drive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ingest.errors import IngestError
from ingest.ledger.records import DriveRecord
from lake.errors import OverrideError
from lake.landing import DriveId
from lake.overrides import Override, Verdict, check_person
from ops.review.listing import ReviewRecord, why_not
from quality.decisions import overrides_for

if TYPE_CHECKING:
    from ingest.review import ReviewDesk
    from lake.settings import Settings


class DecisionDesk(Protocol):
    """Accepts decisions (`ingest.review.ReviewDesk`)."""

    def release(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord: ...
    def reject(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Records to decide about, by drive in order, and those that cannot be decided about, each with the reason."""

    verdict: Verdict
    drives: Mapping[DriveId, tuple[ReviewRecord, ...]]
    refused: tuple[tuple[ReviewRecord, str], ...]

    @property
    def records(self) -> int:
        """How many records will be decided about."""
        return sum(map(len, self.drives.values()))


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one drive. `generation` was queued by a release; `problem` says why nothing was done."""

    drive: str
    records: tuple[str, ...]
    generation: int | None = None
    problem: str | None = None


def plan(rows: Iterable[ReviewRecord], verdict: Verdict) -> Plan:
    """Group the records by drive, and set aside those that cannot be decided about."""
    drives: dict[DriveId, list[ReviewRecord]] = {}
    refused = []
    for row in rows:
        problem = why_not(row, verdict)
        if problem is not None or row.drive is None:
            refused.append((row, problem or "it belongs to no drive"))
        else:
            drives.setdefault(row.drive, []).append(row)
    return Plan(verdict, {drive: tuple(drives[drive]) for drive in sorted(drives)}, tuple(refused))


def carry_out(desk: DecisionDesk, planned: Plan, reviewer: str, reason: str) -> list[Result]:
    """Decide, drive by drive. A drive that refuses does not stop the others.

    Raises:
        OverrideError: The reviewer or the reason is outside its bounds; nothing was done.
    """
    check_person(reviewer, reason)
    act = desk.release if planned.verdict is Verdict.RELEASE else desk.reject
    results = []
    for drive, rows in planned.drives.items():
        ids = tuple(row.record_id for row in rows)
        try:
            overrides = overrides_for(rows, planned.verdict, reviewer, reason)
            record = act(drive, rows[0].revision or "", overrides)
        except (IngestError, OverrideError) as error:
            results.append(Result(str(drive), ids, problem=str(error)))
        else:
            results.append(Result(str(drive), ids, record.generation if planned.verdict is Verdict.RELEASE else None))
    return results


def open_desk(settings: Settings) -> ReviewDesk:
    """The desk of a deployment."""
    from ingest.ledger.repository import Ledger
    from ingest.queues import WorkQueue
    from ingest.register import Registrar
    from ingest.review import ReviewDesk
    from ingest.s3_objects import S3Objects
    from lake.clients import client

    aws = settings.aws
    objects = S3Objects(client("s3", aws), settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
    ledger = Ledger(client("dynamodb", aws), settings.ledger_table)
    return ReviewDesk(Registrar(objects, ledger, WorkQueue(client("sqs", aws), settings.drive_work_url)), ledger)
