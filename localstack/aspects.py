"""What the template demands of each bucket, queue and table, one aspect at a time, with how to see it and how to set it.

Emulators accept a template and drop parts of it in silence. Every aspect is therefore read back, set where it differs, and
read once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from template_values import Template, TemplateError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing to be as the template says. `write` is None for what cannot be set later.

    An aspect that is not `essential` protects data from other people; an emulator on loopback that does not offer it
    can still be used.
    """

    what: str
    wanted: Any
    read: Callable[[], Any]
    write: Callable[[], Any] | None
    essential: bool


def aspects(template: Template, s3: S3Client, sqs: SQSClient, dynamodb: DynamoDBClient, plain_http: bool) -> Iterator[Aspect]:
    """Every aspect of every bucket, queue, table and policy; notifications last, when what they need is there.

    At a `plain_http` endpoint the statements that deny plain HTTP are left out: they would lock everyone out.
    """
    for properties in template.resources("AWS::SQS::Queue").values():
        yield _queue(sqs, properties)
    for properties in template.resources("AWS::SQS::QueuePolicy").values():
        for name in properties["Queues"]:
            yield _queue_policy(sqs, name, _policy(properties["PolicyDocument"], plain_http))
    for properties in template.resources("AWS::DynamoDB::Table").values():
        yield from _table(dynamodb, properties)
    buckets = template.resources("AWS::S3::Bucket").values()
    for properties in buckets:
        yield from _bucket(s3, properties["BucketName"], properties)
    for properties in template.resources("AWS::S3::BucketPolicy").values():
        yield _bucket_policy(s3, properties["Bucket"], _policy(properties["PolicyDocument"], plain_http))
    for properties in buckets:
        if "NotificationConfiguration" in properties:
            yield _notification(s3, properties["BucketName"], properties["NotificationConfiguration"])


def _queue(sqs: SQSClient, properties: Mapping[str, Any]) -> Aspect:
    name = properties["QueueName"]
    wanted: dict[Any, str] = {key: _attribute(value) for key, value in properties.items() if key not in ("QueueName", "Tags")}

    def read() -> dict[str, str | None]:
        found = _attributes(sqs, name)
        if "RedrivePolicy" in found:
            found["RedrivePolicy"] = _attribute(json.loads(found["RedrivePolicy"]))
        return {key: found.get(key) for key in wanted}

    return Aspect(
        f"queue {name}: {', '.join(sorted(wanted))}",
        wanted,
        read,
        lambda: sqs.set_queue_attributes(QueueUrl=_url(sqs, name), Attributes=wanted),
        essential=True,
    )


def _queue_policy(sqs: SQSClient, name: str, document: Mapping[str, Any] | None) -> Aspect:
    def read() -> Any:
        return _document(_attributes(sqs, name).get("Policy"))

    def write() -> None:
        sqs.set_queue_attributes(QueueUrl=_url(sqs, name), Attributes={"Policy": json.dumps(document) if document else ""})

    return Aspect(f"queue {name}: policy", document, read, write, essential=False)


def _table(dynamodb: DynamoDBClient, properties: Mapping[str, Any]) -> Iterator[Aspect]:
    name = properties["TableName"]

    def shape() -> dict[str, Any]:
        found: Mapping[str, Any] = dynamodb.describe_table(TableName=name)["Table"]
        return _shape(found) | {"billing": found.get("BillingModeSummary", {}).get("BillingMode")}

    wanted = _shape(properties) | {"billing": properties["BillingMode"]}
    yield Aspect(f"table {name}: keys, indexes and billing", wanted, shape, None, essential=True)

    def recovery() -> bool:
        found = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        return found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"

    yield Aspect(
        f"table {name}: point-in-time recovery",
        True,
        recovery,
        lambda: dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        ),
        essential=False,
    )


def _bucket(s3: S3Client, name: str, properties: Mapping[str, Any]) -> Iterator[Aspect]:
    wanted = properties["VersioningConfiguration"]["Status"]
    yield Aspect(
        f"bucket {name}: versioning",
        wanted,
        lambda: s3.get_bucket_versioning(Bucket=name).get("Status"),
        lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": wanted}),
        essential=True,
    )
    rules: list[Any] = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ]
    yield Aspect(
        f"bucket {name}: encryption",
        [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules],
        lambda: [
            rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
            for rule in s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        ],
        lambda: s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules}),
        essential=False,
    )
    block = properties["PublicAccessBlockConfiguration"]
    yield Aspect(
        f"bucket {name}: public access block",
        block,
        _absent(lambda: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]),
        lambda: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block),
        essential=False,
    )
    ownership = properties["OwnershipControls"]
    yield Aspect(
        f"bucket {name}: ownership",
        ownership,
        _absent(lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]),
        lambda: s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership),
        essential=False,
    )
    yield _lifecycle(s3, name, properties)


def _lifecycle(s3: S3Client, name: str, properties: Mapping[str, Any]) -> Aspect:
    life: list[Any] = [_lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]
    return Aspect(
        f"bucket {name}: life-cycle",
        [(rule["ID"], rule["Status"], rule["AbortIncompleteMultipartUpload"]) for rule in life],
        _absent(
            lambda: [
                (rule.get("ID"), rule["Status"], rule.get("AbortIncompleteMultipartUpload"))
                for rule in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
            ]
        ),
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": life}),
        essential=False,
    )


def _bucket_policy(s3: S3Client, name: str, document: Mapping[str, Any] | None) -> Aspect:
    def write() -> None:
        if document is None:
            s3.delete_bucket_policy(Bucket=name)
        else:
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))

    read = _absent(lambda: _document(s3.get_bucket_policy(Bucket=name)["Policy"]))
    return Aspect(f"bucket {name}: policy", document, read, write, essential=False)


def _notification(s3: S3Client, name: str, properties: Mapping[str, Any]) -> Aspect:
    unknown = set(properties) - {"QueueConfigurations"}
    if unknown:
        raise TemplateError(f"notifications of bucket {name} to {', '.join(sorted(unknown))} are not understood here")
    queues: list[Any] = [{"QueueArn": entry["Queue"], "Events": [entry["Event"]]} for entry in properties["QueueConfigurations"]]

    def read() -> list[tuple[str, list[str]]]:
        found = s3.get_bucket_notification_configuration(Bucket=name).get("QueueConfigurations", [])
        return sorted((entry["QueueArn"], sorted(entry["Events"])) for entry in found)

    return Aspect(
        f"bucket {name}: notifications",
        sorted((entry["QueueArn"], entry["Events"]) for entry in queues),
        read,
        lambda: s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": queues}),
        essential=True,
    )


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(rule) - {"Id", "Status", "AbortIncompleteMultipartUpload"}
    if unknown:
        raise TemplateError(f"life-cycle terms {', '.join(sorted(unknown))} are not understood here")
    return {
        "ID": rule["Id"],
        "Status": rule["Status"],
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": rule["AbortIncompleteMultipartUpload"],
    }


def _shape(described: Mapping[str, Any]) -> dict[str, Any]:
    indexes = described.get("GlobalSecondaryIndexes") or []
    return {
        "keys": [(key["AttributeName"], key["KeyType"]) for key in described["KeySchema"]],
        "types": {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]},
        "indexes": {
            index["IndexName"]: (
                [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]],
                index["Projection"]["ProjectionType"],
            )
            for index in indexes
        },
    }


def _absent(read: Callable[[], Any]) -> Callable[[], Any]:
    """S3 answers 404 for a setting that was never made: that is a difference, not a failure."""

    def read_or_none() -> Any:
        try:
            return read()
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise

    return read_or_none


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps({key: str(part) for key, part in value.items()}, sort_keys=True)
    return str(value)


def _policy(document: Mapping[str, Any], plain_http: bool) -> dict[str, Any] | None:
    kept = [statement for statement in document["Statement"] if not (plain_http and _denies_plain_http(statement))]
    return {**document, "Statement": kept} if kept else None


def _denies_plain_http(statement: Mapping[str, Any]) -> bool:
    return statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}


def _document(policy: str | None) -> Any:
    return None if not policy else json.loads(policy)


def _url(sqs: SQSClient, name: str) -> str:
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]


def _attributes(sqs: SQSClient, name: str) -> dict[str, str]:
    found = sqs.get_queue_attributes(QueueUrl=_url(sqs, name), AttributeNames=["All"])["Attributes"]
    return {str(key): value for key, value in found.items()}
