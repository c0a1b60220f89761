"""The same object, announced by other services than S3 itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

from tests.unit.ingest.ingest_fakes import RAW


def eventbridge(key: str, kind: str = "Object Created", bucket: str = RAW) -> dict[str, Any]:
    """The event of EventBridge; the key is as it is."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2023-11-14T00:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": "e", "version-id": "v1", "sequencer": "617f08299329d189"},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def sns_record(message: str) -> dict[str, Any]:
    """What Lambda gets of SNS."""
    return {"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": message}}]}


def sns_body(message: str) -> str:
    """What SQS gets of SNS, without raw delivery."""
    return json.dumps({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": message})


def minio(key: str, source: str = "minio:s3") -> dict[str, Any]:
    """The event of MinIO, or of Ceph by its `source`: records like those of S3, and the object once more beside them."""
    record = {
        "eventVersion": "2.0",
        "eventSource": source,
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": RAW}, "object": {"key": quote_plus(key), "size": 5, "eTag": "e", "sequencer": "1"}},
        "source": {"host": "127.0.0.1"},
    }
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{RAW}/{key}", "Records": [record]}
