"""AWS in this process (no sockets), with the ledger's table as declared in the template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ingest.ledger.repository import Ledger
from tests.unit.ingest.ingest_fakes import FakeClock, FakeLedger
from tests.unit.localstack.stack_tools import table_arguments

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dynamodb(aws: None) -> Any:
    client = boto3.client("dynamodb")
    client.create_table(**table_arguments())
    return client


@pytest.fixture
def ledger(dynamodb: Any, clock: FakeClock) -> Ledger:
    return Ledger(dynamodb, table_arguments()["TableName"], clock)


@pytest.fixture(params=["fake", "dynamodb"])
def landing(request: pytest.FixtureRequest, clock: FakeClock) -> Any:
    """The landing half of the ledger: the fake that other tests rely on, and the real one. Both must pass the same tests."""
    return FakeLedger(clock) if request.param == "fake" else request.getfixturevalue("ledger")
