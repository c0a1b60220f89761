"""A real S3 endpoint for a test module: the emulator in a thread, on loopback, with the lake's buckets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from emulator import Emulator
from pydantic import SecretStr

from lake.settings import AwsSettings, Settings

BUCKETS = ("raw", "lake", "quarantine")
logging.getLogger("py4j").setLevel(logging.WARNING)  # it logs as the interpreter ends, when pytest has closed the output


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Its address; the environment of the process, and of what it starts, names it too."""
    with Emulator() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server.url


@pytest.fixture
def settings(endpoint: str, tmp_path: Path) -> Settings:
    """Fresh buckets (named after the test's folder) and a fresh catalog."""
    return new_settings(tmp_path)


def new_settings(tmp_path: Path) -> Settings:
    """As the fixture, for fixtures of a wider scope."""
    client = boto3.client("s3")
    names = {kind: f"{kind}-{abs(hash(tmp_path)):x}" for kind in BUCKETS}
    for name in names.values():
        client.create_bucket(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return Settings(
        raw_bucket=names["raw"],
        lake_bucket=names["lake"],
        quarantine_bucket=names["quarantine"],
        ledger_table="unused",
        object_events_url="unused",
        drive_work_url="unused",
        catalog_uri=SecretStr(f"sqlite:///{tmp_path}/catalog.db"),
        aws=AwsSettings.from_env(),
    )
