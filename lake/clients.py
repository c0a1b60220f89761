"""Clients of AWS services, with endpoint, region and credentials from a settings value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from lake.settings import AwsSettings

MAX_SHOWN = 200
_FIRST_ERROR = 300  # botocore reads an error's page itself, and tries again where its status says so


class ForeignAnswerError(BotoCoreError):
    """The answer to a call is not one of AWS: a proxy, or a load balancer under maintenance, answered in its place.

    A botocore error, so that whoever waits for the endpoint to come back waits for this to pass, too.
    """

    fmt = "the answer to {operation} is not a JSON object, so not one of AWS: {shown}"


def client(service: Any, aws: AwsSettings, config: Config | None = None) -> Any:
    """A boto3 client. Values that `aws` leaves unset are resolved by boto3 itself.

    Of a service that answers in JSON (SQS, DynamoDB), each call may raise `ForeignAnswerError`: botocore takes a page of HTML
    for an answer without members, which reads as "written", or as "there is none".
    """
    made = boto3.client(service, config=config, **aws.client_arguments(service))
    model = made.meta.service_model
    if model.resolved_protocol == "json":
        made.meta.events.register(f"before-parse.{model.service_id.hyphenize()}", _refuse_foreign)
    return made


def _refuse_foreign(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
    body: bytes = response_dict["body"]
    content = body.strip()
    if not content or (content.startswith(b"{") and content.endswith(b"}") and _is_utf8(content)):
        return
    is_page = content.startswith(b"<")
    if is_page and response_dict["status_code"] >= _FIRST_ERROR:
        return
    raise ForeignAnswerError(operation=operation_model.name, shown=repr(content[:MAX_SHOWN]))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
