from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aws_lambda_powertools.utilities.data_classes import SQSRecord
from hypothesis import given
from hypothesis import strategies as st

from ingest.events import (
    MAX_BODY_BYTES,
    MAX_ENVELOPES,
    Delivery,
    decode_key,
    is_sqs_batch,
    parse_message,
    parse_notification,
)
from tests.unit.ingest.envelopes import eventbridge, minio, sns_body, sns_record
from tests.unit.ingest.ingest_fakes import RAW, s3_body, sqs_event

KEY = "car-1/d/lidar/lidar_top/1700000000000000000.mcap"


def s3_event(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(s3_body(KEY))
    event["Records"][0] |= changes
    return event


def parse_body(body: object) -> Delivery:
    return parse_message(SQSRecord({"messageId": "m", "body": body, "eventSource": "aws:sqs"}))


def test_direct_event_with_everything_that_aws_sends() -> None:
    event = s3_event(eventVersion="2.1", awsRegion="us-east-1", userIdentity={"principalId": "p"})
    event["Records"][0]["s3"]["object"] |= {"versionId": "v1", "sequencer": "0055AED6DCD90281E5"}
    assert not is_sqs_batch(event)
    delivery = parse_notification(event)
    [notice] = delivery.notices
    assert delivery.faults == ()
    assert (notice.bucket, notice.key) == (RAW, KEY)
    assert notice.created


def test_wrapped_event_of_an_emulator_without_version_and_sequencer() -> None:
    assert is_sqs_batch(sqs_event({"m1": s3_body(KEY)}))
    assert [notice.key for notice in parse_body(s3_body(KEY)).notices] == [KEY]


def test_several_records_in_one_message() -> None:
    assert [notice.key for notice in parse_body(s3_body("a/b/c", "d")).notices] == ["a/b/c", "d"]


def test_a_mixture_of_sources_is_not_a_batch() -> None:
    event = sqs_event({"m1": s3_body(KEY)})
    event["Records"] += s3_event()["Records"]
    assert not is_sqs_batch(event)
    delivery = parse_notification(event)
    assert [notice.key for notice in delivery.notices] == [KEY]
    assert delivery.faults == ("record 0: event source 'aws:sqs' is not one of aws:s3, ceph:s3, minio:s3",)


@pytest.mark.parametrize("event", [{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": RAW}])
def test_test_event_holds_nothing(event: dict[str, Any]) -> None:
    assert not is_sqs_batch(event)
    for delivery in (parse_notification(event), parse_body(json.dumps(event))):
        assert (delivery.notices, delivery.faults) == ((), ())


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("not json", "body is not JSON"),
        ("[" * 100_000, "body is not JSON"),
        ("[]", "not an object with Records"),
        ("{}", "no list Records"),
        ('{"Records": 3}', "no list Records"),
        ('{"Records": [3]}', "no text 'eventSource'"),
        ('{"Records": [{"eventSource": "aws:sns"}]}', "is not one of aws:s3"),
        ('{"Records": [{"eventSource": "aws:s3"}]}', "no text 's3.bucket.name'"),
        ('{"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}, "object": []}}]}', "no text 's3.object.key'"),
        ('{"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": 3}, "object": {}}}]}', "no text 's3.bucket.name'"),
        (json.dumps({"Records": [{}] * 10_001}), "exceeds 10000"),
        ("x" * (MAX_BODY_BYTES + 1), "exceeds 1048576 bytes"),
        (None, "no text body"),
        (s3_body("k" * 1025), "not between 1 and 1024"),
        (s3_body(""), "not between 1 and 1024"),
    ],
)
def test_garbage_is_a_fault_of_its_message(body: Any, fault: str) -> None:
    delivery = parse_body(body)
    assert delivery.notices == ()
    assert len(delivery.faults) == 1
    assert fault in delivery.faults[0]


def test_a_bad_record_leaves_its_neighbours_in_the_same_message() -> None:
    event = json.loads(s3_body("a", "b", "c"))
    event["Records"][1]["s3"]["object"]["key"] = "%ff"
    delivery = parse_body(json.dumps(event))
    assert [notice.key for notice in delivery.notices] == ["a", "c"]
    assert len(delivery.faults) == 1
    assert delivery.faults[0].startswith("record 1: key '%ff' is not UTF-8")


@pytest.mark.parametrize("event", [None, 3, [], "x", {}, {"Records": {}}])
def test_what_is_no_event_is_no_batch_and_a_fault(event: object) -> None:
    assert not is_sqs_batch(event)
    delivery = parse_notification(event)
    assert delivery.notices == ()
    assert "Records" in delivery.faults[0]


ODD = "car 1/ü+%41/a&b.mcap"


@pytest.mark.parametrize("key", [KEY, ODD])
@pytest.mark.parametrize(
    "envelope",
    [eventbridge, minio, lambda key: sns_record(s3_body(key)), lambda key: sns_record(json.dumps(eventbridge(key))),
     lambda key: json.loads(sns_body(s3_body(key))), lambda key: json.loads(sns_body(json.dumps(eventbridge(key))))],
    ids=["eventbridge", "minio", "sns", "sns-eventbridge", "sns-queue", "sns-queue-eventbridge"],
)  # fmt: skip
def test_every_usual_envelope_directly_and_in_a_message(envelope: Any, key: str) -> None:
    event = envelope(key)
    assert not is_sqs_batch(event)
    for delivery in (parse_notification(event), parse_body(json.dumps(event))):
        [notice] = delivery.notices
        assert (delivery.faults, notice.bucket, notice.key, notice.created) == ((), RAW, key, True)


def test_of_ceph_both_spellings_of_a_key_are_looked_for() -> None:
    assert {notice.key for notice in parse_notification(minio(ODD, "ceph:s3")).notices} == {ODD, quote_plus(ODD)}
    assert [notice.key for notice in parse_notification(minio("a/b.mcap", "ceph:s3")).notices] == ["a%2Fb.mcap", "a/b.mcap"]


def test_of_ceph_a_key_that_is_one_in_one_spelling_alone_is_found() -> None:
    event = minio("a", "ceph:s3")
    for quoted, keys in (("a%ff.mcap", ["a%ff.mcap"]), ("%C3%A9" * 300, ["é" * 300])):
        event["Records"][0]["s3"]["object"]["key"] = quoted
        delivery = parse_notification(event)
        assert (delivery.faults, [notice.key for notice in delivery.notices]) == ((), keys)
    event["Records"][0]["s3"]["object"]["key"] = ""
    assert parse_notification(event).faults == ("record 0: key of 0 bytes is not between 1 and 1024",)


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (eventbridge(KEY) | {"source": "aws.ec2"}, "source 'aws.ec2', not aws.s3"),
        (eventbridge(KEY) | {"detail": {}}, "no text 'detail.object.key'"),
        (eventbridge(KEY) | {"detail": None}, "no text 'detail.object.key'"),
        (eventbridge(KEY) | {"detail-type": 3}, "no text 'detail-type'"),
        (eventbridge("k" * 1025), "not between 1 and 1024"),
        (eventbridge("\ud800"), "is not UTF-8"),
        (sns_record("not json"), "record 0: Message of SNS is not JSON"),
        (sns_record('{"Records": [3]}'), "record 0: record 0: no text 'eventSource'"),
        ({"Records": [{"EventSource": "aws:sns"}]}, "record 0: no text 'Sns.Message'"),
        (
            {"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe"},
            "a SubscriptionConfirmation: confirm it",
        ),
        ({"Type": ["Notification"], "Message": "not json"}, "is not JSON"),
        ({"Message": 3}, "no text 'Message'"),
    ],
)
def test_what_is_malformed_in_an_envelope_is_a_fault(event: dict[str, Any], fault: str) -> None:
    delivery = parse_notification(event)
    assert delivery.notices == ()
    [found] = delivery.faults
    assert fault in found


def test_envelopes_without_end_are_a_fault() -> None:
    body = s3_body(KEY)
    for depth in range(8):
        delivery = parse_body(body)
        assert len(delivery.notices) == (depth < MAX_ENVELOPES)
        assert len(delivery.faults) == (depth >= MAX_ENVELOPES)
        body = sns_body(body)


@pytest.mark.parametrize(
    "wrap",
    [lambda event: event, lambda event: sns_record(json.dumps(event)), lambda event: json.loads(sns_body(json.dumps(event)))],
)
def test_a_test_event_holds_nothing_in_any_envelope(wrap: Any) -> None:
    assert parse_notification(wrap({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": RAW})) == Delivery((), ())


@pytest.mark.parametrize("kind", ["Object Deleted", "Object Tags Added", "Object Restore Completed"])
def test_other_events_of_eventbridge_create_nothing(kind: str) -> None:
    [notice] = parse_notification(eventbridge(KEY, kind)).notices
    assert (notice.created, notice.event_name) == (False, kind)


@pytest.mark.parametrize(
    ("name", "created"), [("ObjectCreated:Copy", True), ("s3:ObjectCreated:Put", True), ("ObjectRemoved:Delete", False)]
)
def test_created(name: str, created: bool) -> None:
    [notice] = parse_body(s3_body(KEY, event_name=name)).notices
    assert notice.created is created


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_decoding_inverts_every_way_of_quoting(key: str) -> None:
    assert decode_key(quote_plus(key)) == key
    assert decode_key(quote_plus(key, safe="/")) == key
    assert decode_key(quote(key)) == key


FIELDS = st.sampled_from(
    [
        "Records",
        "s3",
        "object",
        "bucket",
        "key",
        "name",
        "eventSource",
        "eventName",
        "EventSource",
        "Sns",
        "Message",
        "detail",
        "detail-type",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)))
def test_no_document_makes_the_parser_raise(document: Any) -> None:
    delivery = parse_body(json.dumps(document))
    assert all(notice.key for notice in delivery.notices)
    assert all(delivery.faults)
    assert parse_notification(document) == delivery
