"""The drive-work message: one drive revision to process."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from ingest.errors import WorkError
from lake.documents import canonical_json
from lake.errors import LandingError
from lake.landing import DriveId

SCHEMA_VERSION = 1
MAX_WORK_BYTES = 4096
_REVISION = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"schema_version", "vehicle_id", "drive_id", "revision", "reason"}


class WorkReason(StrEnum):
    """Why a revision is queued for processing."""

    COMPLETE = "complete"
    OVERDUE = "overdue"
    RELEASED = "released"
    REPROCESS = "reprocess"


@dataclass(frozen=True, slots=True)
class DriveWork:
    """One drive revision to process; `revision` is a SHA-256 in hex (see `lake.drive_input`)."""

    drive: DriveId
    revision: str
    reason: WorkReason

    def __post_init__(self) -> None:
        if _REVISION.fullmatch(self.revision) is None:
            raise WorkError(f"revision {self.revision[:80]!r} of {self.drive} is not 64 hexadecimal digits")

    def to_message(self) -> str:
        """The message body; `DriveWork.parse` reads it back to an equal value."""
        document = asdict(self)
        return canonical_json({"schema_version": SCHEMA_VERSION, **document.pop("drive"), **document}).decode()

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read a message body.

        Raises:
            WorkError: Larger than 4 KiB, not JSON, other fields than the contract's, or values outside it.
        """
        if len(body.encode("utf-8", "surrogatepass")) > MAX_WORK_BYTES:
            raise WorkError(f"drive-work message of {len(body)} characters exceeds {MAX_WORK_BYTES} bytes")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise WorkError(f"drive-work message is not JSON: {error}") from error
        if not isinstance(document, dict) or set(document) != _FIELDS:
            raise WorkError(f"drive-work message must have exactly the fields {', '.join(sorted(_FIELDS))}")
        version = document.pop("schema_version")
        if type(version) is not int or version != SCHEMA_VERSION:
            raise WorkError(f"drive-work message has schema version {version!r}, known is {SCHEMA_VERSION}")
        if not all(isinstance(value, str) for value in document.values()):
            raise WorkError("drive-work message: vehicle_id, drive_id, revision and reason must be strings")
        try:
            drive = DriveId(document["vehicle_id"], document["drive_id"])
            return cls(drive, document["revision"], WorkReason(document["reason"]))
        except (LandingError, ValueError) as error:
            raise WorkError(f"drive-work message: {error}") from error
