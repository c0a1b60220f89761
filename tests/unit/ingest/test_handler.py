from __future__ import annotations

import json
import logging
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ingest import handler as entry
from ingest.environment import IngestSettings
from ingest.errors import DeliveryError, SweepError
from ingest.handler import handle
from ingest.ledger.ledger import Ledger
from ingest.ledger.records import ObjectHead
from ingest.ledger.states import DriveState
from ingest.ledger.work import DriveWork
from lake.errors import SettingsError
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, RAW, World, drive_files, s3_body, sqs_event
from tests.unit.localstack.stack_tools import table_arguments

FILES = drive_files()
SENSOR_KEYS = [key for key in FILES if key.endswith(".mcap")]


def filled() -> World:
    world = World()
    for key, body in FILES.items():
        world.objects.put(key, body)
    return world


def break_head(world: World, broken: str) -> None:
    head = world.objects.head

    def maybe(key: str) -> ObjectHead | None:
        if key == broken:
            raise EndpointConnectionError(endpoint_url="http://s3")
        return head(key)

    world.objects.head = maybe  # type: ignore[method-assign]


def failures(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_only_the_message_that_failed_comes_back() -> None:
    world = filled()
    break_head(world, SENSOR_KEYS[1])
    bodies = {
        "one": s3_body(SENSOR_KEYS[0]),
        "two": s3_body(SENSOR_KEYS[2], SENSOR_KEYS[1]),
        "three": s3_body(DRIVE.calibration_key),
    }
    assert failures(handle(sqs_event(bodies), world.registrar(), RAW)) == ["two"]
    assert {key for _, key in world.ledger.object_items} == {SENSOR_KEYS[0], SENSOR_KEYS[2], DRIVE.calibration_key}


def test_every_message_of_a_drive_that_could_not_be_evaluated_comes_back() -> None:
    world = filled()
    other = DriveId("car-7", "d")
    for key, body in drive_files(other, 1).items():
        world.objects.put(key, body)
    read = world.objects.read

    def maybe(head: ObjectHead, max_bytes: int) -> bytes:
        if head.key == DRIVE.manifest_key:
            raise EndpointConnectionError(endpoint_url="http://s3")
        return read(head, max_bytes)

    world.objects.read = maybe  # type: ignore[method-assign]
    bodies = {"a": s3_body(*FILES), "b": s3_body(*drive_files(other, 1)), "c": s3_body(SENSOR_KEYS[0], other.manifest_key)}
    assert failures(handle(sqs_event(bodies), world.registrar(), RAW)) == ["a", "c"]
    assert [work.drive for work in world.queue.sent] == [other]


def test_good_records_beside_garbage_are_registered_and_the_message_goes_to_the_dead_letters() -> None:
    world = filled()
    body = json.loads(s3_body(*FILES))
    body["Records"].insert(1, {"eventSource": "aws:s3"})
    for _ in range(5):
        assert failures(handle(sqs_event({"mixed": json.dumps(body)}), world.registrar(), RAW)) == ["mixed"]
    assert len(world.queue.sent) == 1


@pytest.mark.parametrize("body", [s3_body("x.txt", bucket="another"), s3_body(SENSOR_KEYS[0], event_name="ObjectRemoved:Delete")])
def test_what_is_not_ours_is_passed_over(body: str) -> None:
    world = filled()
    assert handle(sqs_event({"m": body}), world.registrar(), RAW) == {"batchItemFailures": []}
    assert world.ledger.object_items == {}


@pytest.mark.parametrize("event", [None, [], "x", {}, {"Records": [None]}, {"Records": [{"eventSource": "aws:s3"}]}])
def test_garbage_never_raises(event: object) -> None:
    assert handle(event, World().registrar(), RAW) == {"batchItemFailures": []}


def test_a_direct_event_that_could_not_be_registered_raises_so_that_lambda_invokes_again() -> None:
    world = filled()
    break_head(world, SENSOR_KEYS[0])
    with pytest.raises(DeliveryError):
        handle(json.loads(s3_body(*SENSOR_KEYS)), world.registrar(), RAW)
    assert len(world.ledger.object_items) == 2


def test_every_log_line_is_one_json_object(caplog: pytest.LogCaptureFixture) -> None:
    world = filled()
    with caplog.at_level(logging.INFO, "ingest"):
        handle(sqs_event({"m": s3_body(*FILES), "n": "garbage\n", "o": s3_body("nowhere")}), world.registrar(), RAW)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert {"object_registered", "work_sent", "message_unreadable"} <= {line["event"] for line in lines}


@pytest.fixture
def deployed(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The environment of a deployed function, with buckets, table and queue behind it."""
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    for name in ("raw", "lake", "quarantine"):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        monkeypatch.setenv(f"SCENELAKE_{name.upper()}_BUCKET", name)
    monkeypatch.setenv("SCENELAKE_LEDGER_TABLE", table_arguments()["TableName"])
    monkeypatch.setenv("SCENELAKE_DRIVE_WORK_URL", sqs.create_queue(QueueName="work")["QueueUrl"])
    entry._service.cache_clear()
    yield s3, sqs
    entry._service.cache_clear()


def test_the_whole_function_on_its_real_adapters(deployed: Any, dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, sqs = deployed
    stray = f"{DRIVE}/ü b+.pkl"
    for key, body in {**FILES, stray: b"\x80"}.items():
        s3.put_object(Bucket="raw", Key=key, Body=body)
    assert entry.handler(sqs_event({"m": s3_body(*FILES, stray, bucket="raw")}), None) == {"batchItemFailures": []}
    ledger = Ledger(dynamodb, table_arguments()["TableName"])
    found = ledger.drive(DRIVE)
    assert found is not None
    assert (found.state, found.unsent, found.settling) == (DriveState.QUEUED, False, False)
    [message] = sqs.receive_message(QueueUrl=entry._service().settings.drive_work_url, MaxNumberOfMessages=10)["Messages"]
    assert DriveWork.parse(message["Body"]).revision == found.revision
    [refused] = ledger.refused()
    version = s3.head_object(Bucket="raw", Key=stray)["VersionId"]
    assert refused.payload_uri == f"s3://quarantine/refused/{stray}/{version}"
    assert s3.get_object(Bucket="quarantine", Key=f"refused/{stray}/{version}")["Body"].read() == b"\x80"
    assert s3.list_objects_v2(Bucket="lake")["Contents"][0]["Key"] == f"inputs/{DRIVE}/{found.revision}.json"


def test_the_sweep_function_finds_what_no_event_told_of(deployed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, _ = deployed
    monkeypatch.setenv("SCENELAKE_RECONCILE_AFTER_S", "0")
    for key, body in FILES.items():
        s3.put_object(Bucket="raw", Key=key, Body=body)
    done = entry.sweep_handler({}, None)
    assert (done["listed"], done["reconciled"], done["failed"]) == (5, 5, 0)
    assert entry.sweep_handler({}, None)["reconciled"] == 0


def test_a_sweep_that_fails_in_part_says_so(deployed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, _ = deployed
    monkeypatch.setenv("SCENELAKE_RECONCILE_AFTER_S", "0")
    for key, body in FILES.items():
        s3.put_object(Bucket="raw", Key=key, Body=body)

    def broken(drive: DriveId, **_: bool) -> None:
        raise EndpointConnectionError(endpoint_url="http://x")

    monkeypatch.setattr(entry._service().registrar, "evaluate", broken)
    with pytest.raises(SweepError, match="1 steps failed"):
        entry.sweep_handler({}, None)


def test_settings_name_everything_that_is_absent() -> None:
    with pytest.raises(SettingsError, match=r"SCENELAKE_RAW_BUCKET.*SCENELAKE_DRIVE_WORK_URL"):
        IngestSettings.from_env({})


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e99"])
def test_a_duration_that_is_none_is_refused(value: str) -> None:
    names = ("RAW_BUCKET", "LAKE_BUCKET", "QUARANTINE_BUCKET", "LEDGER_TABLE", "DRIVE_WORK_URL")
    env = {f"SCENELAKE_{name}": "x" for name in names}
    assert IngestSettings.from_env(env | {"SCENELAKE_OVERDUE_AFTER_S": "1.5"}).limits.overdue_after_s == 1.5
    with pytest.raises(SettingsError, match="SCENELAKE_OVERDUE_AFTER_S"):
        IngestSettings.from_env(env | {"SCENELAKE_OVERDUE_AFTER_S": value})
