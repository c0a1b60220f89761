"""Settings of Airflow's own processes: what the triggerer and the steps that run a job know of the deployment."""

from __future__ import annotations

from pydantic import Field

from lake.settings import AwsSettings, SettingsModel


class QueueSettings(SettingsModel):
    """The queue of drives, and the AWS that holds it."""

    drive_work_url: str = Field(description="URL of the SQS queue of drives that wait to be processed.")
    aws: AwsSettings = AwsSettings()
