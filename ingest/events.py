"""S3 event notifications, direct or wrapped by SQS, as values. An event is only a hint: the object's state is read from S3.

Shapes: `aws_lambda_powertools.utilities.data_classes`. Source: Amazon S3 User Guide, "Event message structure"; AWS Lambda
Developer Guide, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes import S3Event, SQSRecord
from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord

from ingest.errors import EventError
from lake.landing import MAX_KEY_BYTES

MAX_BODY_BYTES = 1024 * 1024  # the size limit of an SQS message
MAX_RECORDS = 10_000  # the largest batch of an event-source mapping
MAX_QUOTED_CHARACTERS = 3 * MAX_KEY_BYTES
CREATED = "ObjectCreated:"
TEST_EVENT = "s3:TestEvent"

_FIELDS: dict[str, Callable[[S3EventRecord], object]] = {
    "eventSource": lambda record: record.event_source,
    "eventName": lambda record: record.event_name,
    "s3.bucket.name": lambda record: record.s3.bucket.name,
    "s3.object.key": lambda record: record.s3.get_object.key,
}


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
    """Whether an event is a batch of SQS messages; otherwise it is a direct S3 event, or S3's test event.

    Raises:
        EventError: The event has none of these forms.
    """
    records = _records(event)
    return bool(records) and all(isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs" for record in records)


def parse_message(message: SQSRecord) -> Delivery:
    """The S3 notification in an SQS message. Never raises: what is malformed becomes a fault."""
    body = message.get("body")
    if not isinstance(body, str):
        return Delivery((), ("message has no text body",))
    if len(body) > MAX_BODY_BYTES:
        return Delivery((), (f"body of {len(body)} characters exceeds {MAX_BODY_BYTES} bytes",))
    try:
        document = message.json_body
    except (ValueError, RecursionError) as error:
        return Delivery((), (f"body is not JSON: {error}",))
    return parse_notification(document)


def parse_notification(document: object) -> Delivery:
    """An S3 notification, or S3's test event, which holds nothing. Never raises: what is malformed becomes a fault."""
    try:
        records = S3Event({"Records": _records(document)}).records
    except EventError as error:
        return Delivery((), (str(error),))
    notices, faults = [], []
    for position, record in enumerate(records):
        try:
            notices.append(_notice(record))
        except EventError as error:
            faults.append(f"record {position}: {error}")
    return Delivery(tuple(notices), tuple(faults))


def _records(event: object) -> list[Any]:
    if not isinstance(event, Mapping):
        raise EventError(f"event is a {type(event).__name__}, not an object with Records")
    if event.get("Event") == TEST_EVENT:
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise EventError("event has no list Records and is not s3:TestEvent")
    if len(records) > MAX_RECORDS:
        raise EventError(f"event of {len(records)} records exceeds {MAX_RECORDS}")
    return records


def _notice(record: S3EventRecord) -> ObjectNotice:
    source = _text(record, "eventSource")
    if source != "aws:s3":
        raise EventError(f"event source {source[:80]!r} is not aws:s3")
    return ObjectNotice(
        bucket=_text(record, "s3.bucket.name"),
        key=decode_key(_text(record, "s3.object.key")),
        event_name=_text(record, "eventName"),
    )


def _text(record: S3EventRecord, name: str) -> str:
    """A field that must be a string; the data classes check nothing."""
    try:
        value = _FIELDS[name](record)
    except (KeyError, TypeError, AttributeError):
        value = None
    if not isinstance(value, str):
        raise EventError(f"no text {name!r}")
    return value


def decode_key(quoted: str) -> str:
    """The object key behind an event's URL-encoded key (`+` is a blank, `%2F` and `/` are both a slash).

    Raises:
        EventError: Longer than a key can be, or not UTF-8.
    """
    if len(quoted) > MAX_QUOTED_CHARACTERS:
        raise EventError(f"key of {len(quoted)} characters exceeds {MAX_QUOTED_CHARACTERS}")
    try:
        key = unquote_plus(quoted, errors="strict")
        size_bytes = len(key.encode())
    except UnicodeError as error:
        raise EventError(f"key {quoted[:80]!r} is not UTF-8: {error}") from error
    if not 0 < size_bytes <= MAX_KEY_BYTES:
        raise EventError(f"key of {size_bytes} bytes is not between 1 and {MAX_KEY_BYTES}")
    return key
