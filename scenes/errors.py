"""What ends a job.

    JobError
    ├── WorkAreaError     what an earlier step should have left is not there, or contradicts itself
    ├── IncompleteError   the windows that were built are not the scenes that were planned
    ├── AccountError      a drive's account does not balance even where all of it is quarantined
    └── OptionError       an option of the build is none of its choices

Faults in a drive's data are findings and end nothing.
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class JobError(ScenelakeError):
    """Base of every error of this package."""


class WorkAreaError(JobError):
    """What an earlier step should have left in the work area is not there, or contradicts itself."""


class IncompleteError(JobError):
    """The windows that were built are not the scenes that were planned: one is lost or came twice."""


class AccountError(JobError):
    """A drive's account does not balance even where all of it is quarantined: a defect of the pipeline."""


class OptionError(JobError):
    """An option of the build is none of its choices."""
