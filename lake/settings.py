"""Where everything is: read once from the environment at the edge of a process, passed on as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from lake.errors import LakeError

PREFIX = "SCENELAKE_"
_NAMES = {
    "raw_bucket": "RAW_BUCKET",
    "lake_bucket": "LAKE_BUCKET",
    "quarantine_bucket": "QUARANTINE_BUCKET",
    "ledger_table": "LEDGER_TABLE",
    "object_events_url": "OBJECT_EVENTS_URL",
    "drive_work_url": "DRIVE_WORK_URL",
    "catalog_uri": "CATALOG_URI",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Names and addresses of a deployment.

    `catalog_uri` is the Iceberg SQL catalog (`sqlite:///…`, `postgresql+psycopg2://…`). The AWS endpoint, region and
    credentials are read by the AWS clients themselves (`AWS_ENDPOINT_URL`, `AWS_REGION`, …).
    """

    raw_bucket: str
    lake_bucket: str
    quarantine_bucket: str
    ledger_table: str
    object_events_url: str
    drive_work_url: str
    catalog_uri: str = field(repr=False)  # it may hold a password

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read `SCENELAKE_RAW_BUCKET`, `SCENELAKE_LAKE_BUCKET`, ….

        Raises:
            LakeError: Names every variable that is not set.
        """
        absent = [PREFIX + name for name in _NAMES.values() if not env.get(PREFIX + name)]
        if absent:
            raise LakeError(
                f"not set: {', '.join(absent)}; `scenelake up` starts a local stack, "
                "`scenelake status --env` prints its variables"
            )
        return cls(**{field: env[PREFIX + name] for field, name in _NAMES.items()})

    def to_env(self) -> dict[str, str]:
        """The variables that `from_env` reads."""
        return {PREFIX + name: str(getattr(self, field)) for field, name in _NAMES.items()}

    @property
    def warehouse(self) -> str:
        """Root of the Iceberg tables."""
        return f"s3://{self.lake_bucket}/warehouse"
