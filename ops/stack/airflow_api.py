"""A client of Airflow's API for the local stack."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import requests

from ops.errors import ComponentError
from ops.stack.choices import ADMIN
from ops.stack.processes import API_SERVER, DAG_PROCESSOR, SCHEDULER, TRIGGERER

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ComponentHeartbeat:
    """Health of one component according to Airflow, and the time of its last heartbeat (Unix time; 0: never)."""

    healthy: bool
    at_s: float


class ComponentHealth(msgspec.Struct, frozen=True):
    """One component in the answer of `/monitor/health`; a component names its heartbeat after itself."""

    status: str | None = None
    latest_scheduler_heartbeat: datetime | None = None
    latest_dag_processor_heartbeat: datetime | None = None
    latest_triggerer_heartbeat: datetime | None = None

    @property
    def heartbeat(self) -> ComponentHeartbeat:
        """Its health and the time of its last heartbeat."""
        at = self.latest_scheduler_heartbeat or self.latest_dag_processor_heartbeat or self.latest_triggerer_heartbeat
        return ComponentHeartbeat(self.status == "healthy", at.timestamp() if at is not None else 0.0)


class Health(msgspec.Struct, frozen=True):
    """The answer of `/monitor/health`."""

    metadatabase: ComponentHealth
    scheduler: ComponentHealth | None = None
    dag_processor: ComponentHealth | None = None
    triggerer: ComponentHealth | None = None


class Dag(msgspec.Struct, frozen=True):
    """The details of a DAG."""

    is_paused: bool
    has_import_errors: bool


class ImportFailure(msgspec.Struct, frozen=True):
    """A DAG file that Airflow cannot import."""

    filename: str
    stack_trace: str


class ImportErrors(msgspec.Struct, frozen=True):
    """The answer of `/importErrors`."""

    import_errors: tuple[ImportFailure, ...]


class AirflowApi:
    """Airflow's API at a loopback address; proxy settings are ignored."""

    def __init__(self, url: str, password: str, *, user: str = ADMIN, timeout_s: float = TIMEOUT_S) -> None:
        self._url, self._user, self._password, self._timeout_s = url, user, password, timeout_s
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, ComponentHeartbeat]:
        """Each component's heartbeat by its name; empty while the API does not answer."""
        try:
            answer = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=self._timeout_s)
            found = msgspec.json.decode(answer.content, type=Health) if answer.ok else None
        except (requests.RequestException, msgspec.DecodeError):
            found = None
        if found is None:
            return {}
        components = {SCHEDULER: found.scheduler, DAG_PROCESSOR: found.dag_processor, TRIGGERER: found.triggerer}
        beats = {name: (state or ComponentHealth()).heartbeat for name, state in components.items()}
        return {API_SERVER: ComponentHeartbeat(found.metadatabase.status == "healthy", time.time()), **beats}

    def dag(self, dag_id: str) -> Dag | None:
        """A DAG's details; None while it has not been parsed.

        Raises:
            ComponentError: A DAG file cannot be imported, or the API refuses.
        """
        answer = self._request("GET", f"/api/v2/dags/{dag_id}")
        found = None if answer.status_code == 404 else msgspec.json.decode(_checked(answer).content, type=Dag)
        if found is None or found.has_import_errors:
            errors = _checked(self._request("GET", "/api/v2/importErrors"))
            for broken in msgspec.json.decode(errors.content, type=ImportErrors).import_errors:
                raise ComponentError(f"Airflow cannot import {broken.filename}:\n{broken.stack_trace}")
        return found

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        _checked(self._request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False}))

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> str:
        """Start a run of a DAG now with these parameters; returns the run's id."""
        answer = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(_checked(answer).json()["dag_run_id"])

    def get(self, path: str) -> Any:
        """The JSON that the API answers at a path.

        Raises:
            ComponentError: It refuses.
        """
        return _checked(self._request("GET", path)).json()

    def _request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> requests.Response:
        answer = self._session.request(method, self._url + path, json=body, timeout=self._timeout_s)
        if answer.status_code == 401:
            self._sign_in()
            answer = self._session.request(method, self._url + path, json=body, timeout=self._timeout_s)
        return answer

    def _sign_in(self) -> None:
        credentials = {"username": self._user, "password": self._password}
        answer = _checked(self._session.post(f"{self._url}/auth/token", json=credentials, timeout=self._timeout_s))
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _checked(answer: requests.Response) -> requests.Response:
    if not answer.ok:
        raise ComponentError(
            f"Airflow answered {answer.request.method} {answer.url} with {answer.status_code}: {answer.text[:500]}"
        )
    return answer
