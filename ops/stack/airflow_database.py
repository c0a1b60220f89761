"""Airflow's metadata database: migrated once per Airflow version, then copied."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from ops.errors import ComponentError
from ops.stack.choices import ADMIN, Secrets
from ops.stack.layout import StackLayout, write_private

MIGRATION_TIMEOUT_S = 300


def prepare(layout: StackLayout, secrets: Secrets, env: Mapping[str, str], *, fresh: bool) -> None:
    """Provide a migrated database (an empty one if `fresh`) and the password file.

    Raises:
        ComponentError: `airflow db migrate` failed; the message holds the tail of its output.
    """
    write_private(layout.airflow_passwords, json.dumps({ADMIN: secrets.airflow_password}))
    if layout.airflow_database.exists() and not fresh:
        return
    empty = layout.empty_database(version("apache-airflow-core"))
    if not empty.exists():
        _migrate(empty, layout, env)
    for suffix in ("-wal", "-shm"):
        layout.airflow_database.with_name(layout.airflow_database.name + suffix).unlink(missing_ok=True)
    copy = layout.airflow_database.with_suffix(".new")
    shutil.copyfile(empty, copy)
    copy.chmod(0o600)
    copy.replace(layout.airflow_database)


def _migrate(target: Path, layout: StackLayout, env: Mapping[str, str]) -> None:
    building = target.with_suffix(".building")
    building.unlink(missing_ok=True)
    migration = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**env, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{building}"},
        cwd=layout.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MIGRATION_TIMEOUT_S,
        check=False,
    )
    layout.log("db-migrate").write_text(migration.stdout)
    if migration.returncode != 0:
        raise ComponentError(
            f"`airflow db migrate` failed:\n{migration.stdout[-2000:]}", f"its output: {layout.log('db-migrate')}"
        )
    building.replace(target)
