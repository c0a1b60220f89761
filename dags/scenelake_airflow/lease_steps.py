"""The steps of `process_drive` that start no job: they update a drive's message and its ledger record.

Imported inside the tasks, never while a DAG file is parsed. Each task has two functions: one that connects with the
settings of a deployment, and one that does the work on ports.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Protocol

from ingest.environment import client
from ingest.errors import IngestError, SupersededWorkError
from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.records import ObjectOutcome
from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL, DriveState, ObjectState
from ingest.ports import RunStore, WorkSource
from ingest.queues import WorkQueue
from lake.drive_input import DriveInput, input_key
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from scenelake_airflow.job_operator import FAILURE
from scenelake_airflow.lease import Lease, work_uri
from scenelake_airflow.lease_hold import LEASE_LOST
from scenelake_airflow.results import InspectionSummary, PublicationSummary, parse_result
from scenelake_airflow.settings import SchedulingSettings

SUPERSEDED = "superseded"
MAX_ERROR = 1000
JOBS = ("inspect", "build_scenes", "audit", "publish")

_log = logging.getLogger(__name__)


class MappedTask(Protocol):
    """The part of Airflow's task instance that `abandon` uses."""

    map_index: int | None

    def xcom_pull(self, *, task_ids: list[str], key: str, map_indexes: int | None) -> Any:
        """Values that tasks of this run have pushed."""
        ...


def lease(settings: Settings, run_id: str, scheduling: SchedulingSettings) -> list[dict[str, Any]]:
    """Lease drives for a run; the lease documents of those that need work."""
    leases = take(_queue(settings), _ledger(settings), settings.lake_bucket, run_id, scheduling)
    return [taken.payload() for taken in leases]


def take(queue: WorkSource, ledger: RunStore, lake_bucket: str, run_id: str, scheduling: SchedulingSettings) -> list[Lease]:
    """`lease` with its ports: receive up to `drives_per_run` messages, one by one, and begin their drives.

    A message whose revision is finished, superseded, or already leased by this run is deleted. One that the ledger refuses
    for another reason is left to be redelivered. A message that was delivered before is the last one, alone if it comes first.
    """
    taken: list[Lease] = []
    for message in queue.messages(scheduling.drives_per_run):
        work, handle = message.work, message.receipt_handle
        if any((held.drive, held.revision) == (work.drive, work.revision) for held in taken):
            _log.info("%s: a second message for revision %.12s is deleted", work.drive, work.revision)
            queue.delete(handle)
            continue
        try:
            record = ledger.begin(work.drive, work.revision)
        except SupersededWorkError as error:
            _log.info("%s: deleted without work, %s", work.drive, error)
            queue.delete(handle)
            continue
        except IngestError:
            _log.exception("%s: cannot be begun, its message will be redelivered", work.drive)
            continue
        if record.state in FINAL:
            _log.info("%s: deleted without work, revision %.12s is %s already", work.drive, work.revision, record.state)
            queue.delete(handle)
            continue
        queue.extend(handle, scheduling.lease_s)
        count = message.receive_count
        taken.append(
            Lease(
                vehicle_id=work.drive.vehicle_id,
                drive_id=work.drive.drive_id,
                revision=work.revision,
                generation=record.generation,
                reason=work.reason.value,
                receipt_handle=handle,
                receive_count=count,
                work=work_uri(lake_bucket, work.drive, work.revision, run_id, len(taken), count),
            )
        )
        _log.info("%s: leased, generation %d, delivery %d", work.drive, record.generation, count)
        if count > 1:
            break
    return taken


def passes_gate(payload: object, inspection: object) -> bool:
    """Whether scenes are to be built from a drive.

    Raises:
        PayloadError: The lease or the inspection's result is invalid.
    """
    drive, result = Lease.parse(payload).drive, parse_result(inspection, InspectionSummary, "inspect")
    _log.info("%s: %s, rules: %s", drive, result.verdict, ", ".join(result.rule_ids) or "none")
    return result.verdict == "build"


def acknowledge(settings: Settings, payload: object, publication: object) -> str:
    """Write a drive's final state to the ledger, then delete its message; the state, or `superseded`."""
    leased = Lease.parse(payload)
    result = parse_result(publication, PublicationSummary, "publish")
    store = ObjectStore(client("s3", settings.aws))
    document = store.read(ObjectVersion(settings.lake_bucket, input_key(leased.drive, leased.revision)))
    drive_input = DriveInput.parse(document, leased.revision)
    return finish_drive(_queue(settings), _ledger(settings), leased, result, drive_input)


def finish_drive(
    queue: WorkSource, ledger: RunStore, leased: Lease, publication: PublicationSummary, drive_input: DriveInput
) -> str:
    """`acknowledge` with its ports. Idempotent."""
    final: str = publication.outcome
    if final != SUPERSEDED:
        state = DriveState(final)
        result = RunResult(
            snapshot_id=publication.snapshot_id,
            scenes=publication.scenes,
            records=publication.records,
            warnings=publication.warnings,
        )
        try:
            outcomes = object_outcomes(drive_input, state, publication)
            ledger.finish(leased.drive, leased.revision, state, outcomes, result, generation=leased.generation)
        except SupersededWorkError as error:
            # The commit is valid until the newer revision replaces it; only the ledger has moved on.
            _log.info("%s: %s", leased.drive, error)
            final = SUPERSEDED
    queue.delete(leased.receipt_handle)
    _log.info("%s: %s, its message is deleted", leased.drive, final)
    return final


def object_outcomes(drive_input: DriveInput, state: DriveState, publication: PublicationSummary) -> Iterable[ObjectOutcome]:
    """The final state of each object of a revision: its drive's, unless the publication lists the object as quarantined."""
    quarantined = frozenset(publication.quarantined_objects)
    documents = tuple(entry for entry in (drive_input.manifest, drive_input.calibration) if entry is not None)
    for entry in (*sorted(drive_input.objects), *documents):
        published = state is DriveState.PUBLISHED and entry.key not in quarantined
        yield ObjectOutcome(entry.key, entry.version_id, ObjectState.PUBLISHED if published else ObjectState.QUARANTINED)


def abandon(settings: Settings, payload: object, ti: MappedTask, scheduling: SchedulingSettings) -> None:
    """After a failure: record it in the ledger and return the message to the queue, unless another run holds it."""
    leased = Lease.parse(payload)
    failures = _pushed_by_jobs(ti, FAILURE)
    error = str(failures[-1]) if failures else "a step failed in all its tries; its log in Airflow says why"
    lost = any(_pushed_by_jobs(ti, LEASE_LOST))
    fail_drive(_queue(settings), _ledger(settings), leased, scheduling.redelivery_delay_s, lost=lost, error=error)


def _pushed_by_jobs(ti: MappedTask, key: str) -> list[Any]:
    """The values that the jobs of this drive pushed under `key`, in their order."""
    found = ti.xcom_pull(task_ids=[f"drive.{job}" for job in JOBS], key=key, map_indexes=ti.map_index)
    return [value for value in found or () if value is not None]


def fail_drive(queue: WorkSource, ledger: RunStore, leased: Lease, delay_s: int, *, lost: bool, error: str) -> None:
    """`abandon` with its ports. The message waits `delay_s` for each delivery so far: retries of a failing drive slow down."""
    if lost:
        _log.info("%s: the lease was lost, another run has the drive", leased.drive)
        return
    failure = RunFailure(error=error[:MAX_ERROR], receive_count=leased.receive_count)
    try:
        ledger.fail(leased.drive, leased.revision, failure, generation=leased.generation)
    except SupersededWorkError as superseded:
        _log.info("%s: its message is deleted, the failure no longer matters: %s", leased.drive, superseded)
        queue.delete(leased.receipt_handle)
        return
    wait_s = delay_s * leased.receive_count
    queue.extend(leased.receipt_handle, wait_s)
    _log.info("%s: failed, its message is redelivered in %d s", leased.drive, wait_s)


def _queue(settings: Settings) -> WorkQueue:
    return WorkQueue(client("sqs", settings.aws), settings.drive_work_url)


def _ledger(settings: Settings) -> Ledger:
    return Ledger(client("dynamodb", settings.aws), settings.ledger_table)
