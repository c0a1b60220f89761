"""A small lake with moto's S3 and DynamoDB in this process, its tables in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from bench.folder_settings import SETTINGS
from bench.lake_audit.lake import SmallLake
from ingest.ledger.repository import Ledger
from tests.unit.lake.tables.empty_lake import make_empty_lake
from tests.unit.localstack.stack_tools import table_arguments

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def in_process(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[SmallLake]:
    """An empty lake, its tables in `folder`."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        for bucket in (SETTINGS.raw_bucket, SETTINGS.lake_bucket, SETTINGS.quarantine_bucket):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(**table_arguments())
        make_empty_lake(SmallLake.catalog_in(folder))
        yield SmallLake(folder, s3, Ledger(dynamodb, table_arguments()["TableName"]))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallLake]:
    with in_process(monkeypatch, tmp_path) as made:
        yield made
