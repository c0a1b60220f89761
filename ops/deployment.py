"""Which deployment a command talks to: the one named by the environment, or else the local stack that is up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import NoDeploymentError

if TYPE_CHECKING:
    from botocore.config import Config
    from types_boto3_s3 import S3Client

    from ingest.ledger.ledger import Ledger
    from lake.landing import DriveId
    from lake.settings import Settings
    from lake.tables.catalog import LakeCatalog
    from ops.drives.follower import Steps

ENDPOINT = "AWS_ENDPOINT_URL"
# Where the environment names a deployment: the address of its Airflow, and who asks there.
AIRFLOW_URL, AIRFLOW_USER, AIRFLOW_PASSWORD = "SCENELAKE_AIRFLOW_URL", "SCENELAKE_AIRFLOW_USER", "SCENELAKE_AIRFLOW_PASSWORD"
HOME = "SCENELAKE_HOME"
DEFAULT_HOME = Path(".scenelake")


def choose(process: Mapping[str, str], endpoint: str | None, local: Mapping[str, str] | None) -> dict[str, str]:
    """The environment that a command works in.

    The local stack's variables win as a whole where its endpoint is the chosen one, so that a region or a credential
    left in the shell cannot split a command between two accounts.

    Args:
        process: The variables of this process.
        endpoint: What `--endpoint` says.
        local: The variables of the local stack; None where none is up.

    Raises:
        NoDeploymentError: No endpoint, no buckets named in the environment, and no local stack.
    """
    wanted = endpoint or process.get(ENDPOINT) or None
    if local is not None and wanted in (None, local.get(ENDPOINT)):
        return {**process, **local}
    if wanted is not None:
        return {**process, ENDPOINT: wanted}
    if "SCENELAKE_RAW_BUCKET" in process:
        return dict(process)
    raise NoDeploymentError(
        "there is no deployment to talk to: no --endpoint, no AWS_ENDPOINT_URL, and no local stack is up",
        "`scenelake up` starts a local one",
    )


def enter(endpoint: str | None, home: Path) -> Settings:
    """Choose the deployment, make its variables those of this process, and return its names.

    The AWS clients, the catalog and Spark read the endpoint and credentials from the process environment; this is the
    one place that sets it.

    Raises:
        NoDeploymentError: As `choose`.
        LakeError: Variables of the deployment are not set.
    """
    from lake.settings import Settings

    chosen = choose(os.environ, endpoint, local_environment(home))
    settings = Settings.from_env(chosen)
    os.environ.update(chosen)
    return settings


def local_environment(home: Path) -> dict[str, str] | None:
    """Variables of the local stack under `home`; None where none is up."""
    from ops import stack

    # A stack that lost its scheduler still holds the lake and the ledger: it can be asked, and audited.
    if not stack.status(home).components:
        return None
    return dict(stack.environment(home))


def s3(config: Config | None = None) -> S3Client:
    """An S3 client of the deployment that was entered."""
    import boto3

    return boto3.client("s3", config=config)


def manifest_versions(settings: Settings) -> Callable[[DriveId], str | None]:
    """Asks S3 for the version of a drive's manifest; None where there is none."""
    from botocore.exceptions import ClientError

    from lake.storage import ABSENT

    client = s3()

    def version_of(drive: DriveId) -> str | None:
        try:
            return client.head_object(Bucket=settings.raw_bucket, Key=drive.manifest_key).get("VersionId")
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise

    return version_of


def airflow_steps(home: Path) -> Steps:
    """Airflow's view of the drives, where the environment or a local stack has one."""
    from ops import stack
    from ops.drives.airflow_steps import AirflowSteps
    from ops.drives.follower import NoSteps

    if url := os.environ.get(AIRFLOW_URL):
        return AirflowSteps(url, os.environ.get(AIRFLOW_USER, ""), os.environ.get(AIRFLOW_PASSWORD, ""))
    found = stack.status(home)
    if not found.airflow_url or not found.airflow_user or not found.airflow_password:
        return NoSteps()
    return AirflowSteps(found.airflow_url, found.airflow_user, found.airflow_password)


def catalog(settings: Settings) -> LakeCatalog:
    """The lake's catalog."""
    from lake.tables.catalog import open_catalog

    return open_catalog(settings)


def ledger(settings: Settings) -> Ledger:
    """The ledger."""
    import boto3

    from ingest.ledger.ledger import Ledger

    return Ledger(boto3.client("dynamodb"), settings.ledger_table)
