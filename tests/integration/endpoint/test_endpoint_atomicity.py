"""The embedded endpoint: of concurrent conditional writes one wins, as on AWS."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

RACERS, ROUNDS = 8, 25


@pytest.fixture(autouse=True)
def threads_that_change_places_often() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


def winners(write: Callable[[int], Any]) -> list[int]:
    """Which of the racers' writes were accepted; the others must be refused for their condition."""
    start = threading.Barrier(RACERS)

    def race(racer: int) -> bool:
        start.wait()
        try:
            write(racer)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("ConditionalCheckFailedException", "PreconditionFailed")
            return False
        return True

    with ThreadPoolExecutor(RACERS) as pool:
        return [racer for racer, won in enumerate(pool.map(race, range(RACERS))) if won]


def test_one_of_many_conditional_updates_of_an_item_wins(endpoint: str) -> None:
    table = "race"
    client = boto3.client("dynamodb")
    key = {"AttributeName": "pk", "AttributeType": "S"}
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[key],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    for number in range(ROUNDS):
        client.put_item(TableName=table, Item={"pk": {"S": str(number)}, "generation": {"N": "0"}})

        def write(racer: int, number: int = number) -> None:
            client.update_item(
                TableName=table,
                Key={"pk": {"S": str(number)}},
                UpdateExpression="SET generation = :next, winner = :racer",
                ConditionExpression="generation = :seen",
                ExpressionAttributeValues={":seen": {"N": "0"}, ":next": {"N": "1"}, ":racer": {"N": str(racer)}},
            )

        [winner] = winners(write)
        item = client.get_item(TableName=table, Key={"pk": {"S": str(number)}}, ConsistentRead=True)["Item"]
        assert item["winner"] == {"N": str(winner)}


def test_one_of_many_first_writes_of_a_key_wins(endpoint: str) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="race")
    for number in range(ROUNDS):
        key = f"object-{number}"
        [winner] = winners(lambda racer, key=key: client.put_object(Bucket="race", Key=key, Body=b"%d" % racer, IfNoneMatch="*"))  # type: ignore[misc]
        assert client.get_object(Bucket="race", Key=key)["Body"].read() == b"%d" % winner
