"""The stack as processes of this machine, as `scenelake up` starts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from lake.landing import DriveId
from ops import stack
from ops.stack.airflow_api import AirflowApi
from ops.stack.layout import StackLayout
from ops.stack.processes import ProcessRecord

from . import job_process


class EmbeddedStack:
    """A state folder."""

    spark_master = "local["

    def __init__(self, folder: Path) -> None:
        self._home = folder / "home"

    def up(self) -> None:
        stack.up(self._home)

    def down(self) -> list[str]:
        stack.down(self._home)
        found = [process for process in psutil.process_iter(["environ"]) if str(self._home) in str(process.info["environ"])]
        return [str(process) for process in found if process.pid != os.getpid()]

    def environment(self) -> Mapping[str, str]:
        return stack.environment(self._home)

    def airflow(self) -> AirflowApi:
        found = stack.status(self._home)
        assert found.airflow_url is not None
        assert found.airflow_password is not None
        return AirflowApi(found.airflow_url, found.airflow_password)

    def kill(self, component: str) -> None:
        record = ProcessRecord.load(StackLayout.of(self._home), component)
        assert record is not None
        psutil.Process(record.pid).kill()

    def runs_job(self, job: str, drive: DriveId) -> bool:
        return job_process.find(job, drive.drive_id) is not None

    def kill_job(self, job: str, drive: DriveId) -> bool:
        found = job_process.find(job, drive.drive_id)
        if found is not None:
            found.kill()
        return found is not None

    def lineage(self) -> str:
        return StackLayout.of(self._home).lineage.read_text()
