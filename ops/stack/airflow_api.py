"""What the local stack asks of Airflow's API."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from ops.errors import ComponentError
from ops.stack.choices import ADMIN
from ops.stack.processes import API_SERVER, DAG_PROCESSOR, SCHEDULER, TRIGGERER

TIMEOUT_S = 5.0
_HEARTBEATS = {
    SCHEDULER: ("scheduler", "latest_scheduler_heartbeat"),
    DAG_PROCESSOR: ("dag_processor", "latest_dag_processor_heartbeat"),
    TRIGGERER: ("triggerer", "latest_triggerer_heartbeat"),
}


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What Airflow says of one component: its verdict, and when it heard from it last (Unix time; 0: never)."""

    healthy: bool
    at_s: float


class AirflowApi:
    """Airflow's API at a loopback address; a session that no proxy setting can lead elsewhere."""

    def __init__(self, url: str, password: str) -> None:
        self._url, self._password = url, password
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, Heartbeat]:
        """Each component's heartbeat by its name; empty while the API does not answer."""
        try:
            answer = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=TIMEOUT_S)
            if not answer.ok:
                return {}
            document = answer.json()
        except (requests.RequestException, ValueError):
            return {}
        found = {API_SERVER: Heartbeat(document["metadatabase"]["status"] == "healthy", time.time())}
        for component, (key, heartbeat) in _HEARTBEATS.items():
            state = document.get(key) or {}
            found[component] = Heartbeat(state.get("status") == "healthy", _unix_s(state.get(heartbeat)))
        return found

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """A DAG's details; None while it has not been parsed.

        Raises:
            ComponentError: A DAG file cannot be imported, or the API refuses.
        """
        answer = self._get(f"/api/v2/dags/{dag_id}")
        found = None if answer.status_code == 404 else _checked(answer)
        if found is None or found["has_import_errors"]:
            for broken in self.get("/api/v2/importErrors")["import_errors"]:
                raise ComponentError(f"Airflow cannot import {broken['filename']}:\n{broken['stack_trace']}")
        return found

    def dag_runs(self, dag_id: str) -> int:
        """How many runs of a DAG there have been."""
        return int(self.get(f"/api/v2/dags/{dag_id}/dagRuns?limit=1")["total_entries"])

    def task_instances(self, dag_id: str, task_id: str) -> list[dict[str, Any]]:
        """The newest instances of a task, over all runs."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/~/taskInstances?task_id={task_id}&order_by=-run_after&limit=100"
        found: list[dict[str, Any]] = self.get(path)["task_instances"]
        return found

    def unpause(self, dag_id: str) -> None:
        """Let the DAG's schedule run."""
        _checked(self._ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False}))

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run of a DAG now, with what its parameters are to be; the run's id."""
        answer = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(_checked(answer)["dag_run_id"])

    def get(self, path: str) -> dict[str, Any]:
        """What the API answers at a path.

        Raises:
            ComponentError: It refuses.
        """
        return _checked(self._get(path))

    def _get(self, path: str) -> requests.Response:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        answer = self._session.request(method, self._url + path, json=body, timeout=TIMEOUT_S)
        if answer.status_code == 401:
            self._sign_in()
            answer = self._session.request(method, self._url + path, json=body, timeout=TIMEOUT_S)
        return answer

    def _sign_in(self) -> None:
        credentials = {"username": ADMIN, "password": self._password}
        token = _checked(self._session.post(f"{self._url}/auth/token", json=credentials, timeout=TIMEOUT_S))["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"


def _checked(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        raise ComponentError(
            f"Airflow answered {answer.request.method} {answer.url} with {answer.status_code}: {answer.text[:500]}"
        )
    document: dict[str, Any] = answer.json()
    return document


def _unix_s(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
