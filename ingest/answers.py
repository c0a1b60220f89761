"""Fields of an answer of SQS, read as what they must be. botocore checks requests, not answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.errors import QueueError

MAX_SHOWN = 200


def mapping(answer: object, name: str, call: str) -> Mapping[str, Any]:
    """The object `name` of the answer to `call`.

    Raises:
        QueueError: There is none.
    """
    value = _field(answer, name)
    if not isinstance(value, Mapping):
        raise _odd(answer, name, call)
    return value


def listed(answer: object, name: str, call: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects `name`; SQS leaves out one that would be empty, and then the answer holds nothing else.

    Raises:
        QueueError: It is not a list of objects, or the answer holds something else in its place.
    """
    value = _field(answer, name)
    if value is None and isinstance(answer, Mapping) and not set(answer) - {"ResponseMetadata", name}:
        return ()
    if not isinstance(value, Sequence) or not all(isinstance(entry, Mapping) for entry in value):
        raise _odd(answer, name, call)
    return value


def text(answer: object, name: str, call: str) -> str:
    """The string `name`.

    Raises:
        QueueError: There is none.
    """
    value = _field(answer, name)
    if not isinstance(value, str):
        raise _odd(answer, name, call)
    return value


def integer(answer: object, name: str, call: str) -> int:
    """The number `name`, which SQS sends as a string of digits.

    Raises:
        QueueError: There is none.
    """
    value = _field(answer, name)
    digits = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not (digits.isascii() and digits.isdigit()):
        raise _odd(answer, name, call)
    return int(digits)


def _field(answer: object, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else None


def _odd(answer: object, name: str, call: str) -> QueueError:
    shown = {key: value for key, value in answer.items() if key != "ResponseMetadata"} if isinstance(answer, Mapping) else answer
    return QueueError(
        f"an answer to {call} has no usable {name!r}: {repr(shown)[:MAX_SHOWN]}",
        "check what answers at the endpoint: a proxy, or a load balancer under maintenance, can answer in place of SQS",
    )
