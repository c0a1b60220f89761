"""How a job process ends: a known error as one line on stderr, anything else, which is a defect, with its traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

from pyspark.errors import PythonException

from lake.errors import LakeError
from lineage.errors import LineageError
from scenes.errors import JobError
from sensors.errors import SensorDataError

KNOWN = (JobError, LakeError, SensorDataError, LineageError)
FAILURE = 1
_RAISED_IN_WORKER = re.compile(r"^(?:lake|sensors|lineage|spark_jobs)\.errors\.\w+: ", re.MULTILINE)


def run_job(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a job's `main`; returns the exit status of the process."""
    try:
        return main(argv)
    except KNOWN as error:
        return _fail(str(error))
    except PythonException as error:
        # Spark hands over what a worker raised as the text of its traceback; the last error in it is the one that ended it.
        *_, told = _RAISED_IN_WORKER.split(str(error))
        if told == str(error):
            raise
        return _fail(told)


def _fail(told: str) -> int:
    print(f"error: {' '.join(told.split())}", file=sys.stderr)
    return FAILURE
