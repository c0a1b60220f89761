"""The stack as containers, as docker-compose.yml describes them: a project of its own, on free ports, with fresh secrets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lake.landing import DriveId
from lineage.code_version import code_version
from ops.stack.airflow_api import AirflowApi
from ops.stack.choices import LOOPBACK, choose_port
from ops.stack.environment import PROJECT, variables

from . import job_process
from .stack import QUICK

NAME = "scenelake-e2e"
SCHEDULER = "airflow-scheduler"
SERVICES = {"scheduler": SCHEDULER}
NAMES = "/var/lib/scenelake/names/resources.env"
LINEAGE = "/var/lib/scenelake/lineage/lineage.jsonl"
WITHIN_S = 900.0


class ComposeStack:
    """A compose project. The image is built from this checkout."""

    spark_master = "spark://"

    def __init__(self, folder: Path) -> None:
        (folder / ".env.example").write_text((PROJECT / ".env.example").read_text())
        subprocess.run(["python3", str(PROJECT / "deploy" / "compose" / "settings.py"), "--root", str(folder)], check=True)
        self._file = folder / ".env"
        self._settings = variables(self._file.read_text())
        self._settings |= {name: str(choose_port()) for name in self._settings if name.endswith("_PORT")}
        self._file.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))

    def up(self) -> None:
        self._compose("up", "--detach", "--build", "--wait")

    def down(self) -> list[str]:
        self._compose("down", "--volumes")
        label = f"label=com.docker.compose.project={NAME}"
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        found = [_run("docker", *kind, "--quiet", "--filter", label) for kind in kinds]
        return [line for answer in found for line in answer.split()]

    def environment(self) -> Mapping[str, str]:
        named = variables(self._compose("exec", "-T", SCHEDULER, "cat", NAMES))
        catalog = f"catalog:{self._settings['CATALOG_DB_PASSWORD']}@{LOOPBACK}:{self._settings['CATALOG_PORT']}"
        return {
            **named,
            "SCENELAKE_CATALOG_URI": f"postgresql+psycopg2://{catalog}/catalog",
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self._settings['AWS_PORT']}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def airflow(self) -> AirflowApi:
        return AirflowApi(f"http://{LOOPBACK}:{self._settings['AIRFLOW_PORT']}", self._settings["AIRFLOW_ADMIN_PASSWORD"])

    def kill(self, component: str) -> None:
        self._compose("kill", "--signal", "KILL", SERVICES[component])

    def runs_job(self, job: str, drive: DriveId) -> bool:
        return self._job_process(job, drive)

    def kill_job(self, job: str, drive: DriveId) -> bool:
        return self._job_process(job, drive, "--kill")

    def lineage(self) -> str:
        return self._compose("exec", "-T", SCHEDULER, "cat", LINEAGE)

    def _job_process(self, job: str, drive: DriveId, *options: str) -> bool:
        command = [*self._command, "exec", "-T", SCHEDULER, "python", "-", job, drive.drive_id, *options]
        assert job_process.__file__ is not None
        with Path(job_process.__file__).open("rb") as source:
            found = subprocess.run(command, stdin=source, env=self._environment, capture_output=True, check=False, timeout=60)
        assert found.returncode in (0, 1), found.stderr.decode()
        return found.returncode == 0

    @property
    def _command(self) -> list[str]:
        return ["docker", "compose", "--project-name", NAME, "--env-file", str(self._file), "--project-directory", str(PROJECT)]

    @property
    def _environment(self) -> dict[str, str]:
        # What the caller's shell says of the stack would win over the file.
        kept = {
            name: value for name, value in os.environ.items() if name not in self._settings and not name.startswith("COMPOSE_")
        }
        return kept | QUICK | {"SCENELAKE_CODE_VERSION": str(code_version())}

    def _compose(self, *arguments: str) -> str:
        return _run(*self._command, *arguments, env=self._environment)


def _run(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout
