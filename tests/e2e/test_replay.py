"""`replay_quarantine` as an operator triggers it in a running Airflow: a dry run first, then for real; the audit balances at each
point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.ledger.states import DriveState
from lake.landing import DriveId
from ops.stack.airflow_api import AirflowApi

from .conftest import Deployed, eventually

# It may be the first to start the stack; a busy machine needs minutes for that.
pytestmark = pytest.mark.timeout(900)

DAG, RULE = "replay_quarantine", "CLK003"


class Operator:
    """A user with the right to trigger a DAG, over Airflow's public API."""

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def replay(self, **conf: Any) -> dict[str, tuple[str, Any]]:
        """Trigger a run and wait for its end; returns each task's state and result."""
        run = f"/api/v2/dags/{DAG}/dagRuns/{self._api.trigger(DAG, conf)}"
        state = eventually(lambda: {"success", "failed"} & {self._api.get(run)["state"]}, "the run ends")
        assert state == {"success"}
        tasks = self._api.get(f"{run}/taskInstances")["task_instances"]
        return {task["task_id"]: (task["state"], self._returned(run, task)) for task in tasks}

    def _returned(self, run: str, task: dict[str, Any]) -> Any:
        if task["state"] != "success":
            return None
        return self._api.get(f"{run}/taskInstances/{task['task_id']}/xcomEntries/return_value?deserialize=true")["value"]


def held(local: Deployed, drive: DriveId) -> list[tuple[str, str, bool]]:
    """The quarantined records of a drive, without the values that name a run."""
    rows = local.table("quarantine.records", drive)
    return sorted((row["record_id"], row["status"], RULE in row["rule_ids"]) for row in rows)


def generation(local: Deployed, drive: DriveId) -> tuple[DriveState, int]:
    record = local.ledger.drive(drive)
    assert record is not None
    return record.state, record.generation


def test_a_dry_run_lists_and_a_real_one_judges_again(local: Deployed, make: Callable[..., Path]) -> None:
    # Most sweeps of the reference are lost: its rate is an error, and the drive is refused as a whole.
    drive = local.send(make("replayed", "drop_frames:lidar_top:0.6"))
    assert local.wait(drive).state == DriveState.QUARANTINED
    before = held(local, drive)
    assert [names for _, _, names in before] == [True]
    assert generation(local, drive) == (DriveState.QUARANTINED, 1)
    local.check_audit()

    operator = Operator(local.stack.airflow())
    dry = operator.replay(rule=RULE, drive=str(drive))
    assert dry["find"] == ("success", {str(drive): 1})
    assert dry["replay"][0] == "skipped"
    assert generation(local, drive) == (DriveState.QUARANTINED, 1)
    assert held(local, drive) == before
    local.check_audit()

    real = operator.replay(rule=RULE, drive=str(drive), dry_run=False)
    assert real["replay"] == ("success", {str(drive): "queued, generation 2"})
    eventually(lambda: generation(local, drive) == (DriveState.QUARANTINED, 2), "the drive is judged again")
    assert held(local, drive) == before, "the rule has not changed, and so has nothing else"
    local.check_audit()
