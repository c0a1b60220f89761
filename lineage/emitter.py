"""Delivers events, and never fails or stalls the job that emits them.

The transports are those of the OpenLineage client: a file that holds every event, and, where an endpoint is configured, an
asynchronous HTTP transport beside it. Why the file comes first and is not a fallback: docs/adr/0024.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from openlineage.client.event_v2 import RunEvent
from openlineage.client.transport import get_default_factory

FILE_VARIABLE = "SCENELAKE_LINEAGE_FILE"
URL_VARIABLE = "OPENLINEAGE_URL"
DEFAULT_ENDPOINT = "api/v1/lineage"
HTTP_TIMEOUT_S = 2.0  # a run has two events, sent one after the other: both time out within the limit below
CLOSE_LIMIT_S = 5.0

log = logging.getLogger(__name__)


class Transport(Protocol):
    """The part of an OpenLineage transport that is used here; both calls may raise."""

    def emit(self, event: RunEvent) -> Any:
        """Deliver one event, or queue it."""

    def close(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for queued events; returns whether all were processed."""


class Emitter:
    """Sends events through `transport` (None: nowhere); no method raises, and `close` returns within a limit."""

    def __init__(self, transport: Transport | None) -> None:
        self._transport = transport

    @classmethod
    def open(cls, file: str | None, url: str | None = None, *, endpoint: str | None = None, api_key: str | None = None) -> Self:
        """An emitter that appends events to a local file and posts them to an endpoint.

        A destination that cannot be used is logged and left out.

        Args:
            file: Path of the file, one JSON document per line; it may be shared by many processes.
            url: Base URL of an OpenLineage endpoint.
            endpoint: Path below `url`; `api/v1/lineage` by default.
            api_key: Sent as a bearer token.
        """
        if file and "://" in file:
            log.warning("%s is %r, not the path of a local file; it is ignored", FILE_VARIABLE, file)
            file = None
        if not file and not url:
            log.warning("neither %s nor %s is set: this run leaves no lineage events", FILE_VARIABLE, URL_VARIABLE)
        return cls(
            _transport(
                {"type": "file", "log_file_path": file, "append": True} if file else None,
                _endpoint(url, endpoint, api_key) if url else None,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def emit(self, event: RunEvent) -> None:
        """Write `event` to the file and queue it for the endpoint."""
        if self._transport is None:
            return
        try:
            self._transport.emit(event)
        except Exception:
            log.exception("the %s could not be emitted and is lost", _title(event))

    def close(self, limit_s: float = CLOSE_LIMIT_S) -> bool:
        """Wait at most `limit_s` for the endpoint; returns whether it responded to every event, with success or not."""
        if self._transport is None:
            return True
        try:
            answered = self._transport.close(limit_s)
        except Exception:
            log.exception("the lineage transport could not be closed")
            return False
        if not answered:
            log.warning("the lineage endpoint did not answer within %g s; only the lineage file has every event", limit_s)
        return answered


def _endpoint(url: str, endpoint: str | None, api_key: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "type": "async_http",
        "url": url,
        "endpoint": endpoint or DEFAULT_ENDPOINT,
        "timeout": HTTP_TIMEOUT_S,
        # The default of five retries takes longer than a job may wait; lost events can be resent from the file.
        "retry": {"total": 0},
    }
    if api_key:
        settings["auth"] = {"type": "api_key", "apiKey": api_key}
    return settings


def _transport(file: Mapping[str, Any] | None, endpoint: Mapping[str, Any] | None) -> Transport | None:
    try:
        return _composite(file=file, endpoint=endpoint)
    except Exception:
        log.exception("%s cannot be used; events go to the file alone", URL_VARIABLE)
        return _composite(file=file)


def _composite(**transports: Mapping[str, Any] | None) -> Transport | None:
    """Sends every event to each of `transports` that is given, in this order, even if another one fails."""
    given = {name: settings for name, settings in transports.items() if settings}
    if not given:
        return None
    composite = {"type": "composite", "continue_on_failure": True, "continue_on_success": True, "transports": given}
    transport: Transport = get_default_factory().create(composite)  # type: ignore[arg-type] # its hint has no nested settings
    return transport


def _title(event: RunEvent) -> str:
    state = event.eventType.value if event.eventType else "stateless"
    return f"{state} event of {event.job.name}"
