"""Which step of `process_drive` works on a drive: asked of Airflow's API, and never needed for anything but the view."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from lake.landing import DriveId

DAG_ID = "process_drive"
TIMEOUT_S = 3.0
FRESH_S = 1.0
LIMIT = 100  # the newest task instances; a run has 8 for each of its drives
ACTIVE = ("running", "queued", "scheduled", "up_for_retry", "deferred")


class AirflowSteps:
    """The running task instances of `process_drive`, asked at most once a second, whatever the number of drives."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url, self._user, self._password = url, user, password
        self._session = requests.Session()
        self._session.trust_env = False  # the address is on loopback; a proxy could only get in the way
        self._asked_s = float("-inf")
        self._found: tuple[Mapping[str, Any], ...] = ()

    def step(self, drive: DriveId) -> str | None:
        """The task that works on a drive; None where none does or Airflow does not answer."""
        if time.monotonic() - self._asked_s >= FRESH_S:
            self._found = self._ask()
            self._asked_s = time.monotonic()
        return step_of(self._found, drive)

    def _ask(self) -> tuple[Mapping[str, Any], ...]:
        try:
            answer = self._get()
            if answer.status_code == 401:
                self._sign_in()
                answer = self._get()
            return tuple(answer.json()["task_instances"]) if answer.ok else ()
        except (requests.RequestException, ValueError, KeyError):
            return ()  # the view then shows the state alone, which comes from the ledger

    def _get(self) -> requests.Response:
        address = f"{self._url}/api/v2/dags/{DAG_ID}/dagRuns/~/taskInstances"
        return self._session.get(address, params={"limit": str(LIMIT), "order_by": "-run_after"}, timeout=TIMEOUT_S)

    def _sign_in(self) -> None:
        body = {"username": self._user, "password": self._password}
        answer = self._session.post(f"{self._url}/auth/token", json=body, timeout=TIMEOUT_S)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def step_of(instances: Sequence[Mapping[str, Any]], drive: DriveId) -> str | None:
    """The task of a drive among task instances of the API, a running one before a waiting one.

    A mapped instance that has begun names its drive in `rendered_map_index`; one that waits is known by its run and
    map index, which it shares with those that have begun.
    """
    places = {_place(entry) for entry in instances if entry.get("rendered_map_index") == str(drive)}
    own = [entry for entry in instances if _place(entry) in places and entry.get("state") in ACTIVE]
    if not own:
        return None
    first = min(own, key=lambda entry: ACTIVE.index(entry["state"]))
    task = str(first["task_id"]).rsplit(".", 1)[-1]
    return task if first["state"] == "running" else f"{task} ({first['state']})"


def _place(entry: Mapping[str, Any]) -> tuple[str, int]:
    return str(entry.get("dag_run_id")), int(entry.get("map_index", -1))
