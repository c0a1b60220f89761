"""Release and reject many records at once: one decision for each drive, each of which succeeds or is told why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ingest.errors import IngestError
from ingest.ledger.records import DriveRecord
from lake.errors import OverrideError
from lake.landing import DriveId
from lake.overrides import Override, Verdict, check_person
from ops.review.listing import drive_of, why_not
from quality.decisions import overrides_for

if TYPE_CHECKING:
    from ingest.review import ReviewDesk
    from lake.settings import Settings

Row = Mapping[str, Any]


class Desk(Protocol):
    """Where decisions are taken (`ingest.review.ReviewDesk`)."""

    def release(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord: ...
    def reject(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be decided: the records by drive, in order, and those that cannot be, each with the reason."""

    verdict: Verdict
    drives: Mapping[DriveId, tuple[Row, ...]]
    refused: tuple[tuple[Row, str], ...]

    @property
    def records(self) -> int:
        """How many records would be decided about."""
        return sum(map(len, self.drives.values()))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one drive. `generation` is the one that is queued, after a release; `problem` why nothing was done."""

    drive: str
    records: tuple[str, ...]
    generation: int | None = None
    problem: str | None = None


def plan(rows: Iterable[Row], verdict: Verdict) -> Plan:
    """Sort the records out."""
    drives: dict[DriveId, list[Row]] = {}
    refused = []
    for row in rows:
        problem = why_not(row, verdict)
        if problem is None:
            drives.setdefault(drive_of(row), []).append(row)
        else:
            refused.append((row, problem))
    return Plan(verdict, {drive: tuple(drives[drive]) for drive in sorted(drives)}, tuple(refused))


def carry_out(desk: Desk, wanted: Plan, reviewer: str, reason: str) -> list[Result]:
    """Decide, drive by drive. A drive that refuses keeps no other from being done.

    Raises:
        OverrideError: The reviewer or the reason is outside its bounds; nothing was done.
    """
    check_person(reviewer, reason)
    act = desk.release if wanted.verdict is Verdict.RELEASE else desk.reject
    results = []
    for drive, rows in wanted.drives.items():
        ids = tuple(row["record_id"] for row in rows)
        try:
            record = act(drive, rows[0]["revision"], overrides_for(rows, wanted.verdict, reviewer, reason))
        except (IngestError, OverrideError) as error:
            results.append(Result(str(drive), ids, problem=str(error)))
        else:
            results.append(Result(str(drive), ids, record.generation if wanted.verdict is Verdict.RELEASE else None))
    return results


def open_desk(settings: Settings) -> ReviewDesk:
    """The desk of a deployment; the clients read endpoint and credentials from the environment."""
    import boto3

    from ingest.ledger.ledger import Ledger
    from ingest.queues import WorkQueue
    from ingest.register import Registrar
    from ingest.review import ReviewDesk
    from ingest.s3_objects import S3Objects

    objects = S3Objects(boto3.client("s3"), settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
    ledger = Ledger(boto3.client("dynamodb"), settings.ledger_table)
    return ReviewDesk(Registrar(objects, ledger, WorkQueue(boto3.client("sqs"), settings.drive_work_url)), ledger)
