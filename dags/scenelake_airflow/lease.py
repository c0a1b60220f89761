"""A leased drive as a document that travels between the tasks of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from lake.landing import DriveId
from scenelake_airflow.errors import PayloadError

SCHEMA_VERSION = 1


class Lease(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One drive revision whose message a run holds.

    Attributes:
        generation: Which revision of the drive this is, counted from 1 by the ledger.
        reason: Why it is to be processed (`complete`, `overdue`, `released`, `reprocess`).
        receipt_handle: Names this delivery of the message to the queue.
        receive_count: Deliveries of the message so far, this one included.
        work: URI of this attempt's work area.
    """

    vehicle_id: str
    drive_id: str
    revision: str
    generation: int
    reason: str
    receipt_handle: str
    receive_count: int
    work: str
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def parse(cls, payload: object) -> Self:
        """Read what `payload` wrote.

        Raises:
            PayloadError: Not a mapping, another version, or a field that is absent, unknown or of another type.
        """
        version = payload.get("schema_version") if isinstance(payload, Mapping) else None
        if version != SCHEMA_VERSION:
            raise PayloadError(
                f"a lease document has the version {version!r}, expected {SCHEMA_VERSION}",
                "the run was started by another release; its message is redelivered to a new run once its lease ends",
            )
        try:
            return msgspec.convert(payload, cls)
        except msgspec.ValidationError as error:
            raise PayloadError(f"a lease document of version {version} is invalid: {error}") from error

    def payload(self) -> dict[str, Any]:
        """Plain values for Airflow's XCom."""
        return dict(msgspec.to_builtins(self))

    @property
    def drive(self) -> DriveId:
        """The drive."""
        return DriveId(self.vehicle_id, self.drive_id)

    def job_arguments(self) -> list[str]:
        """The arguments that all jobs share."""
        return [
            *("--vehicle", self.vehicle_id),
            *("--drive", self.drive_id),
            *("--revision", self.revision),
            *("--generation", str(self.generation)),
            *("--work", self.work),
        ]


def work_uri(lake_bucket: str, drive: DriveId, revision: str, run_id: str, position: int, receive_count: int) -> str:
    """Work area of one attempt: the same for every step and try of a drive in a run, and for nothing else.

    Args:
        lake_bucket: Bucket of the lake.
        drive: The drive.
        revision: Its revision.
        run_id: Airflow's run id; hashed, because it holds characters that a path should not.
        position: Index of the drive among those that the run leased.
        receive_count: Deliveries of its message so far.
    """
    run = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return f"s3://{lake_bucket}/work/{drive}/{revision}/{run}-{position}-{receive_count}"
