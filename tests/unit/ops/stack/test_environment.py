"""The variables of the stack: nothing redirects its processes, and no real credential reaches an emulator."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lake.errors import SettingsError
from lake.settings import Settings
from ops.errors import StackDownError
from ops.stack.choices import Choices, Secrets
from ops.stack.environment import PROJECT, aws_environment, process_environment, resource_names, stack_environment
from ops.stack.layout import StackLayout

NAMES = {
    "SCENELAKE_RAW_BUCKET": "raw",
    "SCENELAKE_LAKE_BUCKET": "lake",
    "SCENELAKE_QUARANTINE_BUCKET": "quarantine",
    "SCENELAKE_LEDGER_TABLE": "ledger",
    "SCENELAKE_OBJECT_EVENTS_URL": "http://127.0.0.1:5000/1/events",
    "SCENELAKE_DRIVE_WORK_URL": "http://127.0.0.1:5000/1/work",
}
OWN, OTHER = Choices(8081, 5001), Choices(8081, 5001, "http://aws.example:4566")
REAL = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "real", "AWS_REGION": "eu-north-1", "AWS_PROFILE": "work"}


@pytest.fixture
def layout(tmp_path: Path) -> StackLayout:
    layout = StackLayout.of(tmp_path / "home")
    layout.make()
    layout.names.write_text("# names\n" + "".join(f"export {name}='{value}'\n" for name, value in NAMES.items()))
    return layout


def variables(layout: StackLayout, choices: Choices = OWN) -> dict[str, str]:
    return stack_environment(layout, choices, Secrets.load_or_generate(layout), {})


def test_settings_can_be_read_from_it(layout: StackLayout) -> None:
    settings = Settings.from_env(variables(layout))
    names = {name: getattr(settings, name.removeprefix("SCENELAKE_").lower()) for name in NAMES}
    assert names == NAMES
    assert settings.catalog_uri.get_secret_value() == f"sqlite:///{layout.home}/catalog.db"
    assert settings.aws.endpoint_url == OWN.endpoint


def test_the_desk_has_defaults_of_its_own_which_the_caller_may_change(layout: StackLayout) -> None:
    names = ("SCENELAKE_DAG_JOBS_AT_ONCE", "SCENELAKE_OVERDUE_AFTER_S")
    assert [variables(layout)[name] for name in names] == ["2", "20"]
    caller = dict(zip(names, ("3", "0.5"), strict=True))
    found = stack_environment(layout, OWN, Secrets.load_or_generate(layout), caller)
    assert [found[name] for name in names] == ["3", "0.5"]
    with pytest.raises(SettingsError, match="SCENELAKE_DAG_JOBS_AT_ONCE='many' must be a whole number from 1 to 256"):
        stack_environment(layout, OWN, Secrets.load_or_generate(layout), {names[0]: "many"})


def test_each_endpoint_has_a_catalog_of_its_own(layout: StackLayout) -> None:
    third = Choices(8081, 5001, "http://aws.example:4567")
    catalogs = {variables(layout, choices)["SCENELAKE_CATALOG_URI"] for choices in (OWN, OTHER, third)}
    assert len(catalogs) == 3


def test_airflow_listens_on_loopback_and_follows_the_port(layout: StackLayout) -> None:
    found = variables(layout)
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8081"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"
    assert json.loads(found["AIRFLOW__OPENLINEAGE__TRANSPORT"])["log_file_path"] == found["SCENELAKE_LINEAGE_FILE"]
    assert Path(found["AIRFLOW__CORE__DAGS_FOLDER"], "process_drive.py").is_file()


def test_the_embedded_endpoint_never_sees_real_credentials() -> None:
    assert aws_environment(OWN, REAL) == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5001",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_a_given_endpoint_gets_the_callers_credentials_or_made_up_ones() -> None:
    given = aws_environment(OTHER, REAL)
    assert given.items() >= REAL.items()
    assert given["AWS_ENDPOINT_URL"] == "http://aws.example:4566"
    assert aws_environment(OTHER, {})["AWS_ACCESS_KEY_ID"] == "test"
    assert "AWS_ACCESS_KEY_ID" not in aws_environment(OTHER, {"AWS_PROFILE": "work"})


def test_before_provisioning_there_are_no_names(tmp_path: Path) -> None:
    with pytest.raises(StackDownError, match="no resources have been provisioned"):
        resource_names(StackLayout.of(tmp_path))


def test_a_process_inherits_nothing_that_leads_it_elsewhere() -> None:
    caller = {
        **REAL,
        "AIRFLOW__CORE__DAGS_FOLDER": "/elsewhere",
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "PYTHONPATH": "/first",
        "NO_PROXY": "intranet",
        "SCENELAKE_DAG_RETRIES": "0",
        "SCENELAKE_RAW_BUCKET": "another",
        "PATH": "/usr/bin",
    }
    found = process_environment({"SCENELAKE_RAW_BUCKET": "raw", "AWS_REGION": "us-east-1"}, {"JAVA_HOME": "/j"}, caller)
    assert {name: value for name, value in found.items() if name.startswith(("AWS_", "AIRFLOW_", "_AIRFLOW_"))} == {
        "AWS_REGION": "us-east-1"
    }
    assert found["PYTHONPATH"].split(os.pathsep) == ["/first", str(PROJECT), str(PROJECT / "dags")]
    assert found["NO_PROXY"] == found["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert (found["SCENELAKE_DAG_RETRIES"], found["SCENELAKE_RAW_BUCKET"], found["JAVA_HOME"]) == ("0", "raw", "/j")
    assert found["PATH"].endswith(os.pathsep + "/usr/bin")
