"""What answers in place of AWS is not taken for AWS: botocore's own parser, fed with pages that proxies give."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from lake.clients import ForeignAnswerError, client
from lake.settings import AwsSettings

AWS = AwsSettings(access_key_id="test", secret_access_key="test", region="eu-west-1", endpoint_url="http://127.0.0.1:1")
PAGE = b"<html><body>Down for maintenance</body></html>"


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]


def answering(service: str, body: bytes, status: int = 200) -> Any:
    """A client whose every request is answered with this body."""
    made = client(service, AWS)
    made.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, status, {}, Raw(body)))
    return made


def put(dynamodb: Any) -> Any:
    return dynamodb.put_item(TableName="t", Item={"pk": {"S": "a"}})


@pytest.mark.parametrize("body", [PAGE, b"[]", b"null", b'"OK"', b"1", b"OK", b"{", b'{"a": "\xff"}'])
def test_an_answer_that_is_no_object_is_an_error(body: bytes) -> None:
    with pytest.raises(ForeignAnswerError, match="answer to ReceiveMessage is not a JSON object"):
        answering("sqs", body).receive_message(QueueUrl="http://127.0.0.1:1/1/q")
    with pytest.raises(ForeignAnswerError, match="answer to PutItem is not a JSON object"):
        put(answering("dynamodb", body))


@pytest.mark.parametrize("status", [400, 503])
def test_an_error_that_is_no_object_is_an_error_of_the_same_kind(status: int) -> None:
    with pytest.raises(ForeignAnswerError):
        put(answering("dynamodb", b"[]", status))


@pytest.mark.parametrize("status", [403, 400])
def test_the_page_of_an_error_keeps_its_status(status: int) -> None:
    with pytest.raises(ClientError) as found:
        put(answering("dynamodb", PAGE, status))
    assert found.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize("body", [b"", b"{}", b' {"Messages": []}\n'])
def test_answers_of_aws_pass(body: bytes) -> None:
    assert answering("sqs", body).receive_message(QueueUrl="http://127.0.0.1:1/1/q").get("Messages", []) == []


def test_a_service_that_answers_in_xml_is_left_alone() -> None:
    assert answering("s3", b"").list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
