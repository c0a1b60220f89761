"""The embedded endpoint over its socket: spellings that only a server's parser turns into a path or host, and real clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests

BUCKET = "browsers"


@pytest.fixture(scope="module", autouse=True)
def s3(endpoint: str) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="gold", Body=b"gold")
    return client


@pytest.fixture(autouse=True)
def _stays(s3: Any) -> Iterator[None]:
    yield
    assert s3.get_object(Bucket=BUCKET, Key="gold")["Body"].read() == b"gold"


def send(endpoint: str, line: str, *headers: str, body: bytes = b"") -> tuple[int, str]:
    """Send a request as it is spelled here; status and headers of the answer."""
    address = urlsplit(endpoint)
    text = "\r\n".join((f"{line} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "", ""))
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(text.encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head = answer.partition(b"\r\n\r\n")[0].decode()
    return int(head.split()[1]), head.lower()


@pytest.mark.parametrize(
    "path",
    [
        "/moto-api/reset",
        "//moto-api/reset",
        "///moto-api/reset",
        "/%6doto-api/reset",
        "/moto-api%2Freset",
        "http://127.0.0.1/moto-api/reset",
        "http://localhost:5000//moto-api/reset",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_no_spelling_leads_to_motos_own_api(endpoint: str, path: str, method: str) -> None:
    status, _ = send(endpoint, f"{method} {path}", "Host: 127.0.0.1")
    assert status == 404


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("POST /moto-api/reset", ("Host: motoapi.amazonaws.com",)),
        ("POST http://motoapi.amazonaws.com/moto-api/reset", ("Host: 127.0.0.1",)),
        (f"GET http://evil.example/{BUCKET}/gold", ("Host: 127.0.0.1",)),
        (f"GET /{BUCKET}/gold", ("Host: evil.example",)),
        (f"GET /{BUCKET}/gold", ("Host: 127.0.0.1", "Host: evil.example")),
        (f"GET /{BUCKET}/gold", ()),
        (f"GET /{BUCKET}/gold", ("Host: 127.0.0.1", "oRiGiN: https://evil.example")),
        (f"GET /{BUCKET}/gold", ("Host: 127.0.0.1", "Sec-Fetch-Site: cross-site")),
        (f"OPTIONS /{BUCKET}/gold", ("Host: 127.0.0.1", "Origin: null", "Access-Control-Request-Method: DELETE")),
        (f"DELETE /{BUCKET}/gold", ("Host: 127.0.0.1", "Origin: https://evil.example")),
    ],
)
def test_pages_and_other_hosts_are_refused(endpoint: str, line: str, headers: tuple[str, ...]) -> None:
    status, head = send(endpoint, line, *headers)
    assert status == 403
    assert "access-control-" not in head


def test_a_form_of_a_page_is_refused_and_its_body_is_not_executed(endpoint: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    answer = requests.post(endpoint, data=b"Action=CreateQueue&QueueName=evil&Version=2012-11-05", headers=form, timeout=30)
    assert answer.status_code == 403
    assert "QueueUrls" not in boto3.client("sqs").list_queues(QueueNamePrefix="evil")


def test_a_bucket_that_allows_every_origin_is_no_exception(endpoint: str, s3: Any) -> None:
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "gold"})
    assert requests.get(url, headers={"Origin": "https://evil.example"}, timeout=30).status_code == 403
    plain = requests.get(url, timeout=30)
    assert (plain.status_code, plain.content) == (200, b"gold")
    assert not [name for name in plain.headers if name.lower().startswith("access-control-")]


def test_clients_that_say_localhost_are_answered(endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=f"http://localhost:{urlsplit(endpoint).port}")
    assert client.get_object(Bucket=BUCKET, Key="gold")["Body"].read() == b"gold"
    queue = boto3.client("sqs", endpoint_url=f"http://localhost:{urlsplit(endpoint).port}").create_queue(QueueName="by-name")
    assert urlsplit(queue["QueueUrl"]).hostname == "localhost"
