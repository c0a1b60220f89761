"""The errors of ingest, from an object event to a finished drive.

IngestError
├── EventError               a notification that cannot be understood
├── WorkError                a drive-work message that cannot be understood
├── StoreError               a registered object cannot be read
│   └── GoneError            its registered version is not in the bucket any more
├── QueueError               a queue gave an answer that cannot be understood
├── DeliveryError            a direct event could not be registered
├── SweepError               a sweep of which some steps failed
├── ReviewError              a decision that is refused; nothing was changed
│   ├── DriveBusyError       the drive is being processed, or its last run failed
│   ├── AtRestError          the drive has no work message: it has finished, or was never queued
│   ├── StaleReviewError     the drive's data has changed since the reviewer saw it
│   └── DecidedError         the target has been decided before
└── LedgerError
    ├── ContentionError      other writers kept changing the same item
    ├── UnknownDriveError    the ledger has no such drive
    ├── TransitionError      the drive is not in a state that allows the step
    └── SupersededWorkError  the drive has a newer revision
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class IngestError(ScenelakeError):
    """Base of every error of this package."""


class EventError(IngestError):
    """A notification that cannot be understood."""


class WorkError(IngestError):
    """A drive-work message that cannot be understood."""


class StoreError(IngestError):
    """A registered object cannot be read."""


class GoneError(StoreError):
    """The registered version is not in the bucket any more: it was deleted by its id, or has expired."""


class UnversionedError(IngestError):
    """The raw bucket, or an object of it, has no versions: what was registered could be overwritten, and nothing would tell."""


class QueueError(IngestError):
    """A queue gave an answer that cannot be understood: something between here and SQS answered in its place."""


class DeliveryError(IngestError):
    """A direct event, or an object of a message without an id, could not be registered; Lambda invokes again."""


class SweepError(IngestError):
    """A sweep of which some steps failed; the next one tries again."""


class ReviewError(IngestError):
    """A decision that is refused; nothing was changed."""


class DriveBusyError(ReviewError):
    """The drive is being processed, or its last run failed: its records will be judged again."""


class AtRestError(ReviewError):
    """The drive has no work message: it has finished, or was never queued."""


class StaleReviewError(ReviewError):
    """The drive's data has changed since the reviewer saw it."""


class DecidedError(ReviewError):
    """The target has been decided before; a decision is final."""


class LedgerError(IngestError):
    """Base of the ledger's errors."""


class ContentionError(LedgerError):
    """Other writers kept changing the same item; a later delivery tries again."""


class UnknownDriveError(LedgerError):
    """The ledger has no such drive."""


class TransitionError(LedgerError):
    """The drive is not in a state that allows the step."""


class SupersededWorkError(LedgerError):
    """The drive has a newer revision; its message can be deleted."""


class ForgottenWorkError(SupersededWorkError):
    """The drive was forgotten; its message can be deleted."""


class HeldError(IngestError):
    """A hold on the drive forbids the step."""
