"""The daily maintenance: a dry run by default, one at a time, its steps in their order."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import maintain_lake
import pytest
from airflow.sdk import DAG
from scenelake_airflow import maintenance_steps
from scenelake_airflow.errors import PayloadError
from scenelake_airflow.maintenance_steps import STEPS, compact_days, expire_snapshots, sweep_files
from scenelake_airflow.settings import MaintenanceMode, MaintenanceSettings, SchedulingSettings

from bench.folder_settings import SETTINGS
from lake.errors import SettingsError
from lake.maintenance.compaction_plan import RunBudget, plan
from lake.maintenance.judgement import LONGEST_LEASE_S
from lake.settings import variables
from lake.versions.tags import create_tag
from tests.unit.lake.maintenance.small_files import DRIVES, SmallFilesLake
from tests.unit.lake.maintenance.swept_world import SweptWorld
from tests.unit.lake.versions.version_lake import DRIVE

DRY = {"dry_run": True, "older_than_h": 0, "keep_last": 1}
R1, R2 = "1" * 64, "2" * 64


@pytest.fixture(scope="module")
def dag() -> DAG:
    built: Any = maintain_lake.maintain_lake()
    assert isinstance(built, DAG)
    return built


def test_it_runs_daily_one_at_a_time_and_dry(dag: DAG) -> None:
    assert (dag.schedule, dag.catchup, dag.max_active_runs) == ("@daily", False, 1)
    assert dag.params["dry_run"] is True
    assert "dry run" in (dag.doc_md or "")
    assert MaintenanceSettings().mode is MaintenanceMode.DRY_RUN


def test_the_steps_follow_each_other_and_each_is_tried_again(dag: DAG) -> None:
    names = list(STEPS)
    assert {name: sorted(task.downstream_task_ids) for name, task in dag.task_dict.items()} == {
        name: names[at + 1 : at + 2] for at, name in enumerate(names)
    }
    assert (names[0], names[-1]) == ("expire", "sweep")
    assert {task.retries for task in dag.tasks} == {SchedulingSettings().retries}
    assert {task.execution_timeout.total_seconds() for task in dag.tasks} == {MaintenanceSettings().timeout_s}  # type: ignore[union-attr]
    assert all(f"| `{name}` |" in (dag.doc_md or "") for name in STEPS)


@pytest.mark.parametrize(
    ("name", "wrong"), [("dry_run", "no"), ("older_than_h", -1), ("keep_last", 0), ("keep_last", 1.5), ("keep_last", None)]
)
def test_parameters_are_bounded(dag: DAG, name: str, wrong: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(wrong)


def test_the_daily_runs_are_switched_on_by_name() -> None:
    assert MaintenanceSettings.from_env({"SCENELAKE_DAG_MAINTAIN_MODE": "apply"}).mode is MaintenanceMode.APPLY
    with pytest.raises(SettingsError, match="SCENELAKE_DAG_MAINTAIN_MODE='yes' must be one of dry-run, apply"):
        MaintenanceSettings.from_env({"SCENELAKE_DAG_MAINTAIN_MODE": "yes"})
    assert {name for one in variables(MaintenanceSettings) for name in one.names} >= {"SCENELAKE_DAG_MAINTAIN_MODE"}


def test_no_lease_or_step_can_last_longer_than_the_sweep_waits() -> None:
    for name in ("lease_s", "build_timeout_s", "publish_timeout_s", "audit_timeout_s", "inspect_timeout_s"):
        with pytest.raises(SettingsError):
            SchedulingSettings.from_env({f"SCENELAKE_DAG_{name.upper()}": str(LONGEST_LEASE_S + 1)})
        SchedulingSettings.from_env({f"SCENELAKE_DAG_{name.upper()}": str(LONGEST_LEASE_S)})


def test_a_step_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PayloadError, match="there is no step 'compress', only expire"):
        maintenance_steps.run("compress", SETTINGS, DRY)


def test_the_steps_do_what_the_commands_do_and_log_what_they_keep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = SweptWorld(tmp_path)
    world.publish(R1, 1, (10,))
    create_tag(world.catalog(), "run-1")
    world.publish(R2, 2, (20,))
    world.publish(R2, 3, (20,))
    strange = world.loose("work/strange")
    before = world.locations()
    planned = expire_snapshots(world.catalog(), DRY)
    assert world.locations() == before
    real = {**DRY, "dry_run": False}
    assert expire_snapshots(world.catalog(), real) == planned
    assert world.locations() != before
    assert "run tag run-1" in caplog.text
    report = sweep_files(world.swept(), DRY)
    assert report["deleted"] == {"objects": 0, "bytes": 0}
    assert f"{strange}: kept, no rule of the sweep knows it" in caplog.text
    assert DRIVE.drive_id in str(sorted(world.lake.objects))


def test_files_of_the_drives_published_lately_are_merged(tmp_path: Path) -> None:
    lake = SmallFilesLake(tmp_path)
    lake.publish(DRIVES[0], windows=2)
    lake.publish(DRIVES[1], windows=2)
    before, pointers = lake.contents(), lake.catalog().pointers()
    parameters = {"dry_run": True, "published_h": 48}
    planned = compact_days(lake.catalog(), parameters)
    assert planned["files"] == {"to be merged": 2 * 2 + 2 + 2}  # scenes drive by drive, frames and records
    assert lake.catalog().pointers() == pointers
    assert compact_days(lake.catalog(), parameters | {"published_h": 0, "dry_run": False})["files"] == {}
    assert compact_days(lake.catalog(), parameters | {"dry_run": False})["files"] == {"compacted": 8}
    assert lake.contents() == before
    assert {name: len(lake.data_files(name)) for name in before} == {
        "gold.scenes": 2,
        "gold.frames": 1,
        "quarantine.records": 1,
    }
    assert compact_days(lake.catalog(), parameters | {"dry_run": False})["files"] == {}


def test_one_run_merges_a_bounded_number_of_bytes_and_the_next_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = SmallFilesLake(tmp_path)
    for drive in DRIVES[:2]:
        lake.publish(drive, windows=2)
    before, parameters = lake.contents(), {"dry_run": False, "published_h": 168}
    planned = plan(lake.catalog()).jobs
    found = compact_days(lake.catalog(), parameters, RunBudget(planned[0].size))
    assert (found["files"], found["bytes"], found["files waiting"]) == ({"compacted": 2}, planned[0].size, 6)
    assert "6 files (" in caplog.text
    assert "wait for the next run" in caplog.text
    found = compact_days(lake.catalog(), parameters)
    assert (found["files"], found["files waiting"]) == ({"compacted": 6}, 0)
    assert lake.contents() == before


def test_what_is_left_as_it_is_has_a_line_with_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lake = SmallFilesLake(tmp_path)
    lake.publish(DRIVES[0], windows=1)
    assert compact_days(lake.catalog(), {"dry_run": True, "published_h": 168})["files"] == {}
    assert "gold.scenes, 2024-05-01: 1 files kept" in caplog.text
    assert "nothing to merge it with" in caplog.text


def test_a_file_that_is_damaged_is_an_error_in_the_log_and_the_others_are_merged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = SmallFilesLake(tmp_path)
    for drive in DRIVES[:2]:
        lake.publish(drive, windows=2)
    path = Path(lake.data_files("gold.scenes")[0].removeprefix("file://"))
    path.write_bytes(path.read_bytes()[:-1])
    found = compact_days(lake.catalog(), {"dry_run": False, "published_h": 48})
    assert found["files"] == {"compacted": 6, "refused": 2}
    assert [(one.levelname, path.name in one.message) for one in caplog.records if "refused" in one.message] == [("ERROR", True)]
