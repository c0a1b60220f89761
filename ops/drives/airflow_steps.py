"""The current step of a drive in the DAG `process_drive`, from Airflow's API; for display only."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import requests

from lake.landing import DriveId

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
        self._url, self._user, self._password = url, user, password
        self._session = requests.Session()
        self._session.trust_env = False  # the address is on loopback: no proxy
        self._asked_s = float("-inf")
        self._found: tuple[TaskInstance, ...] = ()

    def step(self, drive: DriveId) -> str | None:
        """The task that works on a drive; None where none does or Airflow does not answer."""
        if time.monotonic() - self._asked_s >= FRESH_S:
            self._found = self._ask()
            self._asked_s = time.monotonic()
        return step_of(self._found, drive)

    def _ask(self) -> tuple[TaskInstance, ...]:
        try:
            answer = self._get()
            if answer.status_code == 401:
                self._sign_in()
                answer = self._get()
            return msgspec.json.decode(answer.content, type=TaskInstances).task_instances if answer.ok else ()
        except (requests.RequestException, msgspec.DecodeError, ValueError, KeyError):
            return ()  # the state, which comes from the ledger, is then shown without a step

    def _get(self) -> requests.Response:
        address = f"{self._url}/api/v2/dags/{DAG_ID}/dagRuns/~/taskInstances"
        return self._session.get(address, params={"limit": str(LIMIT), "order_by": "-run_after"}, timeout=TIMEOUT_S)

    def _sign_in(self) -> None:
        body = {"username": self._user, "password": self._password}
        answer = self._session.post(f"{self._url}/auth/token", json=body, timeout=TIMEOUT_S)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


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
