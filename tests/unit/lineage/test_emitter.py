from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from openlineage.client.event_v2 import RunEvent, RunState

from lineage.emitter import FILE_VARIABLE, URL_VARIABLE, Emitter
from lineage.events import RunContext, run_event
from lineage.names import job

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
LONG_S = 20.0  # only ever waited for in full when a test fails


class Keeping:
    def __init__(self) -> None:
        self.events: list[RunEvent] = []

    def emit(self, event: RunEvent) -> None:
        self.events.append(event)


class Refusing:
    def emit(self, event: RunEvent) -> None:
        raise ConnectionError("refused")


def events(count: int) -> list[RunEvent]:
    return [run_event(RunState.START, number * 1000, RunContext(job("audit"), RUN_ID)) for number in range(count)]


def test_file_gets_one_document_a_line_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    path.write_text('{"before": true}\n', encoding="utf-8")
    with Emitter.from_env({FILE_VARIABLE: str(path)}) as emitter:
        for event in events(3):
            emitter.emit(event)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"before": True}
    assert [line["eventTime"] for line in lines[1:]] == [f"1970-01-01T00:00:00.00000{number}Z" for number in range(3)]


@pytest.mark.parametrize("path", ["absent/folder/lineage.jsonl", "."])
def test_path_that_cannot_be_written_harms_nothing(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with Emitter.from_env({FILE_VARIABLE: str(tmp_path / path)}) as emitter:
        emitter.emit(events(1)[0])
    assert "could not be written and is lost" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_go_is_said_once_at_the_start_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Emitter.from_env({}) as emitter:
        emitter.emit(events(1)[0])
    assert "leaves no lineage events" in caplog.records[0].getMessage()


def test_file_variable_that_is_no_local_path_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    Emitter.from_env({FILE_VARIABLE: "s3://bucket/lineage"}).emit(events(1)[0])
    assert "not the path of a local file" in caplog.text


def test_endpoint_gets_all_events_in_order_and_the_file_none() -> None:
    file, http = Keeping(), Keeping()
    sent = events(50)
    emitter = Emitter(file, http, close_timeout_s=LONG_S)
    for event in sent:
        emitter.emit(event)
    assert emitter.close() is True
    assert http.events == sent
    assert file.events == []


def test_refused_events_go_to_the_file_in_order() -> None:
    file = Keeping()
    sent = events(5)
    with Emitter(file, Refusing(), close_timeout_s=LONG_S) as emitter:
        for event in sent:
            emitter.emit(event)
    assert file.events == sent


def test_hanging_endpoint_neither_stalls_the_job_nor_loses_an_event(hanging: Any) -> None:
    file = Keeping()
    sent = events(10)
    emitter = Emitter(file, hanging, queue_size=4, close_timeout_s=0.05)
    emitter.emit(sent[0])
    assert hanging.entered.wait(LONG_S)
    before = time.monotonic()
    for event in sent[1:]:
        emitter.emit(event)
    assert emitter.close() is False
    assert time.monotonic() - before < LONG_S / 2
    assert sorted(event.eventTime for event in file.events) == [event.eventTime for event in sent]


def test_events_beyond_the_queue_go_to_the_file_at_once(hanging: Any) -> None:
    file = Keeping()
    sent = events(6)
    emitter = Emitter(file, hanging, queue_size=2, close_timeout_s=LONG_S)
    for event in sent:
        emitter.emit(event)
    assert file.events == sent[2:]
    hanging.released.set()
    assert emitter.close() is True
    assert hanging.events == sent[:2]


def test_after_close_events_go_to_the_file() -> None:
    file, http = Keeping(), Keeping()
    emitter = Emitter(file, http)
    assert emitter.close() is True
    emitter.emit(events(1)[0])
    assert (len(file.events), len(http.events)) == (1, 0)
    assert emitter.close() is True


def test_neither_endpoint_nor_file_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    with Emitter(None, Refusing(), close_timeout_s=LONG_S) as emitter:
        emitter.emit(events(1)[0])
    assert "the START event of audit is lost" in caplog.text


def test_configured_endpoint_is_posted_to_without_retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, str], float]] = []

    def post(self: requests.Session, url: str, **request: object) -> requests.Response:
        assert self.get_adapter(url).max_retries.total == 0  # type: ignore[attr-defined]
        calls.append((url, dict(request["headers"]), request["timeout"]))  # type: ignore[call-overload, arg-type]
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "post", post)
    path = tmp_path / "lineage.jsonl"
    env = {FILE_VARIABLE: str(path), URL_VARIABLE: "http://marquez.example:5000", "OPENLINEAGE_API_KEY": "k"}
    with Emitter.from_env(env) as emitter:
        emitter.emit(events(1)[0])
    ((url, headers, timeout),) = calls
    assert url == "http://marquez.example:5000/api/v1/lineage"
    assert headers["Authorization"] == "Bearer k"
    assert 0 < timeout <= 5
    assert json.loads(path.read_text(encoding="utf-8"))["eventType"] == "START"


def test_unusable_endpoint_leaves_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lineage.jsonl"
    with Emitter.from_env({FILE_VARIABLE: str(path), URL_VARIABLE: "not a url"}) as emitter:
        emitter.emit(events(1)[0])
    assert any(record.levelno >= logging.WARNING and record.exc_info for record in caplog.records)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
