"""A leased drive as a value that travels between tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from lake.landing import DriveId
from scenelake_airflow.errors import PayloadError


@dataclass(frozen=True, slots=True)
class Lease:
    """One drive revision that a run holds the message of.

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

    @classmethod
    def parse(cls, payload: Any) -> Self:
        """Read what `payload` wrote.

        Raises:
            PayloadError: Another type, or other fields.
        """
        names = {entry.name for entry in fields(cls)}
        if not isinstance(payload, Mapping) or set(payload) != names:
            raise PayloadError(f"a lease must be a mapping of exactly {', '.join(sorted(names))}, not {type(payload).__name__}")
        return cls(**payload)

    def payload(self) -> dict[str, Any]:
        """Plain values for Airflow's XCom."""
        return asdict(self)

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
        position: Place of the drive among those that the run leased.
        receive_count: Deliveries of its message so far.
    """
    run = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return f"s3://{lake_bucket}/work/{drive}/{revision}/{run}-{position}-{receive_count}"
