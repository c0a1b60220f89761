"""Which requests the embedded endpoint answers one at a time, without a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from emulator import AtomicWrites

DYNAMODB = {"REQUEST_METHOD": "POST", "HTTP_X_AMZ_TARGET": "DynamoDB_20120810.UpdateItem"}
NEW_OBJECT = {"REQUEST_METHOD": "PUT", "HTTP_IF_NONE_MATCH": "*"}
SAME_OBJECT = {"REQUEST_METHOD": "PUT", "HTTP_IF_MATCH": '"etag"'}
PATIENCE_S = 0.3


class Meeting:
    """An application that answers whether another request came while it answered: `together` of two."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)
        self.together = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            self._both.wait(PATIENCE_S)
        except threading.BrokenBarrierError:
            self._both.reset()
            return [b"alone"]
        self.together += 1
        return [b"met"]


def met(one: dict[str, Any], other: dict[str, Any]) -> int:
    inner = Meeting()
    application = AtomicWrites(inner)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda environ: application(environ, lambda *_: None), (one, other)))
    return inner.together


@pytest.mark.parametrize("one", [DYNAMODB, NEW_OBJECT, SAME_OBJECT])
@pytest.mark.parametrize("other", [DYNAMODB, NEW_OBJECT, SAME_OBJECT])
def test_what_aws_makes_atomic_never_meets(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert met(one, other) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"REQUEST_METHOD": "PUT"},
        {"REQUEST_METHOD": "GET", "HTTP_IF_MATCH": '"etag"'},
        {"REQUEST_METHOD": "POST", "HTTP_X_AMZ_TARGET": "AmazonSQS.SendMessage"},
    ],
)
def test_everything_else_runs_in_parallel(other: dict[str, Any]) -> None:
    assert met(DYNAMODB, other) == 2
    assert met(other, other) == 2
