"""Which deployment a command talks to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.deployment import choose, enter
from ops.drives.airflow_steps import AirflowSteps
from ops.errors import NoDeploymentError

FAR = {
    "SCENELAKE_RAW_BUCKET": "far-raw",
    "SCENELAKE_LAKE_BUCKET": "far-lake",
    "SCENELAKE_QUARANTINE_BUCKET": "far-quarantine",
    "SCENELAKE_LEDGER_TABLE": "far-ledger",
    "SCENELAKE_OBJECT_EVENTS_URL": "http://far:4566/1/events",
    "SCENELAKE_DRIVE_WORK_URL": "http://far:4566/1/work",
    "SCENELAKE_CATALOG_URI": "postgresql+psycopg2://catalog:pass-word@far/catalog",
    "AWS_SECRET_ACCESS_KEY": "pass-word",
    "AWS_REGION": "eu-west-1",
}
LOCAL = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "AWS_REGION": "us-east-1", "SCENELAKE_RAW_BUCKET": "local-raw"}


def test_the_local_stack_wins_over_what_the_shell_holds() -> None:
    found = choose({"AWS_REGION": "eu-west-1", "PATH": "/bin"}, None, LOCAL)
    assert found == {**LOCAL, "PATH": "/bin"}


def test_an_endpoint_leaves_the_local_stack_aside() -> None:
    process = {"SCENELAKE_RAW_BUCKET": "far-raw", "AWS_REGION": "eu-west-1"}
    found = choose(process, "http://far:4566", LOCAL)
    assert found == {**process, "AWS_ENDPOINT_URL": "http://far:4566"}
    assert choose({**process, "AWS_ENDPOINT_URL": "http://far:4566"}, None, LOCAL) == found


def test_the_option_wins_over_the_variable() -> None:
    assert choose({"AWS_ENDPOINT_URL": "http://one"}, "http://two", None)["AWS_ENDPOINT_URL"] == "http://two"


def test_the_local_stacks_own_endpoint_is_the_local_stack() -> None:
    assert choose({"AWS_ENDPOINT_URL": LOCAL["AWS_ENDPOINT_URL"]}, None, LOCAL)["SCENELAKE_RAW_BUCKET"] == "local-raw"


def test_real_aws_needs_no_endpoint() -> None:
    assert choose({"SCENELAKE_RAW_BUCKET": "prod"}, None, None) == {"SCENELAKE_RAW_BUCKET": "prod"}


def test_entering_a_deployment_changes_nothing_in_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**FAR, "AWS_ENDPOINT_URL": "http://near:4566", "SCENELAKE_AIRFLOW_URL": "http://airflow", "AWS_ACCESS_KEY_ID": "far"}
    for name in [name for name in os.environ if name.startswith(("AWS_", "SCENELAKE_"))]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    entered = enter("http://far:4566", tmp_path / "none")
    assert dict(os.environ) == before
    assert entered.settings.aws.endpoint_url == "http://far:4566"
    assert entered.s3().meta.endpoint_url == entered.client("sqs").meta.endpoint_url == "http://far:4566"
    assert isinstance(entered.airflow_steps(), AirflowSteps)
    assert "pass-word" not in repr(entered)


def test_a_missing_deployment_is_reported() -> None:
    with pytest.raises(NoDeploymentError, match="no running local stack"):
        choose({"PATH": "/bin"}, None, None)
