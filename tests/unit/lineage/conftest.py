"""A fixed clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest


@pytest.fixture
def ticking() -> Callable[[], int]:
    """A clock that starts at 2026-11-20 12:00:00 and one nanosecond, and advances by a second per call."""
    seconds = itertools.count(1_795_176_000)
    return lambda: next(seconds) * 1_000_000_000 + 1
