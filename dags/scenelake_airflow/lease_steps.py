"""The steps of `process_drive` that start no job: what they ask of queue and ledger.

Imported inside the tasks, never while a DAG file is parsed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ingest.environment import client
from ingest.errors import IngestError, SupersededWorkError
from ingest.ledger.ledger import DriveRecord, DriveState, Ledger, ObjectOutcome, ObjectState
from ingest.ledger.states import FINAL
from lake.drive_input import DriveInput, input_key
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from scenelake_airflow.drive_queue import DriveQueue, SqsDriveQueue
from scenelake_airflow.errors import PayloadError
from scenelake_airflow.job_operator import FAILURE
from scenelake_airflow.lease import Lease, work_uri
from scenelake_airflow.lease_hold import LEASE_LOST
from scenelake_airflow.policy import Policy

BUILD, QUARANTINE = "build", "quarantine"
SUPERSEDED = "superseded"
MAX_ERROR = 1000
JOBS = ("inspect", "build_scenes", "audit", "publish")

_log = logging.getLogger(__name__)


class RunLedger(Protocol):
    """What a run tells the ledger (`ingest.ledger.runs.RunLedger`)."""

    def begin(self, drive: DriveId, revision: str) -> DriveRecord:
        """Take a queued revision into work, again if need be."""
        ...

    def finish(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        outcomes: Iterable[ObjectOutcome],
        detail: Mapping[str, Any],
        *,
        generation: int | None = None,
    ) -> DriveRecord:
        """Record what a revision came to."""
        ...

    def fail(self, drive: DriveId, revision: str, detail: Mapping[str, Any], *, generation: int | None = None) -> DriveRecord:
        """Record that a run failed."""
        ...


class TaskInstance(Protocol):
    """What `give_back` needs of Airflow's task instance."""

    map_index: int | None

    def xcom_pull(self, *, task_ids: list[str], key: str, map_indexes: int | None) -> Any:
        """Values that tasks of this run have left."""
        ...


def lease(settings: Settings, run_id: str, policy: Policy) -> list[dict[str, Any]]:
    """Lease drives for a run; the payloads of those that need work."""
    queue = SqsDriveQueue(client("sqs", settings.aws), settings.drive_work_url)
    leases = take(queue, _ledger(settings), settings.lake_bucket, run_id, policy)
    return [taken.payload() for taken in leases]


def take(queue: DriveQueue, ledger: RunLedger, lake_bucket: str, run_id: str, policy: Policy) -> list[Lease]:
    """Receive up to `drives_per_run` messages, one by one, and begin their drives.

    A message whose revision is finished, superseded, or already among those taken is deleted. One that the ledger refuses
    for another reason is left to come back. A message that was delivered before ends the taking: alone if it comes first.
    """
    taken: list[Lease] = []
    for message in queue.messages(policy.drives_per_run):
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
            _log.exception("%s: cannot be begun, its message will come back", work.drive)
            continue
        if record.state in FINAL:
            _log.info("%s: deleted without work, revision %.12s is %s already", work.drive, work.revision, record.state)
            queue.delete(handle)
            continue
        queue.keep(handle, policy.lease_s)
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


def passes_gate(lease: Mapping[str, Any], inspection: Mapping[str, Any]) -> bool:
    """Whether scenes are to be built from a drive.

    Raises:
        PayloadError: The inspection holds no verdict that is known.
    """
    drive, verdict = Lease.parse(lease).drive, inspection.get("verdict")
    if verdict not in (BUILD, QUARANTINE):
        raise PayloadError(f"inspection of {drive} has the verdict {verdict!r}; known are {BUILD!r} and {QUARANTINE!r}")
    _log.info("%s: %s, rules: %s", drive, verdict, ", ".join(inspection.get("rule_ids", ())) or "none")
    return bool(verdict == BUILD)


def acknowledge(settings: Settings, payload: Mapping[str, Any], publication: Mapping[str, Any]) -> str:
    """Write a drive's final state to the ledger, then delete its message; the state, or `superseded`."""
    leased = Lease.parse(payload)
    queue = SqsDriveQueue(client("sqs", settings.aws), settings.drive_work_url)
    store = ObjectStore(client("s3", settings.aws))
    document = store.read(ObjectVersion(settings.lake_bucket, input_key(leased.drive, leased.revision)))
    drive_input = DriveInput.parse(document, leased.revision)
    return settle(queue, _ledger(settings), leased, publication, drive_input)


def settle(queue: DriveQueue, ledger: RunLedger, leased: Lease, publication: Mapping[str, Any], drive_input: DriveInput) -> str:
    """`acknowledge` with its ports. Doing it twice changes nothing more.

    Raises:
        PayloadError: The publication has no outcome that is known.
    """
    outcome = publication.get("outcome")
    if outcome == SUPERSEDED:
        queue.delete(leased.receipt_handle)
        return SUPERSEDED
    if outcome not in FINAL:
        raise PayloadError(f"publication of {leased.drive} has the outcome {outcome!r}; known are {sorted((SUPERSEDED, *FINAL))}")
    state = DriveState(outcome)
    counts = {name: publication.get(name) for name in ("snapshot_id", "scenes", "records", "warnings")}
    try:
        outcomes = object_outcomes(drive_input, state, publication)
        ledger.finish(leased.drive, leased.revision, state, outcomes, counts, generation=leased.generation)
    except SupersededWorkError as error:
        # The commit stands until the newer revision replaces it; only the ledger has moved on.
        _log.info("%s: %s", leased.drive, error)
        state_text = SUPERSEDED
    else:
        state_text = state.value
    queue.delete(leased.receipt_handle)
    _log.info("%s: %s, its message is deleted", leased.drive, state_text)
    return state_text


def object_outcomes(drive_input: DriveInput, state: DriveState, publication: Mapping[str, Any]) -> Iterable[ObjectOutcome]:
    """What became of each object of a revision: as its drive, but for the objects that the publication says are quarantined."""
    faulty = frozenset(publication.get("quarantined_objects", ()))
    documents = tuple(entry for entry in (drive_input.manifest, drive_input.calibration) if entry is not None)
    for entry in (*sorted(drive_input.objects), *documents):
        kept = state is DriveState.PUBLISHED and entry.key not in faulty
        yield ObjectOutcome(entry.key, entry.version_id, ObjectState.PUBLISHED if kept else ObjectState.QUARANTINED)


def give_back(settings: Settings, payload: Mapping[str, Any], ti: TaskInstance, policy: Policy) -> None:
    """After a failure: note it in the ledger and let the message come back, unless it belongs to another run by now."""
    leased = Lease.parse(payload)
    queue = SqsDriveQueue(client("sqs", settings.aws), settings.drive_work_url)
    failures = _left_by_jobs(ti, FAILURE)
    error = str(failures[-1]) if failures else "a step failed in all its tries; its log in Airflow says why"
    let_go(queue, _ledger(settings), leased, policy.give_back_s, lost=any(_left_by_jobs(ti, LEASE_LOST)), error=error)


def _left_by_jobs(ti: TaskInstance, key: str) -> list[Any]:
    """What the jobs of this drive left under `key`, in their order."""
    found = ti.xcom_pull(task_ids=[f"drive.{job}" for job in JOBS], key=key, map_indexes=ti.map_index)
    return [value for value in found or () if value is not None]


def let_go(queue: DriveQueue, ledger: RunLedger, leased: Lease, delay_s: int, *, lost: bool, error: str) -> None:
    """`give_back` with its ports. The message waits `delay_s` for each delivery so far: a sick drive comes ever more seldom."""
    if lost:
        _log.info("%s: the lease was lost, another run has the drive", leased.drive)
        return
    detail = {"error": error[:MAX_ERROR], "receive_count": leased.receive_count}
    try:
        ledger.fail(leased.drive, leased.revision, detail, generation=leased.generation)
    except SupersededWorkError as superseded:
        _log.info("%s: deleted after a failure that no longer matters, %s", leased.drive, superseded)
        queue.delete(leased.receipt_handle)
        return
    wait_s = delay_s * leased.receive_count
    queue.keep(leased.receipt_handle, wait_s)
    _log.info("%s: failed, its message comes back in %d s", leased.drive, wait_s)


def _ledger(settings: Settings) -> Ledger:
    return Ledger(client("dynamodb", settings.aws), settings.ledger_table)
