"""S3 event notifications, direct or wrapped by SQS, as values. Nothing here believes what a record says about an object.

Source: Amazon S3 User Guide, "Event message structure"; AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from ingest.errors import EventError
from lake.landing import MAX_KEY_BYTES

MAX_BODY_BYTES = 1024 * 1024  # the most that SQS carries
MAX_RECORDS = 10_000  # the largest batch of an event-source mapping
MAX_QUOTED_CHARACTERS = 3 * MAX_KEY_BYTES
CREATED = "ObjectCreated:"
TEST_EVENT = "s3:TestEvent"


@dataclass(frozen=True, slots=True)
class ObjectNotice:
    """Something may have happened to `key` (decoded). `version_id` and `sequencer` are None where an emulator sends none."""

    bucket: str
    key: str
    event_name: str
    version_id: str | None = None
    sequencer: str | None = None

    @property
    def created(self) -> bool:
        """True for every kind of ObjectCreated."""
        return self.event_name.removeprefix("s3:").startswith(CREATED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came with one SQS message, or with a direct event (`message_id` None). `faults` tells what was not understood."""

    message_id: str | None
    notices: tuple[ObjectNotice, ...]
    faults: tuple[str, ...]


def parse_event(event: object) -> tuple[Delivery, ...]:
    """Read what Lambda was given: an SQS batch, a direct S3 event, or S3's test event (which holds nothing).

    Bad content becomes a fault of its own delivery; the others stay whole.

    Raises:
        EventError: The event is neither of the three, so that no delivery can be told apart.
    """
    records = _records(event)
    if all(isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs" for record in records) and records:
        return tuple(_from_message(record) for record in records)
    return (_from_notification(None, event),)


def parse_body(body: object) -> tuple[tuple[ObjectNotice, ...], tuple[str, ...]]:
    """Notices and faults of one SQS message body."""
    delivery = _from_body(None, body)
    return delivery.notices, delivery.faults


def _records(event: object) -> list[Any]:
    if not isinstance(event, Mapping):
        raise EventError(f"event is a {type(event).__name__}, not an object with Records")
    if event.get("Event") == TEST_EVENT:
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise EventError("event has no list Records and is no s3:TestEvent")
    if len(records) > MAX_RECORDS:
        raise EventError(f"event of {len(records)} records exceeds {MAX_RECORDS}")
    return records


def _from_message(record: Mapping[str, Any]) -> Delivery:
    message_id = record.get("messageId")
    return _from_body(message_id if isinstance(message_id, str) else None, record.get("body"))


def _from_body(message_id: str | None, body: object) -> Delivery:
    if not isinstance(body, str):
        return Delivery(message_id, (), ("message has no text body",))
    if len(body) > MAX_BODY_BYTES:
        return Delivery(message_id, (), (f"body of {len(body)} characters exceeds {MAX_BODY_BYTES} bytes",))
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Delivery(message_id, (), (f"body is not JSON: {error}",))
    return _from_notification(message_id, document)


def _from_notification(message_id: str | None, document: object) -> Delivery:
    try:
        records = _records(document)
    except EventError as error:
        return Delivery(message_id, (), (str(error),))
    notices, faults = [], []
    for position, record in enumerate(records):
        try:
            notices.append(_notice(record))
        except EventError as error:
            faults.append(f"record {position}: {error}")
    return Delivery(message_id, tuple(notices), tuple(faults))


def _notice(record: object) -> ObjectNotice:
    if _text(record, "eventSource") != "aws:s3":
        raise EventError(f"event source {_text(record, 'eventSource')[:80]!r} is not aws:s3")
    described = _mapping(record, "s3")
    found = _mapping(described, "object")
    return ObjectNotice(
        bucket=_text(_mapping(described, "bucket"), "name"),
        key=decode_key(_text(found, "key")),
        event_name=_text(record, "eventName"),
        version_id=_optional_text(found, "versionId"),
        sequencer=_optional_text(found, "sequencer"),
    )


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


def _mapping(parent: object, name: str) -> Mapping[str, Any]:
    value = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(value, Mapping):
        raise EventError(f"no object {name!r}")
    return value


def _text(parent: object, name: str) -> str:
    value = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(value, str):
        raise EventError(f"no text {name!r}")
    return value


def _optional_text(parent: Mapping[str, Any], name: str) -> str | None:
    value = parent.get(name)
    return value if isinstance(value, str) else None
