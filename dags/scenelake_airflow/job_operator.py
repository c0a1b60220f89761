"""Runs one job of `spark_jobs` on one leased drive: logs, lease, kill, result, lineage, asset events."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lake.settings import inherited
from scenelake_airflow.errors import JobResultError, LeaseLostError
from scenelake_airflow.job_process import JobProcess
from scenelake_airflow.lease import Lease
from scenelake_airflow.lease_hold import LEASE_LOST, hold
from scenelake_airflow.results import PublicationSummary, parse_result

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

MAX_RESULT_BYTES = 1024 * 1024
CHECK_LEASE_S = 1.0
FAILURE = "failure"  # XCom key: the last line of a failed job
NEW_ATTEMPT_STATUS = 65  # exit status of a job that would fail again in the same work area; that of `scenes.errors`
PARENT = "SCENELAKE_OPENLINEAGE_PARENT"
ROOT = "SCENELAKE_OPENLINEAGE_ROOT"


class JobOperator(BaseOperator):
    """`python -m spark_jobs.<job> --vehicle V --drive D --revision R --work URI --result FILE` in a guarded process.

    Its output goes to the task log; its JSON result is the return value. While it works, the drive's message stays
    invisible. The event of each of its `outlets` names the drive, its revision and generation, and the outcome and snapshot
    of the result.

    Args:
        job: Module of `spark_jobs`.
        lease: The payload of a `scenelake_airflow.lease.Lease`, or another task's output of one.
        lease_s: How long the message stays invisible after each extension.
        kill_grace_s: Time between SIGTERM and SIGKILL when the job is made to end.

    Raises:
        AirflowException: The job's exit status is not 0; the message holds the last lines of its stderr.
        JobResultError: It succeeded but left no usable result.
        PayloadError: It has outlets, but its result is not that of a publication.
        AirflowFailException: A retry cannot help: the lease is lost, so another run has the drive, or the job refused
            the content of its work area, so the drive needs a new attempt.
    """

    template_fields: Sequence[str] = ("lease",)
    ui_color = "#dceaf7"

    def __init__(self, *, job: str, lease: Any, lease_s: int, kill_grace_s: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job, self.lease, self.lease_s, self.kill_grace_s = job, lease, lease_s, kill_grace_s
        self._process: JobProcess | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the job to its end and return its result."""
        lease = Lease.parse(self.lease)
        env = job_environment(inherited(), lineage_environment(context))
        with tempfile.TemporaryDirectory(prefix=f"scenelake-{self.job}-") as folder:
            result = Path(folder) / "result.json"
            command = [sys.executable, "-m", f"spark_jobs.{self.job}", *lease.job_arguments(), "--result", str(result)]
            try:
                status = self._run(command, env, Path(folder), lease)
            except LeaseLostError as error:
                context["ti"].xcom_push(key=LEASE_LOST, value=True)
                raise AirflowFailException(f"{self.job} of {lease.drive} stopped: {error}") from error
            if status != 0:
                tail = self._tail()
                context["ti"].xcom_push(key=FAILURE, value=f"{self.job}: {tail[-1] if tail else 'nothing on stderr'}")
                failure = AirflowFailException if status == NEW_ATTEMPT_STATUS else AirflowException
                raise failure(failure_text(self.job, str(lease.drive), status, tail))
            report = read_result(result, self.job)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = outlet_extra(lease, parse_result(report, PublicationSummary, self.job))
        return report

    def on_kill(self) -> None:
        """Make the job end; the guard does so even if this process is killed meanwhile."""
        if self._process is not None:
            self._process.ask_to_end()

    def _run(self, command: Sequence[str], env: Mapping[str, str], folder: Path, lease: Lease) -> int:
        with hold(lease, self.lease_s) as held, JobProcess(command, env, folder, self.kill_grace_s) as self._process:
            for line in self._process.lines(CHECK_LEASE_S):
                if line is not None:
                    self.log.info("%s", line)
                held.check()
            return self._process.wait()

    def _tail(self) -> Sequence[str]:
        return () if self._process is None else tuple(self._process.tail)


def outlet_extra(lease: Lease, publication: PublicationSummary) -> dict[str, Any]:
    """The content of an asset event about a drive. The snapshot of a superseded publication is None."""
    return {
        "drive": str(lease.drive),
        "revision": lease.revision,
        "generation": lease.generation,
        "outcome": publication.outcome,
        "snapshot_id": publication.snapshot_id,
    }


def job_environment(env: Mapping[str, str], lineage: Mapping[str, str]) -> dict[str, str]:
    """The environment of a job: this one without Airflow's settings and secrets, and with the lineage of the task."""
    return {name: value for name, value in env.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))} | dict(lineage)


def lineage_environment(context: Context) -> dict[str, str]:
    """The task and its run as OpenLineage `namespace/job/run-id`, as the provider's own events name them."""
    from airflow.providers.openlineage.plugins.macros import lineage_parent_id, lineage_root_parent_id

    return {PARENT: lineage_parent_id(context["ti"]), ROOT: lineage_root_parent_id(context["ti"])}


def failure_text(job: str, drive: str, status: int, tail: Sequence[str]) -> str:
    """Message of the task's error: how the job ended and the last lines of its stderr."""
    ending = f"by signal {status - 128}" if status > 128 else f"with exit status {status}"
    last = "\n".join(tail) or "(nothing on stderr)"
    return f"job {job} of {drive} ended {ending}; the end of its stderr:\n{last}"


def read_result(path: Path, job: str) -> dict[str, Any]:
    """The JSON object that a job left.

    Raises:
        JobResultError: It is absent, larger than 1 MiB, or not a JSON object.
    """
    try:
        with path.open("rb") as file:
            body = file.read(MAX_RESULT_BYTES + 1)
    except FileNotFoundError as error:
        raise JobResultError(f"job {job} ended with exit status 0 but wrote no result to {path.name}") from error
    if len(body) > MAX_RESULT_BYTES:
        raise JobResultError(f"result of job {job} is larger than {MAX_RESULT_BYTES} bytes; it belongs in the work area")
    try:
        result = json.loads(body)
    except ValueError as error:
        raise JobResultError(f"result of job {job} is not JSON: {error}") from error
    if not isinstance(result, dict):
        raise JobResultError(f"result of job {job} is a JSON {type(result).__name__}, not an object")
    return result
