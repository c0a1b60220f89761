"""The local stack, started for real: Airflow takes drives from the queue to their ends; only the jobs are fakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingest.environment import client
from ingest.ledger.records import ObjectHead, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import DriveWork, WorkReason
from lake.drive_input import DriveInput, InputObject, input_key
from lake.landing import DriveId
from lake.settings import Settings
from ops import stack
from ops.stack import processes
from ops.stack.inspection import ALL
from ops.stack.layout import StackLayout

JOBS = ("inspect", "build_scenes", "audit", "publish")
WITHIN_S = 150


@dataclass(frozen=True)
class Running:
    """The stack under test and the calls that its fake jobs have recorded."""

    home: Path
    place: Path
    env: dict[str, str]

    @property
    def settings(self) -> Settings:
        return Settings.from_env(stack.environment(self.home))

    def client(self, service: str) -> Any:
        return client(service, self.settings.aws)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.client("dynamodb"), self.settings.ledger_table)

    def state(self, drive: DriveId) -> DriveState | None:
        record = self.ledger.drive(drive)
        return record.state if record else None

    def calls(self, drive: DriveId) -> list[dict[str, Any]]:
        lines = (self.place / "calls.jsonl").read_text().splitlines() if (self.place / "calls.jsonl").exists() else []
        return [call for call in map(json.loads, lines) if call["drive"] == drive.drive_id]

    def send(self, name: str) -> DriveId:
        """Put a drive of one object into the ledger, as ingest does when it is complete, and its message on the queue."""
        drive = DriveId("car", name)
        key = f"{drive}/lidar/top/1700000000000000000.mcap"
        document = DriveInput(drive, frozenset({InputObject(key, "v1", "")}), None, None)
        self.client("s3").put_object(
            Bucket=self.settings.lake_bucket, Key=input_key(drive, document.revision), Body=document.to_bytes()
        )
        ledger = self.ledger
        ledger.put_object(drive, ObjectHead(key, "v1", 1, "e", 0), None)
        ledger.touch(drive, changed=True)
        landed = ledger.drive(drive)
        assert landed is not None
        queued = ledger.queue(landed, Requeue(document.revision, WorkReason.COMPLETE, None, None))
        assert queued is not None
        work = DriveWork(drive, document.revision, WorkReason.COMPLETE)
        self.client("sqs").send_message(QueueUrl=self.settings.drive_work_url, MessageBody=work.to_message())
        ledger.sent(queued)
        return drive

    def depth(self) -> tuple[int, int]:
        found = next(queue for queue in stack.status(self.home).queues if self.settings.drive_work_url.endswith(queue.name))
        return found.visible, found.in_flight


def eventually(what: str, holds: Callable[[], object], within_s: float = WITHIN_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home, place = tmp_path_factory.mktemp("stack"), tmp_path_factory.mktemp("fakes")
    package = place / "spark_jobs"
    package.mkdir()
    shutil.copyfile(Path(__file__).with_name("fake_spark_jobs.py"), package / "__init__.py")
    for job in JOBS:
        (package / f"{job}.py").write_text(f"import sys\nfrom spark_jobs import run\nsys.exit(run({job!r}))\n")
    env = {
        **os.environ,
        "PYTHONPATH": str(place),
        "SCENELAKE_TEST_FAKE_JOBS": str(place),
        "SCENELAKE_DAG_RETRIES": "1",
        "SCENELAKE_DAG_RETRY_DELAY_S": "1",
        "SCENELAKE_DAG_GIVE_BACK_S": "3600",
    }
    with pytest.MonkeyPatch.context() as patch:
        try:
            stack.up(home, print, env)
            for name, value in stack.environment(home).items():
                patch.setenv(name, value)
            yield Running(home, place, env)
        finally:
            stack.down(home)


@pytest.mark.enable_socket
def test_everything_is_healthy_and_listens_on_loopback_only(running: Running) -> None:
    status = stack.status(running.home)
    assert status.healthy, status
    assert status.airflow_password
    assert 0 < status.memory_bytes < 1.5e9
    groups = processes.members(StackLayout.of(running.home), ALL)
    listening = {
        connection.laddr.ip
        for group in groups.values()
        for process in group
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    private = [path for path in running.home.rglob("*") if path.name in ("secrets.json", "passwords.json", "stack.json")]
    assert sorted(path.stat().st_mode & 0o777 for path in private) == [0o600] * 3


@pytest.mark.enable_socket
def test_drives_come_to_their_ends_side_by_side(running: Running) -> None:
    clean, dark, sick = (running.send(name) for name in ("clean", "dark", "sick"))
    ends = {clean: DriveState.PUBLISHED, dark: DriveState.QUARANTINED, sick: DriveState.FAILED}
    eventually("all at their ends", lambda: {drive: running.state(drive) for drive in ends} == ends)

    assert [call["job"] for call in running.calls(clean)] == list(JOBS)
    assert [call["job"] for call in running.calls(dark)] == ["inspect", "audit", "publish"]
    assert [call["job"] for call in running.calls(sick)] == ["inspect", "build_scenes", "build_scenes"]
    objects = {drive: [entry.state for entry in running.ledger.objects(drive)] for drive in ends}
    assert objects == {clean: [ObjectState.PUBLISHED], dark: [ObjectState.QUARANTINED], sick: [ObjectState.LANDED]}
    eventually("only the failed drive's message is left, invisible", lambda: running.depth() == (0, 1))

    lone = running.send("sick-alone")
    eventually("a failure of the only drive of a run is noted, too", lambda: running.state(lone) is DriveState.FAILED)

    first = running.calls(clean)[0]
    namespace, job, run = first["parent"].split("/")
    assert (namespace, job, len(run)) == ("scenelake", "process_drive.drive.inspect", 36)
    assert first["root"].startswith("scenelake/process_drive/")
    assert {call["root"] for call in running.calls(clean)} == {first["root"]}
    assert len({call["work"] for call in running.calls(clean)}) == 1
    assert first["airflow"] == []


@pytest.mark.enable_socket
def test_a_killed_scheduler_costs_a_drive_nothing_but_time(running: Running) -> None:
    slow, quick = running.send("slow"), running.send("quick")
    eventually("the job is at work", lambda: any(call["job"] == "build_scenes" for call in running.calls(slow)))
    eventually("a neighbour does not wait for it", lambda: running.state(quick) is DriveState.PUBLISHED)
    assert running.state(slow) is DriveState.PROCESSING
    before = [call for call in running.calls(slow) if call["job"] == "build_scenes"]
    scheduler = next(component for component in stack.status(running.home).components if component.name == "scheduler")
    assert scheduler.pid is not None
    os.kill(scheduler.pid, signal.SIGKILL)
    eventually("its end is noticed", lambda: not stack.status(running.home).healthy, 10)

    status = stack.up(running.home, print, running.env)

    assert status.healthy
    assert status.notes == ()
    pids = {component.name: component.pid for component in status.components}
    assert pids["scheduler"] not in (None, scheduler.pid)
    assert not psutil.pid_exists(before[0]["pid"]), "the job of the killed scheduler is still at work"
    (running.place / "go").touch()
    eventually("the drive is published", lambda: running.state(slow) is DriveState.PUBLISHED)
    assert [call["job"] for call in running.calls(slow)].count("publish") == 1
    assert len({call["work"] for call in running.calls(slow)}) == 1


@pytest.mark.enable_socket
def test_nothing_is_left_when_it_is_down(running: Running) -> None:
    layout = StackLayout.of(running.home)
    members = [process for group in processes.members(layout, ALL).values() for process in group]
    assert len(members) > 6

    stack.down(running.home)

    assert [process for process in members if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert stack.status(running.home).components == ()
    assert not stack.status(running.home).healthy
