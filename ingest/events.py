"""Notifications of objects in every usual envelope, as values. An event is only a hint: the object's state is read from S3.

| comes from | has | key |
| --- | --- | --- |
| S3, also MinIO and Ceph | `Records`, each with `s3` | URL-encoded (Ceph: depends on the version, so both spellings are looked for) |
| EventBridge | `detail-type`, `detail` | as it is |
| SNS, to a function | `Records`, each with `Sns.Message` | as in the message |
| SNS, to a queue | `Type: Notification`, `Message`; nothing of that with raw delivery | as in the message |

Each may stand in the body of an SQS message, and SNS may carry any other. S3's test event holds nothing.

Sources: Amazon S3 User Guide, "Event message structure" and "Using EventBridge"; AWS Lambda Developer Guide, "Using Lambda with
Amazon SQS" and "with Amazon SNS"; MinIO, "Bucket notifications"; Ceph Object Gateway, "Bucket notifications".
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes import SQSRecord

from ingest.errors import EventError
from lake.landing import MAX_KEY_BYTES

MAX_BODY_BYTES = 1024 * 1024  # the size limit of an SQS message
MAX_RECORDS = 10_000  # the largest batch of an event-source mapping
MAX_ENVELOPES = 4  # SQS around SNS around EventBridge are three
MAX_QUOTED_CHARACTERS = 3 * MAX_KEY_BYTES
CREATED = "ObjectCreated:"
TEST_EVENT = "s3:TestEvent"
EVENTBRIDGE_CREATED = "Object Created"
SQS_SOURCE, SNS_SOURCE = "aws:sqs", "aws:sns"
S3_SOURCES = frozenset({"aws:s3", "minio:s3", "ceph:s3"})
UNSURE_OF_QUOTING = frozenset({"ceph:s3"})
SUBSCRIPTION = "SubscriptionConfirmation"


@dataclass(frozen=True, slots=True)
class ObjectNotice:
    """Something may have happened to `key` (decoded)."""

    bucket: str
    key: str
    event_name: str

    @property
    def created(self) -> bool:
        """True for every kind of ObjectCreated."""
        return self.event_name.removeprefix("s3:").startswith(CREATED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of one SQS message or direct event; `faults` says which parts of it are malformed."""

    notices: tuple[ObjectNotice, ...]
    faults: tuple[str, ...]


def is_sqs_batch(event: object) -> bool:
    """Whether an event is a batch of SQS messages; otherwise it is one notification, or nothing that can be understood."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not 0 < len(records) <= MAX_RECORDS:
        return False
    return all(isinstance(record, Mapping) and record.get("eventSource") == SQS_SOURCE for record in records)


def parse_message(message: SQSRecord) -> Delivery:
    """The notification in an SQS message. Never raises: what is malformed becomes a fault."""
    body = message.get("body")
    if not isinstance(body, str):
        return Delivery((), ("message has no text body",))
    try:
        document = _document(body, "body")
    except EventError as error:
        return Delivery((), (str(error),))
    return parse_notification(document)


def parse_notification(document: object) -> Delivery:
    """The notices in a notification, whatever its envelope. Never raises: what is malformed becomes a fault."""
    notices: list[ObjectNotice] = []
    faults: list[str] = []
    for found in _opened(document, MAX_ENVELOPES):
        if isinstance(found, EventError):
            faults.append(str(found))
        else:
            notices.append(found)
    return Delivery(tuple(notices), tuple(faults))


def _opened(document: object, envelopes: int) -> Iterator[ObjectNotice | EventError]:
    """What a document holds that may be in up to `envelopes` envelopes."""
    try:
        if envelopes == 0:
            raise EventError(f"event is in more than {MAX_ENVELOPES} envelopes")
        if not isinstance(document, Mapping):
            raise EventError(f"event is a {type(document).__name__}, not an object with Records")
        if document.get("Event") == TEST_EVENT:
            return
        if "detail-type" in document:
            yield _of_eventbridge(document)
        elif (kind := document.get("Type")) == SUBSCRIPTION:
            raise EventError(f"message of SNS is a {kind}: confirm it by hand")
        elif "Records" not in document and "Message" in document:
            yield from _opened(_document(_text(document, "Message"), "Message of SNS"), envelopes - 1)
        else:
            for position, record in enumerate(_records(document)):
                yield from _of_record(record, position, envelopes)
    except EventError as error:
        yield error


def _records(document: Mapping[str, Any]) -> list[Any]:
    records = document.get("Records")
    if not isinstance(records, list):
        raise EventError("event has no list Records, and is neither of EventBridge, of SNS, nor s3:TestEvent")
    if len(records) > MAX_RECORDS:
        raise EventError(f"event of {len(records)} records exceeds {MAX_RECORDS}")
    return records


def _of_record(record: object, position: int, envelopes: int) -> Iterator[ObjectNotice | EventError]:
    try:
        sns = isinstance(record, Mapping) and record.get("EventSource") == SNS_SOURCE
        if sns:
            message = _document(_text(record, "Sns.Message"), "Message of SNS")
            for found in _opened(message, envelopes - 1):
                yield EventError(f"record {position}: {found}") if isinstance(found, EventError) else found
            return
        source = _text(record, "eventSource")
        if source not in S3_SOURCES:
            raise EventError(f"event source {source[:80]!r} is not one of {', '.join(sorted(S3_SOURCES))}")
        bucket, quoted, name = (_text(record, path) for path in ("s3.bucket.name", "s3.object.key", "eventName"))
        yield from (ObjectNotice(bucket, key, name) for key in _keys(quoted, unsure=source in UNSURE_OF_QUOTING))
    except EventError as error:
        yield EventError(f"record {position}: {error}")


def _keys(quoted: str, *, unsure: bool) -> list[str]:
    """The keys that an event may mean: of a store that does not always quote, both readings that are keys."""
    if not unsure:
        return [decode_key(quoted)]
    found: set[str] = set()
    faults: list[EventError] = []
    for read in (decode_key, _checked):
        try:
            found.add(read(quoted))
        except EventError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return sorted(found)


def _of_eventbridge(event: Mapping[str, Any]) -> ObjectNotice:
    source, kind = _text(event, "source"), _text(event, "detail-type")
    if source != "aws.s3":
        raise EventError(f"event of EventBridge has the source {source[:80]!r}, not aws.s3")
    key = _checked(_text(event, "detail.object.key"))
    reason = event["detail"].get("reason")
    created = f"{CREATED}{reason if isinstance(reason, str) else ''}"
    return ObjectNotice(_text(event, "detail.bucket.name"), key, created if kind == EVENTBRIDGE_CREATED else kind)


def _document(text: str, what: str) -> Any:
    if len(text) > MAX_BODY_BYTES:
        raise EventError(f"{what} of {len(text)} characters exceeds {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EventError(f"{what} is not JSON: {error}") from error


def _text(document: object, path: str) -> str:
    """A member that must be a string, by its dotted path."""
    value: object = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str):
        raise EventError(f"no text {path!r}")
    return value


def decode_key(quoted: str) -> str:
    """The object key behind an event's URL-encoded key (`+` is a blank, `%2F` and `/` are both a slash).

    Raises:
        EventError: Longer than a key can be, or not UTF-8.
    """
    if len(quoted) > MAX_QUOTED_CHARACTERS:
        raise EventError(f"key of {len(quoted)} characters exceeds {MAX_QUOTED_CHARACTERS}")
    try:
        return _checked(unquote_plus(quoted, errors="strict"))
    except UnicodeError as error:
        raise EventError(f"key {quoted[:80]!r} is not UTF-8: {error}") from error


def _checked(key: str) -> str:
    try:
        size_bytes = len(key.encode())
    except UnicodeError as error:
        raise EventError(f"key {key[:80]!r} is not UTF-8: {error}") from error
    if not 0 < size_bytes <= MAX_KEY_BYTES:
        raise EventError(f"key of {size_bytes} bytes is not between 1 and {MAX_KEY_BYTES}")
    return key
