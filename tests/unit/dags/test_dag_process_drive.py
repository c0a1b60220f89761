"""The DAG: its steps, edges and limits, and that its page documents them correctly."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import process_drive
import pytest
from airflow.sdk import DAG, Asset, TriggerRule
from scenelake_airflow.job_operator import JobOperator
from scenelake_airflow.settings import SchedulingSettings

from lake.settings import variables

JOBS = ("inspect", "build_scenes", "audit", "publish")


@pytest.fixture(scope="module")
def dag() -> DAG:
    built: Any = process_drive.process_drive()
    assert isinstance(built, DAG)
    return built


def test_steps_and_edges(dag: DAG) -> None:
    edges = {name: sorted(task.downstream_task_ids) for name, task in dag.task_dict.items()}
    assert edges == {
        "lease": ["drive.abandon", "drive.acknowledge", "drive.audit", "drive.build_scenes", "drive.gate", "drive.inspect",
                  "drive.publish"],
        "drive.inspect": ["drive.abandon", "drive.gate"],
        "drive.gate": ["drive.build_scenes"],
        "drive.build_scenes": ["drive.abandon", "drive.audit"],
        "drive.audit": ["drive.abandon", "drive.publish"],
        "drive.publish": ["drive.abandon", "drive.acknowledge"],
        "drive.acknowledge": [],
        "drive.abandon": [],
    }  # fmt: skip


def test_a_failed_drive_leaves_a_red_run(dag: DAG) -> None:
    leaves = {task.task_id for task in dag.leaves}
    assert leaves == {"drive.acknowledge", "drive.abandon"}
    rules = {name.removeprefix("drive."): task.trigger_rule for name, task in dag.task_dict.items()}
    assert rules.pop("abandon") == TriggerRule.ONE_FAILED
    assert rules.pop("audit") == TriggerRule.NONE_FAILED
    assert set(rules.values()) == {TriggerRule.ALL_SUCCESS}


def test_limits(dag: DAG) -> None:
    scheduling = SchedulingSettings()
    assert dag.max_active_runs == scheduling.active_runs
    assert not dag.catchup
    for task in dag.tasks:
        assert task.retries == 2
        assert task.retry_delay == timedelta(seconds=scheduling.retry_delay_s)
        assert task.execution_timeout is not None
    timeouts = {name: dag.get_task(f"drive.{name}").execution_timeout for name in JOBS}
    assert timeouts == {
        "inspect": timedelta(minutes=30),
        "build_scenes": timedelta(hours=2),
        "audit": timedelta(minutes=30),
        "publish": timedelta(minutes=30),
    }
    for name in JOBS:
        task = dag.get_task(f"drive.{name}")
        assert isinstance(task, JobOperator)
        assert task.job == name
        assert task.max_active_tis_per_dag == scheduling.jobs_at_once
    assert scheduling.lease_s > scheduling.retry_delay_s * scheduling.retries


def test_it_starts_by_the_doorbell_and_holds_no_slot_while_idle(dag: DAG) -> None:
    (watcher,) = process_drive.DRIVE_WORK.watchers
    assert isinstance(process_drive.DRIVE_WORK, Asset)
    path, arguments = watcher.trigger.serialize() if hasattr(watcher.trigger, "serialize") else (None, None)
    assert (path, arguments) == ("scenelake_airflow.doorbell.DriveWorkDoorbell", {"poll_s": 1.0, "again_s": 30.0})
    assert not [task for task in dag.tasks if "Sensor" in type(task).__name__]


def test_only_publish_announces_gold(dag: DAG) -> None:
    announcing = {name: [asset.name for asset in task.outlets] for name, task in dag.task_dict.items() if task.outlets}
    assert announcing == {"drive.publish": ["gold.scenes"]}


def test_its_page_is_the_module_docstring_and_names_every_parameter_with_its_default(dag: DAG) -> None:
    assert dag.doc_md == process_drive.__doc__
    rows = dict(re.findall(r"^\| `(SCENELAKE_DAG_\w+)` \| (\d+) \|", str(dag.doc_md), re.MULTILINE))
    assert rows == {variable.names[0]: variable.default for variable in variables(SchedulingSettings)}
    for step in ("lease", *JOBS, "gate", "acknowledge", "abandon"):
        assert f"| `{step}` |" in str(dag.doc_md)
