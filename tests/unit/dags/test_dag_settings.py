from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenelake_airflow.lease_steps import take
from scenelake_airflow.settings import DAG_PREFIX, SchedulingSettings

from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import ReceivedWork
from lake.errors import SettingsError
from lake.landing import DriveId

AIRFLOW_ENV = Path(__file__).parents[3] / "deploy" / "airflow.env"


def test_defaults_without_an_environment() -> None:
    assert SchedulingSettings.from_env({"SCENELAKE_DAG": "1", "RETRIES": "9"}) == SchedulingSettings()


def test_the_environment_changes_what_it_names() -> None:
    scheduling = SchedulingSettings.from_env({"SCENELAKE_DAG_RETRIES": "0", "SCENELAKE_DAG_LEASE_S": "43200"})
    assert (scheduling.retries, scheduling.lease_s, scheduling.active_runs) == (0, 43200, 4)


def test_the_delay_of_a_redelivery_keeps_the_variable_that_deployments_set() -> None:
    assert SchedulingSettings.from_env({"SCENELAKE_DAG_GIVE_BACK_S": "7"}).redelivery_delay_s == 7
    assert SchedulingSettings.from_env({"SCENELAKE_DAG_REDELIVERY_DELAY_S": "7"}) == SchedulingSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", "-1"), ("retries", "11"), ("lease_s", "1"), ("lease_s", "43201"), ("drives_per_run", "0"), ("retries", "two"),
     ("retries", "1.5"), ("retries", "")],
)  # fmt: skip
def test_a_value_outside_its_bounds_is_refused_by_name(name: str, value: str) -> None:
    variable = DAG_PREFIX + name.upper()
    with pytest.raises(SettingsError, match=rf"{variable}='{value}' must be a whole number from \d+ to \d+; unset it for"):
        SchedulingSettings.from_env({variable: value})


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 256))
def test_every_drive_that_is_leased_has_a_slot(drives: int, runs: int, slots: int) -> None:
    scheduling = SchedulingSettings(drives_per_run=drives, active_runs=runs, jobs_at_once=slots)
    assert 1 <= scheduling.runs_at_once <= runs
    assert 1 <= scheduling.leases_per_run <= drives
    assert scheduling.runs_at_once * scheduling.leases_per_run <= slots


def test_by_default_all_slots_are_used() -> None:
    assert SchedulingSettings().runs_at_once * SchedulingSettings().leases_per_run == SchedulingSettings().jobs_at_once
    lines = dict(line.split("=", 1) for line in AIRFLOW_ENV.read_text().splitlines() if "=" in line and not line.startswith("#"))
    assert int(lines["AIRFLOW__CORE__PARALLELISM"]) >= SchedulingSettings().jobs_at_once, "a slot is a task of Airflow"


@dataclass
class Message:
    """A message on a queue of SQS: a delivery makes it invisible, and each of at most five has a handle of its own."""

    drive: DriveId
    visible_s: float = 0.0
    deliveries: int = 0
    done: bool = False


@dataclass
class Backlog:
    """Healthy drives that wait for a few slots, in simulated time: SQS and Airflow as far as leases are concerned."""

    scheduling: SchedulingSettings
    build_s: float
    messages: list[Message]
    now_s: float = 0.0
    lost: int = 0
    worked_s: float = 0.0
    running: list[tuple[float, int, Message, int]] = field(default_factory=list)

    def messages_of(self, most: int) -> Iterator[ReceivedWork]:
        for _ in range(most):
            found = next(
                (one for one in self.messages if not one.done and one.visible_s <= self.now_s and one.deliveries < 5), None
            )
            if found is None:
                return
            found.deliveries += 1
            found.visible_s = self.now_s + 120
            work = DriveWork(found.drive, "f" * 64, WorkReason.COMPLETE)
            yield ReceivedWork(work, f"{found.drive}#{found.deliveries}", found.deliveries, str(found.drive))

    def of(self, handle: str) -> Message:
        drive, _, delivery = handle.partition("#")
        found = next(one for one in self.messages if str(one.drive) == drive)
        assert delivery == str(found.deliveries)
        return found

    def simulate(self) -> None:
        """Runs start while they may, and each drive takes the slots that it needs, until nothing is left."""
        active: dict[int, int] = {}
        waiting: list[tuple[Message, int, int]] = []
        started = 0
        while True:
            while len(active) < self.scheduling.runs_at_once:
                leased = take(_Queue(self), _Ledger(), "lake", f"run-{started}", self.scheduling)
                if not leased:
                    break
                started += 1
                active[started] = len(leased)
                waiting += [(self.of(lease.receipt_handle), lease.receive_count, started) for lease in leased]
            while waiting and len(self.running) < self.scheduling.jobs_at_once:
                message, delivery, run = waiting.pop(0)
                if message.visible_s <= self.now_s or message.deliveries != delivery:
                    self.lost += 1
                    active[run] -= 1
                else:
                    self.worked_s += self.build_s
                    message.visible_s = self.now_s + self.build_s + self.scheduling.lease_s  # a job at work extends its lease
                    heapq.heappush(self.running, (self.now_s + self.build_s, id(message), message, run))
            active = {run: left for run, left in active.items() if left}
            if not self.running:
                return
            self.now_s, _, message, run = heapq.heappop(self.running)
            message.done = True
            active[run] -= 1
            active = {run: left for run, left in active.items() if left}


@dataclass
class _Queue:
    backlog: Backlog

    def messages(self, most: int) -> Iterator[ReceivedWork]:
        return self.backlog.messages_of(most)

    def extend(self, receipt_handle: str, visibility_s: int) -> bool:
        self.backlog.of(receipt_handle).visible_s = self.backlog.now_s + visibility_s
        return True

    def delete(self, receipt_handle: str) -> bool:
        raise AssertionError(f"{receipt_handle} is deleted before its drive has ended")


class _Ledger:
    def begin(self, drive: DriveId, revision: str) -> DriveRecord:
        return DriveRecord(drive, DriveState.PROCESSING, revision, generation=1)


@pytest.mark.parametrize("settings", [{}, {"jobs_at_once": 2}, {"drives_per_run": 4}, {"drives_per_run": 16, "jobs_at_once": 8}])
@pytest.mark.parametrize(("drives", "build_s"), [(16, 300.0), (100, 1200.0), (40, 6000.0)])
def test_no_lease_of_a_backlog_expires_while_its_drive_waits_for_a_slot(
    settings: dict[str, int], drives: int, build_s: float
) -> None:
    backlog = Backlog(
        SchedulingSettings(**settings), build_s, [Message(DriveId("car", f"d{number}")) for number in range(drives)]
    )
    backlog.simulate()
    assert all(message.done and message.deliveries == 1 for message in backlog.messages)
    assert (backlog.lost, backlog.worked_s) == (0, drives * build_s)
