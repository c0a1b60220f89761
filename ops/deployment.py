"""The deployment that a command uses: the one named by the environment, or else the running local stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import NoDeploymentError

if TYPE_CHECKING:
    from botocore.config import Config
    from types_boto3_s3 import S3Client

    from ingest.ledger.repository import Ledger
    from lake.iceberg.catalog import AnyCatalog
    from lake.landing import DriveId
    from lake.settings import Settings
    from lake.storage import ObjectStore
    from ops.audit.run import Auditor
    from ops.drives.follower import Steps
    from ops.settings import CommandSettings
    from scenes.accounting.identity import Check
    from scenes.accounting.settings import AuditSettings
    from scenes.accounting.whole_lake import Progress

ENDPOINT = "AWS_ENDPOINT_URL"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment that a command uses. Its clients take endpoint, region and credentials from `settings`.

    Attributes:
        settings: Names, addresses and credentials.
        command: The command's own settings.
        home: Folder of the local stack, which has its own Airflow.
        audit: What audits are signed off with.
    """

    settings: Settings
    command: CommandSettings
    home: Path
    audit: AuditSettings

    def client(self, service: str, config: Config | None = None) -> Any:
        """A client of one of its AWS services."""
        from lake.clients import client

        return client(service, self.settings.aws, config)

    def s3(self, config: Config | None = None) -> S3Client:
        """A client of its buckets."""
        made: S3Client = self.client("s3", config)
        return made

    def store(self) -> ObjectStore:
        """Its objects as bytes."""
        from lake.storage import ObjectStore

        return ObjectStore.connect(self.settings.aws)

    def ledger(self) -> Ledger:
        """Its ledger."""
        from ingest.ledger.repository import Ledger

        return Ledger(self.client("dynamodb"), self.settings.ledger_table)

    def catalog(self) -> AnyCatalog:
        """The catalog of its lake."""
        from lake.iceberg.catalog import open_catalog

        return open_catalog(self.settings)

    def auditor(self, signed_by: str, progress: Progress | None = None, each: Callable[[Check], None] | None = None) -> Auditor:
        """What audits it; it can sign off where there is an audit key. `progress` and `each` as in `ops.audit.run`.

        Raises:
            WatermarkError: The key is too short.
        """
        from ops.audit.run import Auditor
        from scenes.accounting.drive_sources import AuditSources
        from scenes.accounting.watermark import WatermarkStore
        from scenes.accounting.whole_lake import no_progress

        ledger, key = self.ledger(), self.audit.audit_key
        sources = AuditSources(self.settings, self.s3(), ledger, self.catalog())
        watermarks = None if key is None else WatermarkStore(self.store(), self.settings.lake_bucket, key.get_secret_value())
        return Auditor(sources, ledger, watermarks, signed_by, progress or no_progress, each)

    def manifest_versions(self) -> Callable[[DriveId], str | None]:
        """Asks S3 for the version of a drive's manifest; None where there is none."""
        from botocore.exceptions import ClientError

        from lake.storage import ABSENT

        s3, bucket = self.s3(), self.settings.raw_bucket

        def version_of(drive: DriveId) -> str | None:
            try:
                return s3.head_object(Bucket=bucket, Key=drive.manifest_key).get("VersionId")
            except ClientError as error:
                if error.response["Error"]["Code"] in ABSENT:
                    return None
                raise

        return version_of

    def airflow_steps(self) -> Steps:
        """Airflow's view of the drives, where the environment names an Airflow or a local stack has one."""
        from ops import stack
        from ops.drives.airflow_steps import AirflowSteps
        from ops.drives.follower import NoSteps

        command = self.command
        if command.airflow_url:
            return AirflowSteps(command.airflow_url, command.airflow_user, command.airflow_password.get_secret_value())
        found = stack.status(self.home)
        if not found.airflow_url or not found.airflow_user or not found.airflow_password:
            return NoSteps()
        return AirflowSteps(found.airflow_url, found.airflow_user, found.airflow_password)


def enter(endpoint: str | None, home: Path) -> Deployment:
    """The deployment of a command. Nothing is connected yet, and the process is not changed.

    Args:
        endpoint: The value of `--endpoint`.
        home: Folder of the local stack.

    Raises:
        NoDeploymentError: As `choose`.
        SettingsError: Variables of the deployment are missing or cannot be used.
    """
    from lake.settings import Settings, inherited
    from ops.settings import CommandSettings
    from scenes.accounting.settings import AuditSettings

    process = inherited()
    chosen = choose(process, endpoint, local_environment(home))
    return Deployment(Settings.from_env(chosen), CommandSettings.from_env(process), home, AuditSettings.from_env(chosen))


def choose(process: Mapping[str, str], endpoint: str | None, local: Mapping[str, str] | None) -> dict[str, str]:
    """The environment that a command runs with.

    The local stack's variables win as a whole where its endpoint is the chosen one, so that a region or a credential
    left in the shell cannot split a command between two accounts.

    Args:
        process: The variables of this process.
        endpoint: The value of `--endpoint`.
        local: The variables of the local stack; None where none is up.

    Raises:
        NoDeploymentError: No endpoint, no buckets named in the environment, and no local stack.
    """
    requested = endpoint or process.get(ENDPOINT) or None
    if local is not None and requested in (None, local.get(ENDPOINT)):
        return {**process, **local}
    if requested is not None:
        return {**process, ENDPOINT: requested}
    if "SCENELAKE_RAW_BUCKET" in process:
        return dict(process)
    raise NoDeploymentError(
        "no deployment to use: no --endpoint, no AWS_ENDPOINT_URL, and no running local stack",
        "`scenelake up` starts a local one",
    )


def local_environment(home: Path) -> dict[str, str] | None:
    """Variables of the local stack under `home`; None where none is up."""
    from ops import stack

    # A stack that lost its scheduler still holds the lake and the ledger: it can be queried and audited.
    if not stack.status(home).components:
        return None
    return dict(stack.environment(home))
