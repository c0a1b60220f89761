"""A reader's pin: the version that it reads stays whole while it works, and is forgotten when it ends or dies."""

from __future__ import annotations

import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lake.versions.moments import Version
from lake.versions.names import MAIN, TagKind
from lake.versions.tags import Clock, create_tag, remove_tag, renew_tag

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher

DEFAULT_AGE_S = 86400.0


class ReaderPin:
    """Pins the version that `at` denotes for one reader, as a context. A reader that works for longer than `max_age_s` calls
    `renew` in between; one that dies is forgotten that long after its last renewal.

    Each pin, and each renewal, is a commit: meant for readers that work for minutes or more.
    """

    def __init__(self, catalog: Publisher, at: str = MAIN, max_age_s: float = DEFAULT_AGE_S, clock: Clock = time.time_ns) -> None:
        self._catalog, self._at, self._max_age_s, self._clock = catalog, at, max_age_s, clock
        self.tag = f"{TagKind.READER}-{uuid.uuid4().hex}"
        self._version: Version | None = None

    @property
    def version(self) -> Version:
        """What is pinned; only inside the context."""
        assert self._version is not None, "the pin is held inside its context only"
        return self._version

    def renew(self) -> None:
        """Hold the version for another `max_age_s` from now.

        Raises:
            VersionError: It was forgotten; the reader must begin anew.
        """
        renew_tag(self._catalog, self.tag, self._max_age_s, self._clock)

    def __enter__(self) -> Self:
        self._version = create_tag(self._catalog, self.tag, self._at, self._max_age_s, self._clock)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._version = None
        remove_tag(self._catalog, self.tag)
