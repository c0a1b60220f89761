"""Settings of Airflow's own processes: the part of the deployment that the triggerer and the job steps use."""

from __future__ import annotations

from pydantic import Field

from lake.settings import AwsSettings, SettingsModel


class QueueSettings(SettingsModel):
    """The queue of drives, and the AWS that holds it."""

    drive_work_url: str = Field(description="URL of the SQS queue of drives that wait to be processed.")
    aws: AwsSettings = AwsSettings()
