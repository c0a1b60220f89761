"""What moto forgets, in a process of its own, since it is changed for good; and the receipt handles that a queue remembers."""

from __future__ import annotations

import subprocess
import sys

from ops.stack.moto_memory import RecentHandles

PROGRAM = """
import gc, warnings
warnings.simplefilter("error")
import boto3
from moto import mock_aws
from moto.dynamodb.models.dynamo_type import Item
from moto.s3.models import FakeKey
from moto.sqs.models import Message, sqs_backends
from ops.stack.moto_memory import MOST_HANDLES, bound_memory

bound_memory()
bound_memory()
region = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}

def alive(kind):
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())

with mock_aws():
    dynamodb, s3, sqs = (boto3.client(service, **region) for service in ("dynamodb", "s3", "sqs"))
    key = [{"AttributeName": "pk", "AttributeType": "S"}]
    schema = [{"AttributeName": "pk", "KeyType": "HASH"}]
    dynamodb.create_table(TableName="t", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=key, KeySchema=schema)
    for number in range(5):
        dynamodb.put_item(TableName="t", Item={"pk": {"S": str(number)}})
    for _ in range(20):
        assert dynamodb.scan(TableName="t")["Count"] == 5
    assert alive(Item) == 5

    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="lake", Key="k", Body=b"one")["VersionId"]
    s3.put_object(Bucket="lake", Key="k", Body=b"two")
    assert s3.get_object(Bucket="lake", Key="k", VersionId=first)["Body"].read() == b"one"
    upload = s3.create_multipart_upload(Bucket="lake", Key="m")["UploadId"]
    s3.upload_part(Bucket="lake", Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(Bucket="lake", Key="m", UploadId=upload)
    assert alive(FakeKey) == 2

    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    for number in range(20):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        for _ in range(2):  # a deleted message may be deleted again
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert alive(Message) == 0
    [model] = sqs_backends["123456789012"]["us-east-1"].queues.values()
    assert 20 <= len(model.deleted_messages) <= MOST_HANDLES
assert alive(FakeKey) == 0, "a reset leaves nothing"
print("flat")
"""


def test_models_that_nothing_stores_are_gone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip(), done.stderr) == ("flat", "")


def test_the_last_handles_are_remembered() -> None:
    handles = RecentHandles(3)
    handles.update([None, "a"])
    handles.update([None, "b"])
    handles.update([None, "c"])
    assert ["a" in handles, "b" in handles, "c" in handles, None in handles] == [False, True, True, True]
    assert len(handles) == 3
