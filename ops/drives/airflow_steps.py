"""The current step of a drive in the DAG `process_drive`, from Airflow's API; for display only."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import requests

from lake.landing import DriveId
from ops.errors import ComponentError
from ops.stack.airflow_api import AirflowApi

DAG_ID = "process_drive"
TIMEOUT_S = 3.0
FRESH_S = 1.0
LIMIT = 100  # the newest task instances; a run has 8 for each of its drives
ACTIVE = ("running", "queued", "scheduled", "up_for_retry", "deferred")


class TaskInstance(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance of Airflow's API; columns that are not named here are ignored."""

    task_id: str
    dag_run_id: str
    map_index: int = -1
    state: str | None = None
    rendered_map_index: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        """The run and map index, which all tasks of one drive share."""
        return self.dag_run_id, self.map_index


class TaskInstances(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of Airflow's API to a query for task instances."""

    task_instances: tuple[TaskInstance, ...]


class AirflowSteps:
    """Task instances of `process_drive`, fetched at most once a second for any number of drives."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._api = AirflowApi(url, password, user=user, timeout_s=TIMEOUT_S)
        self._fetched_s = float("-inf")
        self._found: tuple[TaskInstance, ...] = ()

    def step(self, drive: DriveId) -> str | None:
        """The task that works on a drive; None without one, or if Airflow does not respond."""
        if time.monotonic() - self._fetched_s >= FRESH_S:
            self._found = self._ask()
            self._fetched_s = time.monotonic()
        return step_of(self._found, drive)

    def _ask(self) -> tuple[TaskInstance, ...]:
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/~/taskInstances?limit={LIMIT}&order_by=-run_after"
        try:
            return msgspec.convert(self._api.get(path), TaskInstances).task_instances
        except (requests.RequestException, msgspec.ValidationError, ComponentError, ValueError, KeyError):
            return ()  # the state, which comes from the ledger, is then shown without a step


def step_of(instances: Sequence[TaskInstance], drive: DriveId) -> str | None:
    """The task of a drive, preferring a running one over a waiting one.

    A mapped instance that has started names its drive in `rendered_map_index`; a waiting one is matched by run and map index,
    which it shares with those that have started.
    """
    places = {entry.place for entry in instances if entry.rendered_map_index == str(drive)}
    own = [(entry.state, entry.task_id) for entry in instances if entry.place in places and entry.state in ACTIVE]
    if not own:
        return None
    state, task_id = min(own, key=lambda one: ACTIVE.index(one[0]))
    task = task_id.rsplit(".", 1)[-1]
    return task if state == "running" else f"{task} ({state})"
