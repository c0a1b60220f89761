"""The variables of every process of the local stack, composed from its choices; nothing is read at import."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.errors import StackDownError
from ops.settings import StackSettings
from ops.stack.choices import LOOPBACK, Choices, Secrets
from ops.stack.layout import StackLayout

PROJECT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
SHARED_SETTINGS = PROJECT / "deploy" / "airflow.env"
AWS_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION")


def stack_environment(layout: StackLayout, choices: Choices, secrets: Secrets, caller: Mapping[str, str]) -> dict[str, str]:
    """All `SCENELAKE_*`, `AWS_*` and `AIRFLOW__*` variables of a stack that has been provisioned.

    Raises:
        StackDownError: It has not been provisioned.
    """
    return {
        "SCENELAKE_HOME": str(layout.home),
        "SCENELAKE_CATALOG_URI": f"sqlite:///{layout.catalog(choices.external_endpoint)}",
        "SCENELAKE_LINEAGE_FILE": str(layout.lineage),
        "SCENELAKE_AUDIT_KEY": secrets.audit_key,
        **StackSettings.from_env(caller).variables(),
        **resource_names(layout),
        **aws_environment(choices, caller),
        **airflow_environment(layout, choices, secrets),
    }


def resource_names(layout: StackLayout) -> dict[str, str]:
    """The names that provisioning wrote, as `NAME=value` lines.

    Raises:
        StackDownError: The stack has not been provisioned.
    """
    try:
        return variables(layout.names.read_text())
    except FileNotFoundError:
        raise StackDownError(
            f"no resources have been provisioned for the stack in {layout.home}", "`scenelake up` does it"
        ) from None


def variables(text: str) -> dict[str, str]:
    """`NAME=value` lines, with or without `export` and quotes; comments and empty lines are skipped."""
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    pairs = (line.removeprefix("export ").partition("=") for line in lines)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def aws_environment(choices: Choices, caller: Mapping[str, str]) -> dict[str, str]:
    """Endpoint, region and credentials. The embedded emulator accepts any credentials and must never receive real ones."""
    made_up = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    given = {name: caller[name] for name in AWS_NAMES if name in caller} if choices.external_endpoint else {}
    if "AWS_PROFILE" in given:
        made_up = {name: value for name, value in made_up.items() if name.endswith("REGION")}
    return {**made_up, **given, "AWS_ENDPOINT_URL": choices.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def airflow_environment(layout: StackLayout, choices: Choices, secrets: Secrets) -> dict[str, str]:
    """Airflow's settings: what every stack shares, and loopback, SQLite, and this one's folders and secrets."""
    transport = {"type": "file", "log_file_path": str(layout.lineage), "append": True}
    return {
        **variables(SHARED_SETTINGS.read_text()),
        "AIRFLOW_HOME": str(layout.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),  # the quarantine review
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{choices.airflow_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.airflow_passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{layout.airflow_database}",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(choices.airflow_port),
        "AIRFLOW__API__BASE_URL": choices.airflow_url,
        "AIRFLOW__API__SECRET_KEY": secrets.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt_secret,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(layout.home / "logs" / "airflow"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(layout.home / "logs" / "dag_processor"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }


def process_environment(stack: Mapping[str, str], java: Mapping[str, str], caller: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a component: the caller's without variables that could redirect it, then the stack's."""
    foreign = ("AIRFLOW_", "_AIRFLOW_", "AWS_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in caller.items() if not name.startswith(foreign)}
    module_path = [*filter(None, kept.get("PYTHONPATH", "").split(os.pathsep)), str(PROJECT), str(PROJECT / "dags")]
    local = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), LOOPBACK, "localhost")))
    return {
        **kept,
        **stack,
        **java,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(module_path)),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": local,
        "no_proxy": local,
        "MALLOC_ARENA_MAX": "2",
        # Airflow renames its processes, which would overwrite the environment that the kernel shows, including the mark.
        "SPT_NOENV": "1",
        "SPARK_LOCAL_IP": LOOPBACK,
    }
