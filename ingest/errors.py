"""What can go wrong between an object event and a finished drive.

IngestError
├── EventError               a notification that cannot be understood
├── WorkError                a drive-work message that cannot be understood
├── StoreError               an object that should be there cannot be read
├── DeliveryError            a direct event of which an object could not be registered
├── SweepError               a sweep that could not do all of its work
├── ReviewError              a decision that cannot be taken; nothing was changed
│   ├── DriveBusyError       the drive is being processed, or its last run failed
│   ├── StaleReviewError     the drive has other data by now than the reviewer saw
│   └── DecidedError         it has been decided before
└── LedgerError
    ├── ContentionError      others kept changing the same item
    ├── UnknownDriveError    the ledger has no such drive
    ├── TransitionError      the drive is not in a state that allows the step
    └── SupersededWorkError  the drive has another revision by now
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
    """An object that should be there cannot be read."""


class DeliveryError(IngestError):
    """A direct event of which an object could not be registered; Lambda invokes again."""


class SweepError(IngestError):
    """A sweep that could not do all of its work; the next one tries again."""


class ReviewError(IngestError):
    """A decision that cannot be taken; nothing was changed."""


class DriveBusyError(ReviewError):
    """The drive is being processed, or its last run failed: its records will be judged again."""


class StaleReviewError(ReviewError):
    """The drive has other data by now than the reviewer saw."""


class DecidedError(ReviewError):
    """It has been decided before; a decision is final."""


class LedgerError(IngestError):
    """The ledger refuses."""


class ContentionError(LedgerError):
    """Others kept changing the same item; a later delivery tries again."""


class UnknownDriveError(LedgerError):
    """The ledger has no such drive."""


class TransitionError(LedgerError):
    """The drive is not in a state that allows the step."""


class SupersededWorkError(LedgerError):
    """The drive has another revision by now; its message can be deleted."""
