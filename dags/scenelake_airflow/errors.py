"""Errors of the code between Airflow and the jobs that it starts.

OrchestrationError
├── QueueError       the queue's depth cannot be read
├── LeaseLostError   another run holds the drive's message
├── PayloadError     a value from another task is invalid
└── JobResultError   a job succeeded but left no usable result
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class OrchestrationError(ScenelakeError):
    """Base of every error of this package."""


class QueueError(OrchestrationError):
    """The queue's depth cannot be read."""


class LeaseLostError(OrchestrationError):
    """Another run holds the drive's message."""


class PayloadError(OrchestrationError):
    """A value from another task is invalid."""


class JobResultError(OrchestrationError):
    """A job succeeded but left no usable result."""
