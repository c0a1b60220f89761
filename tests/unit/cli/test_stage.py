"""Where a demo runs: the stage selected by the environment, and an external one without a local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.demo.stage import GIVEN_LIMIT_S, GivenStage, LocalStage, stage
from ops.drives.airflow_steps import AirflowSteps

GIVEN = {
    "AWS_ENDPOINT_URL": "http://aws.example:4566",
    "SCENELAKE_AIRFLOW_URL": "http://airflow.example:8080",
    "SCENELAKE_RAW_BUCKET": "raw",
    "SCENELAKE_LAKE_BUCKET": "lake",
    "SCENELAKE_QUARANTINE_BUCKET": "quarantine",
    "SCENELAKE_LEDGER_TABLE": "ledger",
    "SCENELAKE_OBJECT_EVENTS_URL": "http://aws.example:4566/1/events",
    "SCENELAKE_DRIVE_WORK_URL": "http://aws.example:4566/1/work",
    "SCENELAKE_CATALOG_URI": "postgresql+psycopg2://catalog@db.example/catalog",
}


def test_an_airflow_in_the_environment_is_a_given_stage(tmp_path: Path) -> None:
    assert stage(tmp_path, GIVEN) == GivenStage(tmp_path)
    without = {name: value for name, value in GIVEN.items() if name != "SCENELAKE_AIRFLOW_URL"}
    assert stage(tmp_path, without) == LocalStage(tmp_path)


def test_a_given_stage_is_entered_and_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    messages: list[str] = []
    given = stage(tmp_path / "home", GIVEN)
    standing = given.bring_up(messages.append)
    assert standing.deployment.settings.raw_bucket == "raw"
    assert (standing.healthy_s, standing.demo_limit_s, standing.where_next) == (None, GIVEN_LIMIT_S, ())
    assert given.memory_bytes() is None
    assert isinstance(standing.deployment.airflow_steps(), AirflowSteps)
    assert messages == ["using the deployment that the environment names"]
    assert not (tmp_path / "home").exists()
