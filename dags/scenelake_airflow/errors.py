"""What can go wrong between Airflow and the work that it starts.

OrchestrationError
├── QueueError       the queue cannot be asked for its depth
├── LeaseLostError   a drive's message belongs to somebody else by now
├── PayloadError     a value that came from another task is not what it should be
└── JobResultError   a job ended well but left no usable result
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class OrchestrationError(ScenelakeError):
    """Base of every error of this package."""


class QueueError(OrchestrationError):
    """The queue cannot be asked for its depth."""


class LeaseLostError(OrchestrationError):
    """A drive's message belongs to somebody else by now."""


class PayloadError(OrchestrationError):
    """A value that came from another task is not what it should be."""


class JobResultError(OrchestrationError):
    """A job ended well but left no usable result."""
