"""The interface of a stack for the end-to-end tests, in either form: they use its deployment, and kill parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lake.landing import DriveId
from ops.stack.airflow_api import AirflowApi

# Patience is for roads: what the tests wait for comes soon.
QUICK = {
    "SCENELAKE_OVERDUE_AFTER_S": "20",
    "SCENELAKE_SWEEP_EVERY_S": "5",
    "SCENELAKE_DAG_RETRY_DELAY_S": "2",
    "SCENELAKE_DAG_LEASE_S": "45",
}
SCHEDULER = "scheduler"


class Stack(Protocol):
    """A stack under test."""

    spark_master: str
    """How the address of its Spark master begins."""

    def up(self) -> None:
        """Start its components that are not running, and wait until it is healthy."""

    def down(self) -> list[str]:
        """End it with all its data; returns what is left of it."""

    def environment(self) -> Mapping[str, str]:
        """The variables of a process that works with it."""

    def airflow(self) -> AirflowApi:
        """Its Airflow."""

    def kill(self, component: str) -> None:
        """SIGKILL a component."""

    def runs_job(self, job: str, drive: DriveId) -> bool:
        """Whether a job of a drive runs now."""

    def kill_job(self, job: str, drive: DriveId) -> bool:
        """SIGKILL the Spark driver of a job of a drive; whether it ran."""

    def lineage(self) -> str:
        """Its OpenLineage events, one JSON object per line."""


def tries(api: AirflowApi, step: str, drive: DriveId) -> int:
    """How often a step of a drive has been tried, according to Airflow."""
    path = f"/api/v2/dags/process_drive/dagRuns/~/taskInstances?task_id=drive.{step}&order_by=-run_after&limit=100"
    found: list[dict[str, Any]] = api.get(path)["task_instances"]
    return max((entry["try_number"] for entry in found if entry["rendered_map_index"] == str(drive)), default=0)
