"""The requests that the embedded endpoint serialises, tested without a server."""

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
SHORT_S, LONG_S = 0.2, 20.0  # for a meeting that must not be, and for one that must, on a busy machine


class Meeting:
    """An application that reports whether two requests overlapped (`together`)."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._both = threading.Barrier(2)
        self.together = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            self._both.wait(self._patience_s)
        except threading.BrokenBarrierError:
            self._both.reset()
            return [b"alone"]
        self.together += 1
        return [b"met"]


def met(one: dict[str, Any], other: dict[str, Any], patience_s: float) -> int:
    inner = Meeting(patience_s)
    application = AtomicWrites(inner)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda environ: application(environ, lambda *_: None), (one, other)))
    return inner.together


@pytest.mark.parametrize("one", [DYNAMODB, NEW_OBJECT, SAME_OBJECT])
@pytest.mark.parametrize("other", [DYNAMODB, NEW_OBJECT, SAME_OBJECT])
def test_what_aws_makes_atomic_never_meets(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert met(one, other, SHORT_S) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"REQUEST_METHOD": "PUT"},
        {"REQUEST_METHOD": "GET", "HTTP_IF_MATCH": '"etag"'},
        {"REQUEST_METHOD": "POST", "HTTP_X_AMZ_TARGET": "AmazonSQS.SendMessage"},
    ],
)
def test_everything_else_runs_in_parallel(other: dict[str, Any]) -> None:
    assert met(DYNAMODB, other, LONG_S) == 2
    assert met(other, other, LONG_S) == 2
