"""Sends events to where they are kept, and is never the reason why a job fails or waits.

Without an endpoint, events are appended to a file: one JSON document a line, one write an event. With an endpoint, a background
thread posts them; what cannot be posted in time, or does not fit its queue, goes to the file instead, so that it is kept.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from openlineage.client.event_v2 import RunEvent
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport

FILE_VARIABLE = "SCENELAKE_LINEAGE_FILE"
URL_VARIABLE = "OPENLINEAGE_URL"
HTTP_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
QUEUE_SIZE = 256

log = logging.getLogger(__name__)


class Transport(Protocol):
    """What takes one event, and may raise or block."""

    def emit(self, event: RunEvent) -> Any:
        """Deliver one event."""


class Emitter:
    """Delivers events in order; `emit` returns at once and never raises.

    Args:
        file: Takes the events, or with `http` those that it could not deliver; None to keep none.
        http: Takes them on a background thread; None if there is no endpoint.
        queue_size: How many events may wait for `http`.
        close_timeout_s: How long `close` waits for them.
    """

    def __init__(
        self,
        file: Transport | None,
        http: Transport | None = None,
        *,
        queue_size: int = QUEUE_SIZE,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        self._file = file
        self._http = http
        self._queue_size = queue_size
        self._close_timeout_s = close_timeout_s
        self._waiting: deque[RunEvent] = deque()  # the event in delivery stays in front, so that none is ever out of sight
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._closed = False
        self._given_up = False
        self._thread: threading.Thread | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """An emitter for SCENELAKE_LINEAGE_FILE and OPENLINEAGE_URL (with OPENLINEAGE_ENDPOINT and OPENLINEAGE_API_KEY).

        A variable that cannot be used is logged and left out.
        """
        path, url = env.get(FILE_VARIABLE), env.get(URL_VARIABLE)
        file = FileTransport(FileConfig(log_file_path=path, append=True)) if path and "://" not in path else None
        if path and file is None:
            log.warning("%s is %r, not the path of a local file; it is ignored", FILE_VARIABLE, path)
        if not path and not url:
            log.warning("neither %s nor %s is set: this run leaves no lineage events", FILE_VARIABLE, URL_VARIABLE)
        return cls(file, _http_transport(env, url) if url else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def emit(self, event: RunEvent) -> None:
        """Deliver `event`, now to the file or soon to the endpoint. After `close`, only to the file."""
        if not self._enqueue(event):
            self._keep(event)

    def close(self) -> bool:
        """Wait a bounded time for the endpoint; events that it has not taken by then go to the file.

        Returns whether the endpoint answered for every event in time. Calling it again does nothing. An event that the
        endpoint was just taking may be in both places: consumers know events by run and state.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(self._close_timeout_s)
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            self._given_up = True
        if not left:
            return True
        log.warning("the lineage endpoint did not answer within %g s; %d events go to the file", self._close_timeout_s, len(left))
        for event in left:
            self._keep(event)
        return False

    def _enqueue(self, event: RunEvent) -> bool:
        with self._changed:
            if self._http is None or self._closed:
                return False
            if len(self._waiting) >= self._queue_size:
                log.warning("%d lineage events wait for the endpoint already; this one goes to the file", len(self._waiting))
                return False
            if self._thread is None and not self._start(self._http):
                return False
            self._waiting.append(event)
            self._changed.notify_all()
        return True

    def _start(self, http: Transport) -> bool:
        thread = threading.Thread(target=self._post_all, args=(http,), name="lineage", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            log.warning("no thread for the lineage endpoint; events go to the file", exc_info=True)
            return False
        self._thread = thread
        return True

    def _post_all(self, http: Transport) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                event = self._waiting[0]
            if not _post(http, event) and not self._given_up:
                self._keep(event)  # before it leaves the queue: an exit in between then costs a repetition, not the event
            with self._changed:
                if self._given_up:
                    return
                self._waiting.popleft()

    def _keep(self, event: RunEvent) -> None:
        if self._file is None:
            log.warning("no %s: the %s is lost", FILE_VARIABLE, _title(event))
            return
        try:
            with self._writing:
                self._file.emit(event)
        except Exception:
            log.exception("the %s could not be written and is lost", _title(event))


def _title(event: RunEvent) -> str:
    state = event.eventType.value if event.eventType else "stateless"
    return f"{state} event of {event.job.name}"


def _post(http: Transport, event: RunEvent) -> bool:
    try:
        http.emit(event)
    except Exception:
        log.warning("the lineage endpoint refused an event; it goes to the file", exc_info=True)
        return False
    return True


def _http_transport(env: Mapping[str, str], url: str) -> HttpTransport | None:
    settings: dict[str, Any] = {
        "url": url,
        "endpoint": env.get("OPENLINEAGE_ENDPOINT") or "api/v1/lineage",
        "timeout": HTTP_TIMEOUT_S,
        "retry": {"total": 0, "read": 0, "connect": 0},  # its default retries take 9 s an event; the file is our retry
    }
    if key := env.get("OPENLINEAGE_API_KEY"):
        settings["auth"] = {"type": "api_key", "apiKey": key}
    try:
        return HttpTransport(HttpConfig.from_dict(settings))
    except Exception:
        log.exception("%s cannot be used; events go to the file", URL_VARIABLE)
        return None
