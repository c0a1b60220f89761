"""Keeps moto's memory proportional to what it stores. As installed, it grows with every request, reads included.

moto was made for tests that reset it. Its base class for models remembers every instance, for a dashboard and for `reset`, which
the embedded endpoint does not serve; a DynamoDB query copies the items that it returns, and each copy stays. A queue remembers
the receipt handles of every message that was ever deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from typing import Any

from moto.core.common_models import BaseModel
from moto.s3.models import FakeKey
from moto.sqs.models import Queue

MOST_HANDLES = 10_000
"""Deleted messages' receipt handles that a queue remembers, so that deleting a message again succeeds, as on AWS."""


class RecentHandles:
    """The part of a set's interface that moto uses, for the last `limit` values."""

    def __init__(self, limit: int = MOST_HANDLES) -> None:
        self._limit = limit
        self._values: dict[str | None, None] = {}
        self._lock = threading.Lock()

    def __contains__(self, value: str | None) -> bool:
        return value in self._values

    def __len__(self) -> int:
        return len(self._values)

    def update(self, values: Iterable[str | None]) -> None:
        """Add values; the oldest go."""
        with self._lock:
            for value in values:
                self._values.pop(value, None)
                self._values[value] = None
            while len(self._values) > self._limit:
                del self._values[next(iter(self._values))]


@cache
def bound_memory() -> None:
    """Replace the parts of moto that only grow, in this process and for good. Calls after the first have no effect."""
    base, stored, queues = _open(BaseModel), _open(FakeKey), _open(Queue)
    base.__new__ = _untracked
    # An object that is no longer referenced closes its file. moto warns there, because its `reset` was to do it first.
    stored.__del__ = stored.dispose
    as_installed = queues.__init__

    def initialise(queue: Any, *args: Any, **options: Any) -> None:
        as_installed(queue, *args, **options)
        queue.deleted_messages = RecentHandles()

    queues.__init__ = initialise


def _open(model: Any) -> Any:
    """The class without its types, which rule out an assignment to its methods."""
    return model


def _untracked(cls: Any, *_args: Any, **_options: Any) -> Any:
    return super(BaseModel, cls).__new__(cls)
