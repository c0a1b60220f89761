from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ingest import handler as entry
from ingest.environment import IngestSettings
from ingest.errors import DeliveryError, SweepError, UnversionedError
from ingest.event_source_mapping import LocalContext
from ingest.handler import handle, log_line
from ingest.ledger.records import ObjectHead
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork
from lake.errors import SettingsError
from lake.landing import DriveId
from tests.hostile_text import HOSTILE, unsafe
from tests.unit.ingest.envelopes import eventbridge, minio, sns_record
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


@pytest.mark.parametrize(
    "event",
    [None, [], "x", {}, {"Records": [None]}, {"Records": [{"eventSource": "aws:s3"}]}, {"key1": "value1"}, {"Records": 3}],
)
def test_a_direct_event_that_cannot_be_understood_fails_where_it_is_seen(event: object) -> None:
    with pytest.raises(DeliveryError, match="cannot be understood"):
        handle(event, World().registrar(), RAW)


def test_the_good_records_of_a_direct_event_are_registered_before_it_fails() -> None:
    world = filled()
    event = json.loads(s3_body(*FILES))
    event["Records"].insert(1, {"eventSource": "aws:s3"})
    with pytest.raises(DeliveryError, match=r"record 1: no text 's3\.bucket\.name'"):
        handle(event, world.registrar(), RAW)
    assert len(world.queue.sent) == 1, "evaluated, too"


ENVELOPES = {
    "eventbridge": lambda key: eventbridge(key),
    "sns": lambda key: sns_record(s3_body(key)),
    "sns around eventbridge": lambda key: sns_record(json.dumps(eventbridge(key))),
    "minio": lambda key: minio(key),
    "s3": lambda key: json.loads(s3_body(key)),
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("by_queue", [False, True])
def test_a_drive_is_queued_whatever_envelope_its_events_come_in(envelope: str, by_queue: bool) -> None:
    world = filled()
    for key in FILES:
        event = ENVELOPES[envelope](key)
        handle(sqs_event({"m": json.dumps(event)}) if by_queue else event, world.registrar(), RAW)
    assert [work.drive for work in world.queue.sent] == [DRIVE]


def test_a_direct_event_that_could_not_be_registered_raises_so_that_lambda_invokes_again() -> None:
    world = filled()
    break_head(world, SENSOR_KEYS[0])
    with pytest.raises(DeliveryError):
        handle(json.loads(s3_body(*SENSOR_KEYS)), world.registrar(), RAW)
    assert len(world.ledger.object_items) == 2


def test_a_batch_of_which_every_message_fails_is_reported_not_raised() -> None:
    world = filled()
    break_head(world, SENSOR_KEYS[0])
    assert failures(handle(sqs_event({"a": s3_body(SENSOR_KEYS[0]), "b": "garbage"}), world.registrar(), RAW)) == ["a", "b"]


def test_failures_of_both_kinds_are_reported_in_the_order_of_the_batch() -> None:
    world = filled()
    break_head(world, SENSOR_KEYS[1])
    read = world.objects.read

    def maybe(head: ObjectHead, max_bytes: int) -> bytes:
        raise EndpointConnectionError(endpoint_url="http://s3") if head.key == DRIVE.manifest_key else AssertionError(read)

    world.objects.read = maybe  # type: ignore[method-assign]
    other = DriveId("car-7", "d")
    world.objects.put(other.calibration_key, b"{}")
    bodies = {"d": s3_body(DRIVE.manifest_key), "c": "garbage", "b": s3_body(other.calibration_key), "a": s3_body(SENSOR_KEYS[1])}
    assert failures(handle(sqs_event(bodies), world.registrar(), RAW)) == ["d", "c", "a"]


def test_a_drive_is_evaluated_once_however_many_messages_name_it() -> None:
    world = filled()
    registrar = world.registrar()
    evaluated: list[DriveId] = []
    evaluate = registrar.evaluate

    def counting(drive: DriveId) -> Any:
        evaluated.append(drive)
        return evaluate(drive)

    registrar.evaluate = counting  # type: ignore[method-assign, assignment]
    handle(sqs_event({key: s3_body(key) for key in FILES}), registrar, RAW)
    assert evaluated == [DRIVE]


@pytest.mark.parametrize("message_id", [None, 7])
def test_a_message_without_an_id_cannot_be_reported(message_id: Any) -> None:
    world = filled()
    event = sqs_event({"named": "garbage"})
    event["Records"].append({"messageId": message_id, "eventSource": "aws:sqs", "body": "garbage"})
    assert failures(handle(event, world.registrar(), RAW)) == ["named"]
    break_head(world, SENSOR_KEYS[0])
    event["Records"][1]["body"] = s3_body(SENSOR_KEYS[0])
    with pytest.raises(DeliveryError, match="without an id"):
        handle(event, world.registrar(), RAW)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines that the configured handler writes for the logged records."""
    written = [entry.logger.registered_formatter.format(record) for record in caplog.records]
    assert all("\n" not in line and line.isascii() for line in written)
    return [json.loads(line) for line in written]


def test_every_log_line_is_one_json_object(caplog: pytest.LogCaptureFixture) -> None:
    world = filled()
    with caplog.at_level(logging.INFO, "ingest"):
        handle(sqs_event({"m": s3_body(*FILES), "n": "garbage\n", "o": s3_body("nowhere")}), world.registrar(), RAW)
    lines = lines_of(caplog)
    assert {"object_registered", "work_sent", "message_unreadable"} <= {line["message"] for line in lines}
    [sent] = [line for line in lines if line["message"] == "work_sent"]
    assert (sent["service"], sent["level"], sent["drive"], sent["generation"]) == ("ingest", "INFO", str(DRIVE), 1)


def test_a_log_line_names_the_message_that_it_is_about() -> None:
    seen: list[tuple[str, Any]] = []

    class Keys(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), json.loads(entry.logger.registered_formatter.format(record)).get("message_id")))

    keys = Keys()
    entry.logger.addHandler(keys)
    try:
        handle(sqs_event({"m": s3_body(*FILES), "n": "garbage"}), filled().registrar(), RAW)
    finally:
        entry.logger.removeHandler(keys)
    assert {("object_registered", "m"), ("message_unreadable", "n"), ("work_sent", None)} <= set(seen)


def test_long_values_are_cut_but_a_traceback_less_so(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("x" * 50_000)
    except ValueError:
        entry.logger.exception("failed", key="ü" * 50_000, count=3, absent=None)
    [line] = lines_of(caplog)
    assert (line["key"], line["count"]) == ("ü" * entry.MAX_VALUE_CHARACTERS, 3)
    assert line["exception"].startswith("Traceback")
    assert len(line["exception"]) == entry.MAX_TRACEBACK_CHARACTERS


def test_the_function_needs_no_tracing_library() -> None:
    without = "import sys; sys.modules['aws_xray_sdk'] = None; import ingest.handler"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


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
    assert entry.handler(sqs_event({"m": s3_body(*FILES, stray, bucket="raw")}), LocalContext()) == {"batchItemFailures": []}
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


def test_the_sweep_function_finds_objects_without_an_event(deployed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, _ = deployed
    monkeypatch.setenv("SCENELAKE_RECONCILE_AFTER_S", "0")
    for key, body in FILES.items():
        s3.put_object(Bucket="raw", Key=key, Body=body)
    done = entry.sweep_handler({}, LocalContext())
    assert (done["listed"], done["reconciled"], done["failed"]) == (5, 5, 0)
    assert entry.sweep_handler({}, LocalContext())["reconciled"] == 0


def test_a_sweep_that_fails_in_part_says_so(deployed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, _ = deployed
    monkeypatch.setenv("SCENELAKE_RECONCILE_AFTER_S", "0")
    for key, body in FILES.items():
        s3.put_object(Bucket="raw", Key=key, Body=body)

    def broken(drive: DriveId, **_: bool) -> None:
        raise EndpointConnectionError(endpoint_url="http://x")

    monkeypatch.setattr(entry._service().registrar, "evaluate", broken)
    with pytest.raises(SweepError, match="1 steps failed"):
        entry.sweep_handler({}, LocalContext())


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


def test_a_log_line_is_printable_after_it_was_decoded() -> None:
    decoded = json.loads(log_line({"key": HOSTILE, "exception": f"Traceback\n{HOSTILE}"}))
    assert unsafe(decoded["key"]) == unsafe(decoded["exception"]) == set()
    assert decoded["exception"].startswith("Traceback\n")


@pytest.mark.parametrize("status", [None, "Suspended"])
def test_a_bucket_without_versioning_is_refused_until_it_has_it(deployed: Any, status: str | None) -> None:
    s3, _ = deployed
    if status is None:  # as a new bucket is
        s3.delete_bucket(Bucket="raw")
        s3.create_bucket(Bucket="raw")
    else:
        s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": status})
    for call in (
        lambda: entry.handler(sqs_event({"m": s3_body("x", bucket="raw")}), LocalContext()),
        lambda: entry.sweep_handler({}, LocalContext()),
    ):
        with pytest.raises(UnversionedError, match="versioning of the raw bucket raw is") as caught:
            call()
        assert "put-bucket-versioning --bucket raw" in (caught.value.hint or "")
    s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    assert entry.sweep_handler({}, LocalContext())["failed"] == 0


def test_an_object_without_a_version_id_is_refused_and_its_message_comes_back(deployed: Any, dynamodb: Any) -> None:
    s3, _ = deployed
    sound, stray = next(iter(FILES)), "notes.txt"
    s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Suspended"})
    for key in (sound, stray):
        s3.put_object(Bucket="raw", Key=key, Body=b"x")
    s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    assert s3.head_object(Bucket="raw", Key=sound).get("VersionId", "null") == "null"
    bodies = {name: s3_body(key, bucket="raw") for name, key in (("a", sound), ("b", stray))}
    answer = entry.handler(sqs_event(bodies), LocalContext())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["a", "b"]
    ledger = Ledger(dynamodb, table_arguments()["TableName"])
    assert (ledger.drive(DRIVE), list(ledger.refused())) == (None, [])
    s3.put_object(Bucket="raw", Key=sound, Body=b"x")
    assert entry.handler(sqs_event({"a": bodies["a"]}), LocalContext()) == {"batchItemFailures": []}
