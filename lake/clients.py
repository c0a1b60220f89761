"""Clients of AWS services, with the endpoint, the region and the credentials of a value."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from lake.settings import AwsSettings


def client(service: Any, aws: AwsSettings, config: Config | None = None) -> Any:
    """A boto3 client. What `aws` leaves open, boto3 finds in its own way."""
    return boto3.client(service, config=config, **aws.client_arguments(service))
