"""A Spark session for the duration of a job, with expected errors of workers raised in the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from scenes.errors import WorkerError
from sensors.errors import ScenelakeError
from spark_jobs.runtime.session import start_spark

_TRACEBACK = "Traceback (most recent call last):\n"


@contextmanager
def spark_session(properties: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session that is stopped at the end.

    Raises:
        WorkerError: An error that ended a worker and descends from `ScenelakeError`; any other error passes unchanged.
    """
    spark = start_spark(properties)
    try:
        with known_worker_errors():
            yield spark
    finally:
        spark.stop()


@contextmanager
def known_worker_errors() -> Iterator[None]:
    """Turn an expected error of a worker into a `WorkerError`."""
    try:
        yield
    except PythonException as error:
        known = _known(str(error))
        if known is None:
            raise
        raise known from error


def _known(text: str) -> WorkerError | None:
    """Spark passes what a worker raised as the text of its traceback. After the last one, frames are indented, and the first
    line that is not names the class."""
    lines = text.rpartition(_TRACEBACK)[2].splitlines()
    first = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), None)
    if first is None:
        return None
    name, _, message = "\n".join(lines[first:]).partition(": ")
    raised = _classes(ScenelakeError).get(name)
    return None if raised is None else WorkerError(message, raised.exit_code)


def _classes(root: type[ScenelakeError]) -> dict[str, type[ScenelakeError]]:
    """The class and everything below it, by dotted name."""
    found = {f"{root.__module__}.{root.__qualname__}": root}
    for child in root.__subclasses__():
        found |= _classes(child)
    return found
