"""Errors that end a job.

    JobError
    ├── WorkAreaError        the output of an earlier step is missing, or contradicts itself
    │   ├── DocumentError    a document of another version, or one that is damaged; exit status 65
    │   └── ProvenanceError  the drive was inspected by other code, or under another configuration; exit status 65
    ├── IncompleteError      the windows that were built are not the scenes that were planned
    ├── AccountError         a drive's account does not balance even where all of it is quarantined
    ├── WatermarkError       an audit's watermark that is forged, damaged, or not of this lake's state
    ├── WorkerError          a known error that ended a Spark worker
    └── WorkerLostError      a Spark worker died at every try, without an error of its own

Exit status 65 (`NEW_ATTEMPT_STATUS`): every retry in the same work area would fail, so the attempt is over. All others: 1.
Faults in a drive's data are findings and end nothing.
"""

from __future__ import annotations

from sensors.errors import ScenelakeError

NEW_ATTEMPT_STATUS = 65  # EX_DATAERR of sysexits.h; `scenelake_airflow.job_operator` has the same number


class JobError(ScenelakeError):
    """Base of every error of this package."""


class WorkAreaError(JobError):
    """The output of an earlier step in the work area is missing, or contradicts itself."""


class DocumentError(WorkAreaError):
    """A document of another version, or one that is truncated, or has a missing, unknown or wrong field."""

    exit_code = NEW_ATTEMPT_STATUS


class ProvenanceError(WorkAreaError):
    """The drive was inspected by other code, or under another configuration, than what runs now."""

    exit_code = NEW_ATTEMPT_STATUS


class IncompleteError(JobError):
    """The windows that were built are not the scenes that were planned: one is lost or duplicated."""


class AccountError(JobError):
    """A drive's account does not balance even where all of it is quarantined: a defect of the pipeline."""


class WatermarkError(JobError):
    """An audit's watermark that is forged, damaged, or says nothing about the lake as it is now."""


class WorkerError(JobError):
    """A known error that ended a Spark worker; `exit_code` is that of the error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerLostError(JobError):
    """A Spark worker died at every try, without an error of its own: something ended it from outside."""
