# ruff: noqa: E501 - a row of the table is one line
"""Each AWS call of the code is allowed to every component that makes it, by one statement of the template; and no statement
allows what nobody does.

`CALLS` is held against the code: a call of a boto3 client that is not in it, or that is gone, fails a test.
"""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from tests.unit.localstack.stack_tools import ROOT, template
from tests.unit.localstack.test_template import ROLES

PACKAGES = ("ingest", "lake", "dags", "plugins", "scenes", "spark_jobs", "quality", "lineage", "ops", "cli", "fleet")
LOCAL_ONLY = {"ingest/event_source_mapping.py", "ops/stack/inspection.py"}  # of the local stack, where no role is assumed
CLIENTS = {"client", "_client", "s3", "_s3", "sqs", "_sqs", "dynamodb"}
MANAGED = {"copy", "upload_fileobj", "upload_file", "download_fileobj", "download_file"}  # of boto3.s3.inject
REGISTER, SWEEP, AIRFLOW, EXECUTOR, OPERATOR, MAINTENANCE, METRICS, ERASER, VEHICLE = (
    "RegisterRole", "SweepRole", "OrchestratorRole", "SparkRole", "OperatorRole", "MaintenanceRole", "MetricsRole", "EraserRole",
    "VehicleRole",
)  # fmt: skip

S3 = "arn:aws:s3:::scenelake-{}-123456789012"
RAW, LAKE, QUARANTINE = (S3.format(kind) for kind in ("raw", "lake", "quarantine"))
OBJECT, MANIFEST = f"{RAW}/car-1/d/lidar/top/1.mcap", f"{RAW}/car-1/d/manifest.json"
INPUT, WORK_AREA = f"{LAKE}/inputs/car-1/d/a.json", f"{LAKE}/work/car-1/d/a/1/index.arrow"
WATERMARK = f"{LAKE}/audit/watermark.json"
BASELINE, STATISTICS = f"{LAKE}/baselines/car-1.json", f"{LAKE}/warehouse/quality/statistics/car-1/1-d.json"
SCENES, KEPT = f"{LAKE}/warehouse/gold/scenes/data/car-1/d/1.parquet", f"{LAKE}/warehouse/quality/validations/car-1/d/1.json"
RECORDS, METADATA = f"{LAKE}/warehouse/quarantine/records/data/1.parquet", f"{LAKE}/warehouse/gold/scenes/metadata/1.json"
LISTING = f"{LAKE}/maintenance/sweep/1/listing.json"
BAD_SCENES, BAD_FRAME = f"{QUARANTINE}/scenes/car-1/d/1.parquet", f"{QUARANTINE}/frames/car-1/d/a/1"
BAD_OBJECT, BAD_DRIVE, REFUSED = (
    f"{QUARANTINE}/objects/a/car-1/d/x",
    f"{QUARANTINE}/drives/car-1/d/a/input.json",
    f"{QUARANTINE}/refused/x",
)
SQS = "arn:aws:sqs:us-east-1:123456789012:scenelake-{}"
EVENTS, EVENTS_DEAD, WORK, DEAD = (
    SQS.format(name) for name in ("object-events", "object-events-dead", "drive-work", "drive-work-dead")
)
LEDGER = "arn:aws:dynamodb:us-east-1:123456789012:table/scenelake-ledger"
OUTBOX, SETTLING, STATE = (f"{LEDGER}/index/by-{name}" for name in ("outbox", "settling", "state"))


class Call(NamedTuple):
    """A call of a client (`place`: the file and the method), the actions that it needs, and on what each component makes it."""

    place: str
    actions: tuple[str, ...]
    by: dict[str, tuple[str, ...]]


READ, READ_VERSION = "s3:GetObject", "s3:GetObjectVersion"  # HeadObject is GetObject to IAM
LIST = "s3:ListBucket"  # with it S3 answers 404, not 403, for what is not there
WRITE, CLEAR, ABORT = "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"
WRITERS = dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR, ERASER), (LEDGER,))
BUCKETS, EVERYTHING = (RAW, LAKE, QUARANTINE), (OBJECT, INPUT, SCENES, METADATA, BASELINE, BAD_FRAME, REFUSED)
CERTIFICATE = f"{LAKE}/erasures/F-1/ab/certificate.json"
CALLS = (
    # The functions, and everyone who registers, assesses or sends: reviews, replays.
    Call("ingest/s3_objects.py head_object", (READ,), dict.fromkeys((REGISTER, SWEEP), (OBJECT, MANIFEST))),
    Call("ingest/s3_objects.py head_object", (LIST,), dict.fromkeys((REGISTER, SWEEP), (RAW,))),
    Call("ingest/s3_objects.py get_object", (READ, READ_VERSION), dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR), (MANIFEST,))),
    Call("ingest/s3_objects.py get_bucket_versioning", ("s3:GetBucketVersioning",), dict.fromkeys((REGISTER, SWEEP), (RAW, LAKE))),
    Call("ingest/s3_objects.py get_object", (READ,), dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR), (BASELINE,))),
    Call("ingest/s3_objects.py get_object", (LIST,), dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR), (LAKE,))),
    Call("ingest/s3_objects.py list_objects_v2", (LIST,), {SWEEP: (RAW,)}),
    Call("ingest/s3_objects.py copy_object", (READ, READ_VERSION), dict.fromkeys((REGISTER, SWEEP), (OBJECT,))),
    Call("ingest/s3_objects.py copy_object", (WRITE,), dict.fromkeys((REGISTER, SWEEP), (REFUSED,))),
    Call("ingest/s3_objects.py put_object", (WRITE,), dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR), (INPUT,))),
    Call("ingest/ledger/dynamodb_table.py get_item", ("dynamodb:GetItem",), WRITERS | dict.fromkeys((METRICS, MAINTENANCE), (LEDGER,))),
    Call("ingest/ledger/dynamodb_table.py put_item", ("dynamodb:PutItem",), dict.fromkeys((REGISTER, SWEEP, ERASER), (LEDGER,))),
    Call("ingest/ledger/dynamodb_table.py delete_item", ("dynamodb:DeleteItem",), {ERASER: (LEDGER,)}),
    Call("ingest/ledger/dynamodb_table.py scan", ("dynamodb:Scan",), {ERASER: (LEDGER,)}),
    Call("ingest/ledger/dynamodb_table.py update_item", ("dynamodb:UpdateItem",), WRITERS),
    Call("ingest/ledger/dynamodb_table.py transact_write_items", (
        "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"), WRITERS),
    Call("ingest/ledger/dynamodb_table.py query", ("dynamodb:Query",), WRITERS | {
        SWEEP: (LEDGER, OUTBOX, SETTLING, STATE), OPERATOR: (LEDGER, STATE, SETTLING), METRICS: (LEDGER, STATE, SETTLING)}),
    Call("ingest/queues.py send_message", ("sqs:SendMessage",), dict.fromkeys((REGISTER, SWEEP, AIRFLOW, OPERATOR), (WORK,))),
    Call("ingest/queues.py receive_message", ("sqs:ReceiveMessage",), {AIRFLOW: (WORK,)}),
    Call("ingest/queues.py change_message_visibility", ("sqs:ChangeMessageVisibility",), {AIRFLOW: (WORK,)}),
    Call("ingest/queues.py delete_message", ("sqs:DeleteMessage",), {AIRFLOW: (WORK,)}),
    Call("ingest/queues.py get_queue_attributes", ("sqs:GetQueueAttributes",), {
        AIRFLOW: (WORK,), SWEEP: (WORK, DEAD), **dict.fromkeys((OPERATOR, METRICS), (EVENTS, EVENTS_DEAD, WORK, DEAD)), ERASER: (EVENTS, WORK)}),
    Call("ingest/dead_letters.py get_queue_attributes", ("sqs:GetQueueAttributes",), {
        SWEEP: (WORK,), OPERATOR: (WORK,), METRICS: (EVENTS, WORK), ERASER: (EVENTS, WORK)}),
    Call("ingest/dead_letters.py get_queue_url", ("sqs:GetQueueUrl",), {
        SWEEP: (DEAD,), **dict.fromkeys((OPERATOR, METRICS), (EVENTS, EVENTS_DEAD, WORK, DEAD)), ERASER: (EVENTS_DEAD, DEAD)}),
    Call("ingest/dead_letters.py receive_message", ("sqs:ReceiveMessage",), {OPERATOR: (DEAD,), ERASER: (EVENTS_DEAD, DEAD)}),
    Call("ingest/dead_letters.py change_message_visibility", ("sqs:ChangeMessageVisibility",), {
        OPERATOR: (DEAD,), ERASER: (EVENTS_DEAD, DEAD)}),
    Call("ingest/dead_letters.py delete_message", ("sqs:DeleteMessage",), {OPERATOR: (DEAD,)}),
    Call("ingest/dead_letters.py send_message", ("sqs:SendMessage",), {OPERATOR: (WORK,)}),
    # Files of the lake: steps and jobs in Airflow's pod, executors elsewhere, commands, the exporter.
    Call("lake/storage.py get_object", (READ, READ_VERSION), {AIRFLOW: (OBJECT, MANIFEST, BASELINE), EXECUTOR: (OBJECT,),
         METRICS: (MANIFEST,), OPERATOR: (OBJECT, INPUT, KEPT, BAD_FRAME, BASELINE, STATISTICS), ERASER: EVERYTHING}),
    Call("lake/storage.py get_object", (READ,), {
        AIRFLOW: (INPUT, WORK_AREA, KEPT, BAD_FRAME, BAD_SCENES), EXECUTOR: (WORK_AREA,), METRICS: (KEPT,)}),
    Call("lake/storage.py get_object", (LIST,), {AIRFLOW: (RAW, LAKE, QUARANTINE), EXECUTOR: (RAW, LAKE), OPERATOR: (RAW, LAKE, QUARANTINE), ERASER: BUCKETS}),
    Call("lake/storage.py head_object", (READ, READ_VERSION), {AIRFLOW: (OBJECT,), OPERATOR: (OBJECT,)}),
    Call("lake/storage.py put_object", (WRITE,), {
        AIRFLOW: (WORK_AREA, SCENES, KEPT, STATISTICS, RECORDS, BAD_SCENES, BAD_FRAME, BAD_DRIVE),
        OPERATOR: (BASELINE, WATERMARK), ERASER: (CERTIFICATE,),
        EXECUTOR: (WORK_AREA, SCENES, BAD_SCENES, BAD_FRAME)}),
    Call("lake/storage.py copy", (READ, READ_VERSION), {AIRFLOW: (OBJECT,)}),
    Call("lake/storage.py copy", (WRITE, ABORT), {AIRFLOW: (BAD_OBJECT,)}),
    Call("lake/storage.py delete_object", (CLEAR,), {AIRFLOW: (SCENES, BAD_SCENES)}),
    Call("lake/storage.py list_objects_v2", (LIST,), {OPERATOR: (QUARANTINE, LAKE), METRICS: (QUARANTINE,)}),
    Call("ops/deployment.py head_object", (READ,), {OPERATOR: (MANIFEST,)}),
    # Forgetting a drive, and the search for what is left of it.
    Call("ops/erasure/buckets.py list_object_versions", ("s3:ListBucketVersions",), {ERASER: BUCKETS}),
    Call("ops/erasure/buckets.py list_multipart_uploads", ("s3:ListBucketMultipartUploads",), {ERASER: BUCKETS}),
    Call("ops/erasure/buckets.py delete_objects", ("s3:DeleteObjectVersion",), {ERASER: EVERYTHING}),
    Call("ops/erasure/buckets.py abort_multipart_upload", (ABORT,), {ERASER: EVERYTHING}),
    Call("ops/erasure/exempt.py get_object_retention", ("s3:GetObjectRetention",), {ERASER: EVERYTHING}),
    Call("ops/erasure/exempt.py describe_continuous_backups", ("dynamodb:DescribeContinuousBackups",), {ERASER: (LEDGER,)}),
    Call("ops/erasure/exempt.py get_queue_attributes", ("sqs:GetQueueAttributes",), {ERASER: (EVENTS, WORK)}),
    Call("ops/erasure/forget.py delete_message", ("sqs:DeleteMessage",), {ERASER: (EVENTS_DEAD, DEAD)}),
    Call("scenes/accounting/drive_sources.py list_object_versions", ("s3:ListBucketVersions",), {
        OPERATOR: (RAW,), METRICS: (RAW,)}),
    Call("scenes/accounting/known_drives.py list_object_versions", ("s3:ListBucketVersions",), {OPERATOR: (RAW,)}),
    Call("fleet/uploader.py upload_fileobj", (WRITE, ABORT, "s3:ListMultipartUploadParts"), {VEHICLE: (f"{RAW}/car-1/d/x",)}),
    Call("fleet/uploader.py head_object", (READ,), {VEHICLE: (f"{RAW}/car-1/d/x",)}),
    Call("fleet/uploader.py head_object", (LIST,), {VEHICLE: (RAW,)}),
    Call("fleet/uploader.py head_bucket", (LIST,), {VEHICLE: (RAW,)}),
    # Maintenance: the sweep of the lake and quarantine buckets.
    Call("lake/storage.py get_object", (READ,), {MAINTENANCE: (LISTING,)}),
    Call("lake/storage.py get_object", (LIST,), {MAINTENANCE: (LAKE,)}),
    Call("lake/storage.py put_object", (WRITE,), {MAINTENANCE: (LISTING,)}),
    Call("ops/maintenance/swept_bucket.py list_object_versions", ("s3:ListBucketVersions",), {MAINTENANCE: (LAKE, QUARANTINE)}),
    Call("ops/maintenance/swept_bucket.py list_multipart_uploads", ("s3:ListBucketMultipartUploads",), {MAINTENANCE: (LAKE, QUARANTINE)}),
    Call("ops/maintenance/swept_bucket.py abort_multipart_upload", (ABORT,), {MAINTENANCE: (SCENES, BASELINE, BAD_OBJECT)}),
    Call("ops/maintenance/swept_bucket.py delete_objects", ("s3:DeleteObjectVersion",), {
        MAINTENANCE: (SCENES, METADATA, KEPT, WORK_AREA, INPUT, LISTING, BAD_SCENES, BAD_FRAME, BAD_OBJECT, BAD_DRIVE)}),
    # What libraries call: Lambda's poller, and Iceberg through pyarrow's S3, in multipart uploads.
    Call("AWS Lambda", ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), {REGISTER: (EVENTS,)}),
    Call("pyiceberg commit", (READ, WRITE, CLEAR, ABORT), {AIRFLOW: (METADATA, SCENES), ERASER: (METADATA, SCENES)}),
    Call("pyiceberg commit", (READ, WRITE, ABORT), {MAINTENANCE: (METADATA, SCENES)}),
    Call("pyiceberg commit", (CLEAR,), {MAINTENANCE: (SCENES,)}),
    Call("pyiceberg scan", (READ,), dict.fromkeys((AIRFLOW, OPERATOR, METRICS, MAINTENANCE, ERASER), (METADATA, SCENES, RECORDS))),
)  # fmt: skip
LIBRARIES = {"AWS Lambda", "pyiceberg commit", "pyiceberg scan"}


@cache
def methods() -> frozenset[str]:
    """Every method of the clients of S3, SQS and DynamoDB that calls AWS."""
    found = set(MANAGED)
    for service in ("s3", "sqs", "dynamodb"):
        client: Any = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        found |= set(client.meta.method_to_api_mapping)
    return frozenset(found)


def client_calls(path: Path) -> Iterator[str]:
    """The methods of boto3 clients that a module calls; of a paginator, what it pages through."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        if name not in CLIENTS:
            continue
        if node.func.attr == "get_paginator":
            argument = node.args[0]
            assert isinstance(argument, ast.Constant)
            yield str(argument.value)
        elif node.func.attr in methods():
            yield node.func.attr


def test_the_table_has_every_call_of_the_code_and_no_other() -> None:
    found = {
        f"{path.relative_to(ROOT)} {method}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in LOCAL_ONLY
        for method in client_calls(path)
    }
    assert found == {call.place for call in CALLS} - LIBRARIES


class Grant(NamedTuple):
    role: str
    action: str
    resource: str


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def grants() -> tuple[Grant, ...]:
    """What the template allows, but for the functions' own logs."""
    return tuple(
        Grant(role, action, str(template().resolve(resource)))
        for role, statements in ROLES.items()
        for statement in statements
        if statement["Sid"] != "Log"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    )


def matches(grant: Grant, role: str, action: str, arn: str) -> bool:
    resource = grant.resource.replace("${credentials-iot:ThingName}", "car-1")
    return (grant.role, grant.action) == (role, action) and fnmatch.fnmatchcase(arn, resource)


NEEDED = [
    (call.place, role, action, arn) for call in CALLS for role, arns in call.by.items() for action in call.actions for arn in arns
]


@pytest.mark.parametrize("role", sorted({role for _, role, _, _ in NEEDED}))
def test_every_call_of_a_component_is_allowed_to_its_role(role: str) -> None:
    denied = [
        (place, action, arn)
        for place, by, action, arn in NEEDED
        if by == role and not any(matches(grant, role, action, arn) for grant in grants())
    ]
    assert denied == []


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_allows_nothing_that_its_component_does_not_do(role: str) -> None:
    unused = [
        grant
        for grant in grants()
        if grant.role == role and not any(matches(grant, by, action, arn) for _, by, action, arn in NEEDED)
    ]
    assert unused == []


@pytest.mark.parametrize("role", [EXECUTOR, METRICS, VEHICLE, OPERATOR])
def test_who_does_not_commit_writes_no_metadata_and_clears_nothing(role: str) -> None:
    for action, arn in ((WRITE, METADATA), (CLEAR, SCENES), (CLEAR, OBJECT), (WRITE, RECORDS)):
        assert not any(matches(grant, role, action, arn) for grant in grants()), (action, arn)


def test_maintenance_deletes_versions_of_nothing_that_an_input_or_a_scene_names() -> None:
    for arn in (OBJECT, MANIFEST, BASELINE):
        for action in (CLEAR, "s3:DeleteObjectVersion", WRITE):
            assert not any(matches(grant, MAINTENANCE, action, arn) for grant in grants()), (action, arn)
