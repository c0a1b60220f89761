"""The embedded endpoint's memory depends on what it stores, not on how often that is read: measured in its own process.

SCENELAKE_TEST_SOAK=20000 asks for that many reads instead of the default; they take ten minutes on a free machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.config import Config

from ops.stack.choices import choose_port
from ops.stack.environment import PROJECT
from ops.stack.moto_memory import MOST_HANDLES
from tests.integration.spark.standalone_cluster import until

ITEMS, OBJECTS = 200, 50
READS_OF_A_ROUND = 4
ROUNDS = int(os.environ.get("SCENELAKE_TEST_SOAK", "600")) // READS_OF_A_ROUND
WARM_UP = 40
# With moto as installed a round leaves more than 160 kB, 24 MB in all. What an allocator keeps does not depend on the rounds, and
# a queue remembers a limited number of receipt handles: 185 characters each, and their place in a dictionary.
ALLOCATOR_BYTES = 8_000_000
HANDLE_BYTES = 400
TABLE, BUCKET, QUEUE = "drives", "gold", "work"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, psutil.Process]]:
    """The endpoint as the local stack starts it: its address and its process."""
    port = choose_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(PROJECT / "localstack" / "emulator.py"), "-p", str(port)]
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "MALLOC_ARENA_MAX": "2"}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            until("the endpoint", lambda: _answers(url))
            yield url, psutil.Process(child.pid)
        finally:
            child.terminate()
            child.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


class Reader:
    """A round of everything that components do all day without storing anything: queries, reads, messages, overwrites."""

    def __init__(self, url: str) -> None:
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})

        def client(service: Any) -> Any:
            return boto3.client(
                service,
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=config,
            )

        self.dynamodb, self.s3, self.sqs = client("dynamodb"), client("s3"), client("sqs")

    def fill(self) -> None:
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        self.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        )
        for number in range(ITEMS):
            item = {"pk": {"S": "drive"}, "sk": {"S": f"{number:03}"}, "state": {"S": "published"}, "generation": {"N": "1"}}
            self.dynamodb.put_item(TableName=TABLE, Item=item)
        self.s3.create_bucket(Bucket=BUCKET)
        for number in range(OBJECTS):
            self.s3.put_object(Bucket=BUCKET, Key=f"objects/{number}", Body=bytes(20_000))
        self.queue = self.sqs.create_queue(QueueName=QUEUE)["QueueUrl"]

    def round(self, number: int) -> None:
        page = self.dynamodb.query(
            TableName=TABLE, KeyConditionExpression="pk = :drive", ExpressionAttributeValues={":drive": {"S": "drive"}}
        )
        assert len(page["Items"]) == ITEMS
        key = {"pk": {"S": "drive"}, "sk": {"S": f"{number % ITEMS:03}"}}
        update = {"UpdateExpression": "SET generation = :next", "ExpressionAttributeValues": {":next": {"N": str(number)}}}
        self.dynamodb.update_item(TableName=TABLE, Key=key, **update)
        assert len(self.s3.get_object(Bucket=BUCKET, Key=f"objects/{number % OBJECTS}")["Body"].read()) == 20_000
        assert self.s3.list_objects_v2(Bucket=BUCKET, Prefix="objects/")["KeyCount"] == OBJECTS
        self.s3.put_object(Bucket=BUCKET, Key="objects/0", Body=bytes(20_000))
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=f"drive {number}")
        [message] = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=1)["Messages"]
        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.mark.timeout(7200)
def test_memory_does_not_grow_with_the_number_of_requests(server: tuple[str, psutil.Process]) -> None:
    url, process = server
    reader = Reader(url)
    reader.fill()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(reader.round, range(WARM_UP)))
        before, files = process.memory_info().rss, process.num_fds()
        list(pool.map(reader.round, range(ROUNDS)))
    after = process.memory_info().rss
    print(f"{ROUNDS * READS_OF_A_ROUND} reads: RSS {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
    assert after - before <= ALLOCATOR_BYTES + HANDLE_BYTES * min(ROUNDS, MOST_HANDLES)
    assert process.num_fds() <= files + 5
    assert process.num_threads() <= 10
