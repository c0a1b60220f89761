"""A program: what moto answers, as installed and with `bound_cost`. A process of its own, since moto is changed for good."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeKey

from ops.stack.moto_cost import bound_cost
from ops.stack.moto_memory import bound_memory

REGION = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
PK, SK = ({"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE")))
BY_STATE = {
    "IndexName": "by-state",
    "Projection": {"ProjectionType": "ALL"},
    "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
QUERIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("pk", "abcd", {}),
    ("#state", "uv", {"IndexName": "by-state", "ExpressionAttributeNames": {"#state": "state"}}),
)


def main() -> None:
    """Print `equal`, or fail."""
    warnings.simplefilter("error")
    bound_memory()
    tables, listings = answers()
    assert sum(isinstance(one, tuple) for one in tables) > 30, "refused"
    assert sum(isinstance(one, dict) and "Items" not in one for one in tables) > 20, "done"
    bound_cost()
    bound_cost()
    for as_installed, now in zip((tables, listings), answers(), strict=True):
        assert len(as_installed) > 50
        for number, (one, other) in enumerate(zip(as_installed, now, strict=True)):
            assert one == other, (number, one, other)
    nothing_is_copied()
    print("equal")


def answers() -> tuple[list[Any], list[Any]]:
    """Of DynamoDB, and of S3."""
    with mock_aws():
        return list(table_answers(random.Random(11))), list(listing_answers(random.Random(12)))


def table_answers(chance: random.Random) -> Iterator[Any]:
    """Transactions, refused or done, and what is then in the table."""
    dynamodb: Any = boto3.client("dynamodb", **REGION)  # type: ignore[call-overload]
    dynamodb.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "state")],
        GlobalSecondaryIndexes=[BY_STATE],
        KeySchema=[PK, SK],
    )
    for number in range(120):
        operations = [operation(chance) for _ in range(chance.randint(1, 3))]
        yield answer(dynamodb.transact_write_items, TransactItems=operations)
        yield dynamodb.scan(TableName="t")["Items"] if number % 10 == 0 else None
        for name, values, more in QUERIES:
            yield answer(
                dynamodb.query,
                TableName="t",
                KeyConditionExpression=f"{name} = :v",
                ExpressionAttributeValues={":v": {"S": chance.choice(values)}},
                ScanIndexForward=chance.random() < 0.5,
                Limit=chance.randint(1, 4),
                **more,
            )


def operation(chance: random.Random) -> dict[str, Any]:
    """One of a transaction, on one of nine items."""
    key = {"pk": {"S": chance.choice("abc")}, "sk": {"S": chance.choice("xyz")}}
    condition = chance.choice(
        ("attribute_exists(pk)", "attribute_not_exists(pk)", "attribute_not_exists(pk) OR attribute_exists(pk)")
    )
    common = {"TableName": "t", "ConditionExpression": condition}
    match chance.randrange(5):
        case 0:
            return {"Put": common | {"Item": key | {"n": {"N": "1"}, "state": {"S": chance.choice("uv")}}}}
        case 1:
            return {"Delete": common | {"Key": key}}
        case 2:
            return {"ConditionCheck": common | {"Key": key}}
        case 3:  # fails where the state is a text, after the operations before it
            names, values = {"#state": "state"}, {":one": {"N": "1"}}
            update = {
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
                "UpdateExpression": "ADD #state :one",
            }
            return {"Update": {"TableName": "t", "Key": key} | update}
        case _:
            values = {":n": {"N": str(chance.randrange(9))}, ":none": {"L": []}, ":tag": {"L": [{"S": "t"}]}}
            expression = "SET n = :n, tags = list_append(if_not_exists(tags, :none), :tag)"
            return {"Update": common | {"Key": key, "UpdateExpression": expression, "ExpressionAttributeValues": values}}


def answer(call: Callable[..., Any], **arguments: Any) -> Any:
    """What the client returns, or the error and its reasons."""
    try:
        found = call(**arguments)
    except ClientError as error:
        return error.response["Error"], error.response.get("CancellationReasons")
    found.pop("ResponseMetadata")
    return found


def listing_answers(chance: random.Random) -> Iterator[Any]:
    """Pages of versions and delete markers, and the contents afterwards."""
    s3: Any = boto3.client("s3", **REGION)  # type: ignore[call-overload]
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    names, versions = set[str](), dict[str, int]()
    for number in range(100):
        if names and chance.random() < 0.3:
            versions[s3.delete_object(Bucket="lake", Key=chance.choice(sorted(names)))["VersionId"]] = number
        else:
            name = "".join(chance.choices("ab/", k=chance.randint(1, 4)))
            names.add(name)
            versions[s3.put_object(Bucket="lake", Key=name, Body=b"*" * number)["VersionId"]] = number
    for prefix in ("", "a", "a/", "zz"):
        for delimiter in ({}, {"Delimiter": "/"}):
            for size in (2, 7, 1000):
                pages = s3.get_paginator("list_object_versions").paginate(
                    Bucket="lake", Prefix=prefix, PaginationConfig={"PageSize": size}, **delimiter
                )
                for page in pages:
                    entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
                    found = [
                        (entry["Key"], versions[entry["VersionId"]], entry["IsLatest"], entry.get("Size")) for entry in entries
                    ]
                    yield found, page.get("CommonPrefixes"), page["IsTruncated"]
    for version in s3.list_object_versions(Bucket="lake")["Versions"]:
        content = s3.get_object(Bucket="lake", Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        yield version["Key"], len(content)


@mock_aws
def nothing_is_copied() -> None:
    """A listing reads no content, and a table can be copied again after a transaction."""
    list(table_answers(random.Random(13)))
    tables = [backend.tables["t"] for backend in dynamodb_backends["123456789012"].values() if "t" in backend.tables]
    assert [copy.deepcopy(table) is table for table in tables] == [False]
    read = list[str]()
    key: Any = FakeKey
    key.value = property(lambda self: read.append(self.name), key.value.fset)
    s3: Any = boto3.client("s3", **REGION)  # type: ignore[call-overload]
    s3.create_bucket(Bucket="lake")
    s3.put_object(Bucket="lake", Key="k", Body=b"one")
    assert [entry["Key"] for entry in s3.list_object_versions(Bucket="lake")["Versions"]] == ["k"]
    assert read == []


if __name__ == "__main__":
    main()
