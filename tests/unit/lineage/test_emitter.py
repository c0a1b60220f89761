from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.transport.async_http import AsyncHttpTransport
from openlineage.client.transport.composite import CompositeTransport

from lineage.emitter import FILE_VARIABLE, URL_VARIABLE, Emitter
from lineage.events import RunContext, run_event
from lineage.names import job

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class Refusing:
    """A transport that accepts nothing and cannot even be closed."""

    def emit(self, event: RunEvent) -> None:
        raise ConnectionError("refused")

    def close(self, timeout: float) -> bool:
        raise ConnectionError("refused")


class Unanswered:
    """A transport with unanswered events; `limits` are the timeouts that it was closed with."""

    def __init__(self) -> None:
        self.limits: list[float] = []

    def emit(self, event: RunEvent) -> None:
        """Queue the event for ever."""

    def close(self, timeout: float) -> bool:
        self.limits.append(timeout)
        return False


def events(count: int) -> list[RunEvent]:
    return [run_event(RunState.START, number * 1000, RunContext(job("audit"), RUN_ID)) for number in range(count)]


@pytest.fixture
def idle_endpoint() -> Iterator[Emitter]:
    """An emitter for an endpoint that is never sent anything: no socket is opened."""
    emitter = Emitter.open("/tmp/unused.jsonl", "http://marquez.example:5000", endpoint="lineage/in", api_key="k")
    yield emitter
    emitter.close(0)


def test_file_gets_one_document_a_line_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    path.write_text('{"before": true}\n', encoding="utf-8")
    with Emitter.open(str(path)) as emitter:
        for event in events(3):
            emitter.emit(event)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"before": True}
    assert [line["eventTime"] for line in lines[1:]] == [f"1970-01-01T00:00:00.00000{number}Z" for number in range(3)]


@pytest.mark.parametrize("path", ["absent/folder/lineage.jsonl", "."])
def test_path_that_cannot_be_written_harms_nothing(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with Emitter.open(str(tmp_path / path)) as emitter:
        emitter.emit(events(1)[0])
    assert "the START event of audit could not be emitted and is lost" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_go_is_logged_once_at_the_start_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Emitter.open(None) as emitter:
        emitter.emit(events(1)[0])
    assert [record.getMessage() for record in caplog.records] == [
        f"neither {FILE_VARIABLE} nor {URL_VARIABLE} is set: this run leaves no lineage events"
    ]


def test_a_file_variable_that_is_not_a_local_path_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    Emitter.open("s3://bucket/lineage").emit(events(1)[0])
    assert "not the path of a local file" in caplog.text


def test_every_event_goes_to_the_file_before_the_endpoint(idle_endpoint: Emitter) -> None:
    composite = idle_endpoint._transport
    assert isinstance(composite, CompositeTransport)
    assert (composite.config.continue_on_failure, composite.config.continue_on_success) == (True, True)
    assert [transport.kind for transport in composite.transports] == ["file", "async_http"]


def test_endpoint_is_posted_to_as_configured_and_without_retries(idle_endpoint: Emitter) -> None:
    composite = idle_endpoint._transport
    assert isinstance(composite, CompositeTransport)
    endpoint = composite.transports[1]
    assert isinstance(endpoint, AsyncHttpTransport)
    assert (endpoint.config.url, endpoint.config.endpoint) == ("http://marquez.example:5000", "lineage/in")
    assert endpoint.config.auth.get_bearer() == "Bearer k"
    assert endpoint.config.retry["total"] == 0
    assert 0 < endpoint.config.timeout <= 2.5, "two hanging requests must time out within the limit of close"


def test_refused_events_and_a_refused_close_harm_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Emitter(Refusing()) as emitter:
        emitter.emit(events(1)[0])
    assert [record.getMessage() for record in caplog.records] == [
        "the START event of audit could not be emitted and is lost",
        "the lineage transport could not be closed",
    ]


def test_close_waits_within_its_limit_and_logs_what_is_unanswered(caplog: pytest.LogCaptureFixture) -> None:
    transport = Unanswered()
    assert Emitter(transport).close(1.5) is False
    with Emitter(transport):
        pass
    assert transport.limits == [1.5, 5.0]
    assert "did not answer within 1.5 s" in caplog.text


@pytest.mark.parametrize("url", ["not a url", "marquez:5000", "http://"])
def test_unusable_endpoint_leaves_the_file(tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lineage.jsonl"
    with Emitter.open(str(path), url) as emitter:
        emitter.emit(events(1)[0])
    assert any(record.levelno >= logging.WARNING and record.exc_info for record in caplog.records)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_openlineage_disabled_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    path = tmp_path / "lineage.jsonl"
    with Emitter.open(str(path)) as emitter:
        emitter.emit(events(1)[0])
    assert not path.exists()
