"""Errors of describing lineage. Emitting never raises: it logs.

LineageError
├── NamingError         a job or dataset name outside the naming rules
└── CodeVersionError    SCENELAKE_CODE_VERSION is set but is not a commit id, or git did not answer in time
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class LineageError(ScenelakeError):
    """Base of every error of this package."""


class NamingError(LineageError):
    """A job or dataset name outside the naming rules."""


class CodeVersionError(LineageError):
    """SCENELAKE_CODE_VERSION is set but is not a commit id, or git did not answer in time."""
