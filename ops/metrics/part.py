"""A part of the metrics that is read independently: if it fails, only its own values are omitted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sensors.time_units import NS_PER_S

STALE_AFTER_NS = 300 * NS_PER_S  # as long as Prometheus keeps a sample that is not renewed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PartHealth:
    """Health of a part's readings. `success_ns`: wall time at the end of the last successful one, None before the first.
    `duration_ns`: of the last one, successful or not; None during the first."""

    part: str
    current: bool
    errors: int
    success_ns: int | None
    duration_ns: int | None


class Readable(Protocol):
    """A part, independent of the type of its value."""

    @property
    def health(self) -> PartHealth:
        """Health of its readings."""
        ...

    def refresh(self) -> Exception | None:
        """Read once."""
        ...


class MetricsPart(Generic[T]):
    """Keeps the last reading. `refresh` is called by one thread, the rest by any."""

    def __init__(self, name: str, read: Callable[[], T], clock: Callable[[], int] = time.time_ns) -> None:
        self._name = name
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._health = PartHealth(name, False, 0, None, None)

    def refresh(self) -> Exception | None:
        """Read once; returns the error, or None. After a failure there is no value until a reading succeeds."""
        begun_ns = self._clock()
        error, value = None, None
        try:
            value = self._read()
        except Exception as failure:  # noqa: BLE001 - counted, and reported by the caller
            error = failure
        ended_ns = self._clock()
        with self._lock:
            health = self._health
            self._value = value
            self._health = PartHealth(
                part=self._name,
                current=error is None,
                errors=health.errors + (error is not None),
                success_ns=ended_ns if error is None else health.success_ns,
                duration_ns=ended_ns - begun_ns,
            )
        return error

    @property
    def health(self) -> PartHealth:
        """Health of its readings; a value that is too old is not current."""
        return self.latest()[1]

    def latest(self) -> tuple[T | None, PartHealth]:
        """The value (None if the last reading failed, is too old, or there was none), and its health."""
        with self._lock:
            value, health = self._value, self._health
        old = health.success_ns is None or self._clock() - health.success_ns > STALE_AFTER_NS
        if not old:
            return value, health
        return None, PartHealth(health.part, False, health.errors, health.success_ns, health.duration_ns)
