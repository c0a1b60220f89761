"""The AWS endpoint of the local stack: its health, its provisioning, and the cleanup after it is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from ops.errors import ComponentError, StackConfigError
from ops.stack.environment import PROJECT
from ops.stack.layout import StackLayout

PROVISION = PROJECT / "localstack" / "provision.py"
PROVISION_TIMEOUT_S = 120
FORGOTTEN = "the embedded endpoint is in-memory and was restarted: lake, ledger, catalog and Airflow's history start empty"


def answers(endpoint: str) -> bool:
    """Whether an HTTP server answers at the endpoint, with any status."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(endpoint, timeout=5, stream=True).close()
        except requests.RequestException:
            return False
    return True


def answers_within(endpoint: str, patience_s: float) -> bool:
    """Whether an HTTP server answers at the endpoint within `patience_s`."""
    deadline_s = time.monotonic() + patience_s
    while not answers(endpoint):
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(0.2)
    return True


def provision(layout: StackLayout, endpoint: str, env: Mapping[str, str]) -> None:
    """Create the buckets, queues, table and functions, and save their names.

    Raises:
        StackConfigError: The provisioning script is missing.
        ComponentError: It failed; the message holds the tail of its output.
    """
    if not PROVISION.is_file():
        raise StackConfigError(f"{PROVISION} is missing", "run from a checkout of the project")
    run_step(layout, "provision", [str(PROVISION), "--endpoint", endpoint, "--env-file", str(layout.names)], env)


def make_tables(layout: StackLayout, env: Mapping[str, str]) -> None:
    """Create the lake's tables that do not exist.

    Raises:
        ComponentError: It failed; the message holds the tail of its output.
    """
    run_step(layout, "tables", ["-m", "ops.stack.tables"], env)


def run_step(layout: StackLayout, name: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a Python program of the start-up to completion; its output goes to the log of that name.

    Raises:
        ComponentError: Its exit status is not 0, or it takes longer than two minutes.
    """
    log = layout.log(name)
    try:
        with log.open("wb") as output:
            step = subprocess.run(
                [sys.executable, *arguments],
                env=dict(env),
                cwd=layout.work,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=PROVISION_TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise ComponentError(f"{name} did not finish within {PROVISION_TIMEOUT_S} s", f"its output: {log}") from error
    if step.returncode != 0:
        raise ComponentError(f"{name} failed:\n{tail(log)}", f"its output: {log}")


def forget(layout: StackLayout) -> bool:
    """Delete files that refer to objects of the former embedded emulator; lineage events are set aside.

    Returns:
        Whether there was anything to delete.
    """
    catalog = layout.catalog(external_endpoint=None)
    stale = [catalog.with_name(catalog.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")] + [layout.names]
    present = [path for path in stale if path.exists()]
    for path in present:
        path.unlink()
    if layout.lineage.exists():
        layout.lineage.replace(layout.lineage.with_suffix(".previous.jsonl"))
    return bool(present)


def tail(log: Path, size_bytes: int = 2000) -> str:
    """The last bytes of a log."""
    try:
        return log.read_bytes()[-size_bytes:].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return "(no output)"
