"""A real S3 endpoint for a test module: the emulator in a thread, on loopback, with the lake's buckets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from lake.settings import Settings

BUCKETS = ("raw", "lake", "quarantine")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of a process that talks to the endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return endpoint


@pytest.fixture
def settings(aws: str, tmp_path: Path) -> Settings:
    """Fresh buckets (named after the test's folder) and a fresh catalog."""
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
        catalog_uri=f"sqlite:///{tmp_path}/catalog.db",
    )
