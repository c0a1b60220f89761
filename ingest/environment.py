"""What the functions read from their environment, and the clients that they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import boto3
from botocore.config import Config

from ingest.errors import SettingsError
from ingest.sweep import SweepLimits
from lake.settings import PREFIX

_REQUIRED = {
    "raw_bucket": "RAW_BUCKET",
    "lake_bucket": "LAKE_BUCKET",
    "quarantine_bucket": "QUARANTINE_BUCKET",
    "ledger_table": "LEDGER_TABLE",
    "drive_work_url": "DRIVE_WORK_URL",
}
MAX_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The part of the deployment's settings that ingest uses: a function knows no catalog."""

    raw_bucket: str
    lake_bucket: str
    quarantine_bucket: str
    ledger_table: str
    drive_work_url: str
    limits: SweepLimits

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read `SCENELAKE_RAW_BUCKET`, …, and optionally `SCENELAKE_OVERDUE_AFTER_S`, `_RESEND_AFTER_S`, `_RECONCILE_AFTER_S`.

        Raises:
            SettingsError: Names every variable that is not set, or the one that is no number of seconds.
        """
        absent = [PREFIX + name for name in _REQUIRED.values() if not env.get(PREFIX + name)]
        if absent:
            raise SettingsError(f"not set: {', '.join(absent)}; `python localstack/provision.py` prints them for an emulator")
        usual = SweepLimits()
        limits = replace(
            usual,
            overdue_after_s=seconds(env, PREFIX + "OVERDUE_AFTER_S", usual.overdue_after_s),
            resend_after_s=seconds(env, PREFIX + "RESEND_AFTER_S", usual.resend_after_s),
            reconcile_after_s=seconds(env, PREFIX + "RECONCILE_AFTER_S", usual.reconcile_after_s),
        )
        return cls(**{field: env[PREFIX + name] for field, name in _REQUIRED.items()}, limits=limits)


def seconds(env: Mapping[str, str], name: str, usual_s: float) -> float:
    """A duration from the environment, or the usual one.

    Raises:
        SettingsError: Not a number between 0 and 30 days.
    """
    said = env.get(name)
    if not said:
        return usual_s
    try:
        value = float(said)
    except ValueError as error:
        raise SettingsError(f"{name}={said!r} is no number of seconds") from error
    if not 0 <= value <= MAX_SECONDS:
        raise SettingsError(f"{name}={said!r} is not between 0 and {MAX_SECONDS:.0f} s")
    return value


def client(service: Any, env: Mapping[str, str]) -> Any:
    """A boto3 client. Endpoint and credentials come from the environment in boto3's own way (`AWS_ENDPOINT_URL`, …);
    the region from `AWS_REGION`, which boto3 does not read, or `AWS_DEFAULT_REGION`.
    """
    return boto3.client(
        service,
        region_name=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or None,
        config=Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60),
    )
