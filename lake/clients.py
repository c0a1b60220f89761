"""Clients of AWS services, with endpoint, region and credentials from a settings value."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from lake.settings import AwsSettings


def client(service: Any, aws: AwsSettings, config: Config | None = None) -> Any:
    """A boto3 client. Values that `aws` leaves unset are resolved by boto3 itself."""
    return boto3.client(service, config=config, **aws.client_arguments(service))
