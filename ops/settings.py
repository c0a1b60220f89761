"""Settings of the `scenelake` command, and of the local stack that it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from lake.settings import AwsSettings, Named, SettingsModel
from ops import DEFAULT_HOME

PIPE_WIDTH = 220  # a table in a pipe or a log must not be wrapped at a terminal's default of 80 columns


class CommandSettings(SettingsModel):
    """Settings of a command, independent of a deployment."""

    home: Path = Field(default=DEFAULT_HOME, description="Folder of the local stack: its data, logs and passwords.")
    airflow_url: str | None = Field(
        default=None, description="Airflow of a deployment that is not the local stack; `scenelake demo` then uses it as it is."
    )
    airflow_user: str = Field(default="", description="User of that Airflow.")
    airflow_password: SecretStr = Field(default=SecretStr(""), description="Password of that user.")
    code_version: str | None = Field(
        default=None, description="Commit that is running, with `+dirty` where the tree differs; else git is asked."
    )
    certificate_key: Path | None = Field(
        default=None,
        description="PEM file with the Ed25519 key that certificates of erasure are signed with; they are unsigned without one.",
    )
    columns: Annotated[int, Named("COLUMNS")] = Field(
        default=PIPE_WIDTH, description="Width of tables when the output is not a terminal."
    )
    aws: AwsSettings = AwsSettings()


class StackSettings(SettingsModel):
    """Settings that `scenelake up` passes on to the processes of a local stack. The defaults suit a workstation: an
    incomplete drive is queued after minutes, not after an hour as for vehicles on the road.
    """

    dag_jobs_at_once: int = Field(
        default=2, ge=1, le=256, description="Instances of one job step at the same time: each is a Spark driver."
    )
    overdue_after_s: float = Field(
        default=20.0, ge=0, le=30 * 86400, description="Seconds after its last new object at which an incomplete drive is queued."
    )

    def variables(self) -> dict[str, str]:
        """The settings as variables for the processes of the stack."""
        return {
            "SCENELAKE_DAG_JOBS_AT_ONCE": str(self.dag_jobs_at_once),
            "SCENELAKE_OVERDUE_AFTER_S": f"{self.overdue_after_s:g}",
        }
