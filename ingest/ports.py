"""Interfaces of the stores and queues that the use cases need; `Ledger`, `S3Objects` and `WorkQueue` implement them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.records import (
    DecisionRecord,
    DriveRecord,
    ObjectHead,
    ObjectOutcome,
    ObjectRecord,
    RefusedRecord,
    Requeue,
)
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork
from ingest.queues import ReceivedWork
from lake.drive_input import InputObject
from lake.landing import DriveId

Clock = Callable[[], int]  # wall time, nanoseconds since the epoch


class LandingObjects(Protocol):
    """The raw bucket, and the two destinations for copies."""

    def head(self, key: str) -> ObjectHead | None:
        """The current version of a raw object; None if there is none."""

    def read(self, head: ObjectHead, max_bytes: int) -> bytes:
        """The bytes of exactly that version. Raises StoreError if it is gone or larger than `max_bytes`."""

    def list_after(self, key: str, limit: int) -> Sequence[ObjectHead]:
        """Up to `limit` current raw objects with keys greater than `key`, in key order; their version ids are unknown (`""`)."""

    def keep_refused(self, head: ObjectHead) -> str:
        """Copy a raw version to the quarantine bucket without opening it; returns the copy's URI. Idempotent."""

    def keep_input(self, key: str, body: bytes) -> None:
        """Write a revision's input document to the lake bucket. Idempotent: equal keys have equal bodies."""

    def baseline(self, vehicle_id: str) -> InputObject | None:
        """The current version of a vehicle's baseline, with the SHA-256 of its bytes; None if it has none. Raises StoreError if
        it exceeds its size limit."""


class WorkSender(Protocol):
    """The sending side of the work queue."""

    def send(self, work: DriveWork) -> None:
        """Send one message; returns when the queue has it."""


class WorkSource(Protocol):
    """The receiving side of the work queue; contracts at `ingest.queues.WorkQueue`."""

    def messages(self, most: int) -> Iterator[ReceivedWork]: ...
    def extend(self, receipt_handle: str, visibility_s: int) -> bool: ...
    def delete(self, receipt_handle: str) -> bool: ...


class LandingStore(Protocol):
    """The part of the ledger that registering and sweeping use; contracts at `ingest.ledger.repository`."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...
    def object_of(self, drive: DriveId, key: str) -> ObjectRecord | None: ...
    def objects(self, drive: DriveId) -> Iterable[ObjectRecord]: ...
    def objects_between(self, drive: DriveId, first: str, last: str) -> Iterable[ObjectRecord]: ...
    def put_object(self, drive: DriveId, head: ObjectHead, previous: ObjectRecord | None) -> bool: ...
    def touch(self, drive: DriveId) -> None: ...
    def decisions(self, drive: DriveId) -> Sequence[DecisionRecord]: ...
    def queue(self, seen: DriveRecord, requeue: Requeue) -> DriveRecord | None: ...
    def settle(self, seen: DriveRecord) -> bool: ...
    def begin_evaluation(self, drive: DriveId) -> None: ...
    def end_evaluation(self, drive: DriveId) -> None: ...
    def pass_over(self, drive: DriveId) -> None: ...
    def sent(self, queued: DriveRecord) -> None: ...
    def waiting(self, before_ns: int, limit: int) -> Sequence[DriveRecord]: ...
    def resend(self, seen: DriveRecord) -> DriveRecord | None: ...
    def unsent(self, before_ns: int, limit: int) -> Sequence[DriveId]: ...
    def settling(self, before_ns: int, limit: int) -> Sequence[DriveId]: ...
    def forgotten(self, drive: DriveId) -> str | None: ...
    def refuse_late(self, drive: DriveId, head: ObjectHead) -> None: ...
    def refuse(self, record: RefusedRecord) -> bool: ...
    def refused_versions(self, key: str) -> Sequence[RefusedRecord]: ...
    def cursor(self) -> str: ...
    def move_cursor(self, key: str) -> None: ...


class ReviewStore(Protocol):
    """The part of the ledger that a review uses; contracts at `ingest.ledger.repository`."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...
    def decisions(self, drive: DriveId) -> Sequence[DecisionRecord]: ...
    def decide(self, seen: DriveRecord, overrides: frozenset[str], requeue: Requeue | None) -> DriveRecord | None: ...
    def queue(self, seen: DriveRecord, requeue: Requeue) -> DriveRecord | None: ...
    def resend(self, seen: DriveRecord) -> DriveRecord | None: ...


class RunStore(Protocol):
    """The part of the ledger that a run uses; contracts at `ingest.ledger.repository`."""

    def begin(self, drive: DriveId, revision: str) -> DriveRecord: ...
    def finish(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        outcomes: Iterable[ObjectOutcome],
        result: RunResult,
        *,
        generation: int | None = None,
    ) -> DriveRecord: ...
    def surpass(self, drive: DriveId, revision: str, generation: int, published: int) -> DriveRecord | None: ...
    def fail(self, drive: DriveId, revision: str, failure: RunFailure, *, generation: int | None = None) -> DriveRecord: ...
