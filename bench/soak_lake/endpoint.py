"""The endpoint of a soak: the emulator in a process of its own, with the resources of the template, and a new catalog."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.figures import PROJECT
from lake.settings import Settings
from ops.stack.emulator import answers_within

EMULATOR = PROJECT / "localstack" / "emulator.py"
PROVISION = PROJECT / "localstack" / "provision.py"
PATIENCE_S = 60


class SoakError(Exception):
    """The endpoint did not start, or the lake is not what it must be."""


@contextmanager
def endpoint(scratch: Path) -> Iterator[dict[str, str]]:
    """The variables of a deployment that ends with the context; its log and catalog are in `scratch`.

    Raises:
        SoakError: The endpoint does not answer.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "soak",
        "AWS_SECRET_ACCESS_KEY": "soak",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with (scratch / "emulator.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, str(EMULATOR), "-p", str(port)], env=environment, stdout=log, stderr=log)
        try:
            if not answers_within(url, PATIENCE_S):
                raise SoakError(f"the endpoint does not answer within {PATIENCE_S} s; its output: {log.name}")
            names = scratch / "names.env"
            provision = [sys.executable, str(PROVISION), "--endpoint", url, "--env-file", str(names)]
            subprocess.run(provision, env=environment, stdout=log, stderr=log, check=True)
            found = dict(line.split("=", 1) for line in names.read_text().splitlines() if "=" in line)
            yield environment | found | {"SCENELAKE_CATALOG_URI": f"sqlite:///{scratch}/catalog.db"}
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings in these variables."""
    return Settings.from_env(environment)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
