"""Follows a drive from its first object to a final state, by polling the ledger, the manifest in S3, and Airflow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.records import DriveRecord, ObjectRecord
from ingest.ledger.states import FINAL, DriveState
from lake.landing import DriveId
from ops.errors import WaitTimeoutError

POLL_S = 1.0
FAILED_PATIENCE_S = 180.0  # SQS redelivers the message of a failed run; no retry starts later than this


class DriveLedger(Protocol):
    """Reads drives and their objects from the ledger."""

    def drive(self, drive: DriveId) -> DriveRecord | None:
        """The drive; None if nothing of it has landed."""

    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]:
        """The objects of a drive."""


class Steps(Protocol):
    """Looks up which step of the DAG works on a drive."""

    def step(self, drive: DriveId) -> str | None:
        """The current step of a drive; None if there is none, or if Airflow does not answer."""


class NoSteps:
    """Steps without an Airflow: always unknown."""

    def step(self, drive: DriveId) -> str | None:  # noqa: ARG002 - the protocol's argument
        """Always None."""
        return None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A drive at one moment. `landed`: its objects in the ledger, including the manifest and the calibration. `scenes`: in
    gold, of a drive that is published; None where the ledger does not say. `baseline`: SHA-256 of the vehicle's baseline that
    the revision is compared with; None for none."""

    drive: DriveId
    state: str
    revision: str
    attempts: int
    landed: int
    objects: tuple[tuple[str, int], ...]
    step: str | None
    final: bool
    problem: str
    updated_ns: int
    scenes: int | None = None
    baseline: str | None = None

    @property
    def summary(self) -> str:
        """State, step and attempt on one line."""
        more = [self.step or "", f"attempt {self.attempts}" if self.attempts > 1 else "", "0 scenes" if self.scenes == 0 else ""]
        return " · ".join(part for part in (self.state, *more) if part)


class Follower:
    """Follows drives. `manifest_version` gives the version of a drive's manifest in S3; None if there is none."""

    def __init__(self, ledger: DriveLedger, manifest_version: Callable[[DriveId], str | None], steps: Steps) -> None:
        self._ledger = ledger
        self._manifest_version = manifest_version
        self._steps = steps

    def observe(self, drive: DriveId) -> Sighting:
        """The drive now.

        A final state counts only for the current manifest in S3: right after an upload the ledger may still hold the
        previous revision.
        """
        record = self._ledger.drive(drive)
        if record is None:
            return Sighting(drive, "not seen yet", "", 0, 0, (), None, False, "", 0)
        objects = Counter(entry.state.value for entry in self._ledger.objects(drive))
        ended = record.state in FINAL and not record.settling
        current = not ended or self._manifest_version(drive) in (None, record.manifest_version)
        return Sighting(
            drive=drive,
            state=record.state.value if current else "landing",
            revision=record.revision or "",
            attempts=record.attempts,
            landed=objects.total(),
            objects=tuple(sorted(objects.items())),
            step=self._steps.step(drive) if record.state is DriveState.PROCESSING else None,
            final=ended and current,
            problem=_problem(record),
            updated_ns=record.updated_ns,
            scenes=_scenes(record) if current else None,
            baseline=record.baseline.sha256 if current and record.baseline is not None else None,
        )

    def follow(
        self,
        drive: DriveId,
        timeout_s: float,
        report: Callable[[Sighting], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> Sighting:
        """Poll once a second until the drive has finished, and call `report` each time.

        Returns:
            The final sighting, or one in state `failed` that was not retried for three minutes.

        Raises:
            WaitTimeoutError: The drive did not finish in time.
        """
        deadline_s = clock() + timeout_s
        failed_since_s: float | None = None
        while True:
            found = self.observe(drive)
            report(found)
            if found.final:
                return found
            if found.state != DriveState.FAILED:
                failed_since_s = None
            elif failed_since_s is None:
                failed_since_s = clock()
            if failed_since_s is not None and clock() - failed_since_s >= FAILED_PATIENCE_S:
                return found
            if clock() >= deadline_s:
                raise WaitTimeoutError(*_too_late(found, timeout_s))
            pause(POLL_S)


def _problem(record: DriveRecord) -> str:
    if record.manifest_fault:
        return record.manifest_fault
    if record.state is DriveState.FAILED and isinstance(record.detail, RunFailure):
        return record.detail.error
    return ""


def _scenes(record: DriveRecord) -> int | None:
    result = record.detail
    return result.scenes if record.state is DriveState.PUBLISHED and isinstance(result, RunResult) else None


def _too_late(found: Sighting, timeout_s: float) -> tuple[str, str]:
    cause = f"{found.drive} is {found.summary} after {timeout_s:.0f} s"
    if found.landed == 0:
        return cause, f"nothing of it has landed; check the ids ({found.drive}), or upload it with `scenelake drive upload DIR`"
    if found.state == DriveState.LANDING:
        return cause, "a drive is queued once every object in its manifest has landed; `scenelake status` shows the queues"
    return cause, "`scenelake status` shows the stack and Airflow's address; --timeout waits longer"
