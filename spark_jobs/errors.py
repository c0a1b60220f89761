"""What ends a job.

    JobError
    └── WorkAreaError     what an earlier step should have left is not there

Faults in a drive's data are findings and end nothing.
"""


class JobError(Exception):
    """Base of every error of this package."""


class WorkAreaError(JobError):
    """What an earlier step should have left in the work area is not there."""
