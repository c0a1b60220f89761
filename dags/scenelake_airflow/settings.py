"""Settings of Airflow's own processes: how its DAGs are scheduled, and which queue its triggerer watches."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from lake.settings import PREFIX, AwsSettings, Named, SettingsModel

DAG_PREFIX = f"{PREFIX}DAG_"


def _tunable(default: int, least: int, most: int, description: str) -> Any:
    return Field(default=default, ge=least, le=most, description=description)


class SchedulingSettings(SettingsModel):
    """How many drives `process_drive` takes at once, how long a step may run, and how often it is tried.

    The field `retries` is `SCENELAKE_DAG_RETRIES` in the environment, and so on.

    A leased drive has a slot. Nothing extends the lease of a drive that waits for one: in a backlog leases would expire, their
    drives would be delivered to other runs, and healthy drives would end among the dead letters. Hence all runs together lease
    at most `jobs_at_once` drives; the others wait in the queue, where waiting costs nothing.
    """

    model_config = SettingsConfigDict(env_prefix=DAG_PREFIX, env_ignore_empty=False)

    drives_per_run: int = _tunable(1, 1, 64, "Drives that one run leases at most.")
    active_runs: int = _tunable(
        4, 1, 64, "Runs at the same time, and fewer where they would lease more drives than there are slots."
    )
    jobs_at_once: int = _tunable(
        4, 1, 256, "Slots: drives that are leased at the same time, over all runs. Each is a Spark driver at work."
    )
    retries: int = _tunable(2, 0, 10, "Tries of a failed step after its first.")
    retry_delay_s: int = _tunable(10, 0, 3600, "Seconds before a failed step is tried again.")
    inspect_timeout_s: int = _tunable(1800, 1, 43200, "Longest run of `inspect` in seconds.")
    build_timeout_s: int = _tunable(7200, 1, 43200, "Longest run of `build_scenes` in seconds.")
    audit_timeout_s: int = _tunable(1800, 1, 43200, "Longest run of `audit` in seconds.")
    publish_timeout_s: int = _tunable(1800, 1, 43200, "Longest run of `publish` in seconds.")
    step_timeout_s: int = _tunable(120, 1, 3600, "Longest run of a step that starts no job, in seconds.")
    lease_s: int = _tunable(
        600,
        2,
        43200,
        "Seconds that a message stays invisible after its drive's last sign of life; longer than the start of a task takes.",
    )
    redelivery_delay_s: Annotated[int, Named(f"{DAG_PREFIX}GIVE_BACK_S")] = _tunable(
        30, 0, 3600, "Seconds that the message of a failed drive stays invisible, times the number of its deliveries."
    )
    kill_grace_s: int = _tunable(3, 1, 60, "Seconds between SIGTERM and SIGKILL for a job that must end.")

    @property
    def leases_per_run(self) -> int:
        """How many drives one run leases."""
        return min(self.drives_per_run, self.jobs_at_once)

    @property
    def runs_at_once(self) -> int:
        """How many runs there are at the same time, so that each of their drives has a slot."""
        return min(self.active_runs, self.jobs_at_once // self.leases_per_run)


class MaintenanceMode(StrEnum):
    """Whether the daily runs of `maintain_lake` change anything."""

    DRY_RUN = "dry-run"
    APPLY = "apply"


class MaintenanceSettings(SettingsModel):
    """How `maintain_lake` runs every day."""

    model_config = SettingsConfigDict(env_prefix=f"{DAG_PREFIX}MAINTAIN_", env_ignore_empty=False)

    mode: MaintenanceMode = Field(
        default=MaintenanceMode.DRY_RUN, description="Whether the daily runs of `maintain_lake` change something."
    )
    timeout_s: int = _tunable(21600, 1, 43200, "Longest run of a step of `maintain_lake`, in seconds.")


class QueueSettings(SettingsModel):
    """The queue of drives, and the AWS that holds it."""

    drive_work_url: str = Field(description="URL of the SQS queue of drives that wait to be processed.")
    aws: AwsSettings = AwsSettings()
