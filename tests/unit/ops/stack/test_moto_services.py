"""The services that the embedded endpoint has: those of the project, and not moto's own API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto import mock_aws
from werkzeug.test import Client, TestResponse

from ops.stack.moto_services import served_application

URL = "http://127.0.0.1:5000"


def signed(service: str) -> dict[str, str]:
    request = AWSRequest("POST", "http://127.0.0.1/", data=b"")
    SigV4Auth(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def ask(path: str, method: str = "GET", **options: Any) -> TestResponse:
    return Client(served_application()).open(path, method=method, base_url=URL, **options)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_bucket(Bucket="lake")
        yield client


@pytest.fixture(autouse=True)
def _nothing_is_reset(s3: Any) -> Iterator[None]:
    yield
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["lake"]


@pytest.mark.parametrize(
    "path",
    [
        "/moto-api",
        "/moto-api/",
        "/moto-api/reset",
        "/moto-api/reset-auth",
        "/moto-api/seed?a=1",
        "/moto-api/data.json",
        "/moto-api/config",
        "/moto-api/proxy/passthrough",
        "/moto-api/state-manager/set-transition",
        "/moto-api/recorder/start-recording",
        "/moto-api/recorder/download-recording",
        "/moto-api//reset",
        "/moto-api/./reset",
        "/%6doto-api/reset",
        "/moto%2dapi/reset",
        "/moto-api%2freset",
        "/Moto-API/reset",
        "/x/../moto-api/reset",
        "/./moto-api/reset",
        "/favicon.ico",
    ],
)
def test_motos_own_api_is_not_served(path: str) -> None:
    endpoint = Client(served_application())
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
        assert endpoint.open(path, method=method, base_url=URL).status_code == 404


@pytest.mark.parametrize("service", ["motoapi", "motoapi.amazonaws.com", "moto_api", "moto_api._internal"])
@pytest.mark.parametrize("path", ["/moto-api/reset", "//moto-api/reset", "/", "/x/../moto-api/reset"])
def test_a_signature_for_it_does_not_lead_to_it(service: str, path: str) -> None:
    assert ask(path, "POST", headers=signed(service)).status_code == 404


def test_a_path_that_names_it_as_a_service_does_not_lead_to_it() -> None:
    assert ask("/motoapi.amazonaws.com_us-east-1/moto-api/reset", "POST").status_code == 404


def test_an_object_may_have_its_name(s3: Any) -> None:
    s3.put_object(Bucket="lake", Key="moto-api/reset", Body=b"an object")
    assert ask("/lake/moto-api/reset", headers=signed("s3")).data == b"an object"


@pytest.mark.parametrize("service", ["ec2", "kms", "secretsmanager", "organizations", "ssm"])
def test_services_that_the_project_does_not_use_are_not_there(service: str) -> None:
    assert ask("/", "POST", headers=signed(service)).status_code == 404


def test_instance_credentials_are_not_made_up() -> None:
    assert ask("/latest/meta-data/iam/security-credentials/").status_code == 404


def test_what_the_project_uses_is_served() -> None:
    listing = ask("/", headers=signed("s3"))
    assert (listing.status_code, b"<Name>lake</Name>" in listing.data) == (200, True)
    tables = ask("/", "POST", data=b"{}", headers=signed("dynamodb") | {"X-Amz-Target": "DynamoDB_20120810.ListTables"})
    assert (tables.status_code, tables.data) == (200, b'{"TableNames": []}')
    queues = ask("/", "POST", data=b"{}", headers=signed("sqs") | {"X-Amz-Target": "AmazonSQS.ListQueues"})
    assert queues.status_code == 200
