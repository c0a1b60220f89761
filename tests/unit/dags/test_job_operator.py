"""The operator around a job: arguments, result, failure, lost lease, timeout, kill, lineage."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.context import OutletEventAccessors
from scenelake_airflow import job_operator
from scenelake_airflow.errors import JobResultError, LeaseLostError, PayloadError
from scenelake_airflow.job_operator import JobOperator, job_environment, read_result
from scenelake_airflow.lease import Lease

from scenes.errors import DocumentError, JobError, ProvenanceError
from tests.hostile_text import unsafe

LEASE = Lease(
    vehicle_id="car",
    drive_id="monday",
    revision="a" * 64,
    generation=3,
    reason="complete",
    receipt_handle="handle",
    receive_count=1,
    work="s3://lake/work/car/monday/a/1",
)


@dataclass
class Run:
    clear_number: int = 0
    logical_date: datetime | None = None
    run_after: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    conf: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeTaskInstance:
    """The part of a task instance that the OpenLineage macros and the operator use."""

    dag_id: str = "process_drive"
    task_id: str = "drive.inspect"
    try_number: int = 1
    map_index: int = 0
    dag_run: Run = field(default_factory=Run)
    pushed: dict[str, Any] = field(default_factory=dict)

    def get_template_context(self) -> dict[str, Any]:
        return {"dag_run": self.dag_run}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class FakeHold:
    """Holds every lease until `lost` is set."""

    def __init__(self) -> None:
        self.lost = False
        self.held: list[tuple[Lease, int]] = []
        self.ended = 0

    @contextmanager
    def __call__(self, lease: Lease, lease_s: int) -> Iterator[FakeHold]:
        self.held.append((lease, lease_s))
        try:
            yield self
        finally:
            self.ended += 1

    def check(self) -> None:
        if self.lost:
            raise LeaseLostError("the lease of car/monday is lost")


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> FakeHold:
    fake = FakeHold()
    monkeypatch.setattr(job_operator, "hold", fake)
    return fake


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, hold: FakeHold) -> JobOperator:
    """An operator whose job is the marked script; `arguments` in it holds the job's arguments."""
    package = tmp_path / "spark_jobs"
    package.mkdir()
    (package / "__init__.py").touch()
    prelude = "import json, os, signal, sys, time\narguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
    (package / "inspect.py").write_text(prelude + request.param)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "secret")
    monkeypatch.setattr(job_operator, "CHECK_LEASE_S", 0.05)
    return JobOperator(task_id="inspect", job="inspect", lease=LEASE.payload(), lease_s=60, kill_grace_s=1)


def context(ti: FakeTaskInstance) -> Any:
    return {"ti": ti}


def script(text: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operator", [text], indirect=True)


SLEEPS = "print(os.getpid(), flush=True)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"


@script("json.dump({'arguments': arguments, 'cwd': os.getcwd(), 'env': dict(os.environ)}, open(arguments['--result'], 'w'))")
def test_a_job_gets_its_drive_and_returns_its_result(operator: JobOperator, hold: FakeHold) -> None:
    result = operator.execute(context(FakeTaskInstance()))
    arguments = result["arguments"]
    folder = Path(arguments.pop("--result")).parent
    assert arguments == {
        "--vehicle": "car",
        "--drive": "monday",
        "--revision": "a" * 64,
        "--generation": "3",
        "--work": "s3://lake/work/car/monday/a/1",
    }
    assert Path(result["cwd"]) == folder
    assert not folder.exists()
    assert hold.held == [(LEASE, 60)]
    assert hold.ended == 1
    namespace, name, run_id = result["env"]["SCENELAKE_OPENLINEAGE_PARENT"].split("/")
    assert (namespace, name, len(run_id)) == ("default", "process_drive.drive.inspect", 36)
    assert result["env"]["SCENELAKE_OPENLINEAGE_ROOT"].split("/")[:2] == ["default", "process_drive"]
    assert not [variable for variable in result["env"] if variable.startswith("AIRFLOW_")]


@script("json.dump({'outcome': 'published', 'snapshot_id': 7, 'scenes': 3}, open(arguments['--result'], 'w'))")
def test_an_outlet_event_names_the_drive_and_the_snapshot(operator: JobOperator, hold: FakeHold) -> None:
    gold = Asset("gold.scenes")
    operator.outlets = [gold]
    events = OutletEventAccessors()
    operator.execute(context(FakeTaskInstance()) | {"outlet_events": events})
    assert events[gold].extra == {
        "drive": "car/monday",
        "revision": "a" * 64,
        "generation": 3,
        "outcome": "published",
        "snapshot_id": 7,
    }


@script("json.dump({'snapshot_id': 7}, open(arguments['--result'], 'w'))")
def test_a_result_without_an_outcome_announces_nothing(operator: JobOperator) -> None:
    gold = Asset("gold.scenes")
    operator.outlets = [gold]
    events = OutletEventAccessors()
    with pytest.raises(PayloadError, match="outcome"):
        operator.execute(context(FakeTaskInstance()) | {"outlet_events": events})
    assert events[gold].extra == {}


@script("sys.exit(3)")
def test_a_failed_job_announces_nothing(operator: JobOperator) -> None:
    gold = Asset("gold.scenes")
    operator.outlets = [gold]
    events = OutletEventAccessors()
    with pytest.raises(AirflowException):
        operator.execute(context(FakeTaskInstance()) | {"outlet_events": events})
    assert events[gold].extra == {}


@script("print('loading')\nfor n in range(40): print('line', n, file=sys.stderr)\nsys.exit(3)")
def test_a_failure_tells_how_and_the_end_of_stderr(operator: JobOperator) -> None:
    with pytest.raises(AirflowException) as failure:
        operator.execute(context(FakeTaskInstance()))
    assert not isinstance(failure.value, AirflowFailException), "it must be tried again"
    first, *tail = str(failure.value).splitlines()
    assert first == "job inspect of car/monday ended with exit status 3; the end of its stderr:"
    assert tail == [f"line {n}" for n in range(15, 40)]


@script(r"print('a\tname: \x1b]0;owned\x07 \u202egpj'); print('\x1b[2Jgone', file=sys.stderr); sys.exit(3)")
def test_what_a_job_prints_is_printable_in_log_and_failure(operator: JobOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(operator.log, "info", lambda form, *arguments: lines.append(form % arguments))
    with pytest.raises(AirflowException) as failure:
        operator.execute(context(FakeTaskInstance()))
    assert unsafe("".join(lines), "\t") == unsafe(str(failure.value)) == set()
    assert sorted(lines) == ["\\x1b[2Jgone", "a\tname: \\x1b]0;owned\\x07 \\u202egpj"]


@script("print('error: built.json is damaged', file=sys.stderr)\nsys.exit(65)")
def test_a_refused_work_area_is_not_tried_again(operator: JobOperator) -> None:
    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match=r"ended with exit status 65.*\n.*built.json is damaged"):
        operator.execute(context(ti))
    assert ti.pushed == {"failure": "inspect: error: built.json is damaged"}


@pytest.mark.parametrize("error", [DocumentError, ProvenanceError])
def test_the_status_is_that_of_the_errors_of_the_jobs(error: type[JobError]) -> None:
    assert error.exit_code == job_operator.NEW_ATTEMPT_STATUS != JobError.exit_code


@script("os.kill(os.getpid(), signal.SIGSEGV)")
def test_a_crash_names_the_signal(operator: JobOperator) -> None:
    with pytest.raises(AirflowException, match=r"ended by signal 11.*\n\(nothing on stderr\)"):
        operator.execute(context(FakeTaskInstance()))


@script(SLEEPS)
def test_a_lost_lease_ends_the_job_for_good(operator: JobOperator, hold: FakeHold) -> None:
    ti = FakeTaskInstance()
    lines: list[str] = []

    def note(form: str, *arguments: object) -> None:
        lines.append(form % arguments)
        hold.lost = True

    operator.log.info = note  # type: ignore[method-assign, assignment]
    with pytest.raises(AirflowFailException, match="inspect of car/monday stopped: the lease"):
        operator.execute(context(ti))
    assert ti.pushed == {"lease_lost": True}
    assert not psutil.pid_exists(int(lines[0]))


class Interrupt:
    """Runs an action in the main thread, as Airflow's signals do, once the job has printed its pid."""

    def __init__(self, operator: JobOperator, action: Any) -> None:
        self.pid = 0
        operator.log.info = self.note  # type: ignore[method-assign, assignment]
        self._previous = signal.signal(signal.SIGUSR1, lambda number, frame: action())

    def note(self, form: str, *arguments: object) -> None:
        self.pid = int(form % arguments)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    def restore(self) -> None:
        signal.signal(signal.SIGUSR1, self._previous)


@script(SLEEPS)
def test_a_timeout_leaves_no_process(operator: JobOperator, hold: FakeHold) -> None:
    def time_out() -> None:
        raise AirflowTaskTimeout("timed out")

    interrupt = Interrupt(operator, time_out)
    try:
        with pytest.raises(AirflowTaskTimeout):
            operator.execute(context(FakeTaskInstance()))
    finally:
        interrupt.restore()
    assert interrupt.pid
    assert not psutil.pid_exists(interrupt.pid)
    assert hold.ended == 1


@script(SLEEPS)
def test_a_kill_from_airflow_ends_the_job_within_its_grace(operator: JobOperator) -> None:
    interrupt = Interrupt(operator, operator.on_kill)
    begin_s = time.monotonic()
    try:
        with pytest.raises(AirflowException, match="ended by signal 15"):
            operator.execute(context(FakeTaskInstance()))
    finally:
        interrupt.restore()
    assert not psutil.pid_exists(interrupt.pid)
    assert time.monotonic() - begin_s < 10


def test_a_kill_before_the_start_is_not_an_error(hold: FakeHold) -> None:
    JobOperator(task_id="t", job="inspect", lease=LEASE.payload(), lease_s=60, kill_grace_s=1).on_kill()


def test_a_lease_that_is_none_is_refused_before_anything_starts(hold: FakeHold) -> None:
    operator = JobOperator(task_id="t", job="inspect", lease={"vehicle_id": "car"}, lease_s=60, kill_grace_s=1)
    with pytest.raises(PayloadError, match="a lease document has the version None, expected 1"):
        operator.execute(context(FakeTaskInstance()))
    assert hold.held == []


@pytest.mark.parametrize(
    ("body", "message"),
    [(None, "wrote no result"), (b"{", "is not JSON"), (b"[1]", "is a JSON list"), (b'"' + b"x" * 1024 * 1024, "is larger than")],
)  # fmt: skip
def test_results_that_cannot_be_used(tmp_path: Path, body: bytes | None, message: str) -> None:
    path = tmp_path / "result.json"
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(JobResultError, match=message):
        read_result(path, "inspect")


def test_a_result_as_large_as_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    value = "x" * (job_operator.MAX_RESULT_BYTES - len(json.dumps({"k": ""})))
    path.write_text(json.dumps({"k": value}))
    assert read_result(path, "inspect") == {"k": value}


def test_a_job_sees_no_secret_of_airflow() -> None:
    env = {
        "AIRFLOW__CORE__FERNET_KEY": "k",
        "AIRFLOW_CONN_X": "c",
        "_AIRFLOW_PROCESS_CONTEXT": "t",
        "SCENELAKE_RAW_BUCKET": "raw",
    }
    assert job_environment(env, {"P": "1"}) == {"SCENELAKE_RAW_BUCKET": "raw", "P": "1"}
