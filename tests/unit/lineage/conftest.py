"""A fixed clock, and a transport that hangs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from openlineage.client.event_v2 import RunEvent


@dataclass
class Hanging:
    """Takes an event and does not come back until released; the events it has come back from are in `events`."""

    entered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    events: list[RunEvent] = field(default_factory=list)

    def emit(self, event: RunEvent) -> None:
        self.entered.set()
        self.released.wait(60)
        self.events.append(event)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    transport = Hanging()
    yield transport
    transport.released.set()


@pytest.fixture
def ticking() -> Callable[[], int]:
    """A clock that stands at 2026-11-20 12:00:00 and one nanosecond, and advances by a second a call."""
    seconds = itertools.count(1_795_176_000)
    return lambda: next(seconds) * 1_000_000_000 + 1
