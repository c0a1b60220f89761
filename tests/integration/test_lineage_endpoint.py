"""Lineage neither delays nor fails a job, whatever its endpoint does: real processes, a real server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lineage.emitter import CLOSE_LIMIT_S

JOB = """
import os, sys, time
from lineage.emitter import Emitter
from lineage.events import RunContext
from lineage.names import job
from lineage.run import job_run
begun = time.monotonic()
file, url = os.environ["SCENELAKE_LINEAGE_FILE"], os.environ["OPENLINEAGE_URL"]
with Emitter.open(file, url) as emitter, job_run(emitter, RunContext(job("audit"))):
    print("at work", flush=True)
    if sys.argv[1:] == ["wait"]:
        sys.stdin.readline()
    worked = time.monotonic()
print(worked - begun, time.monotonic() - worked, flush=True)
"""
EXIT_S = 10.0  # beyond the limit: a busy machine, yet far less than the minute for which the endpoint hangs


class Endpoint:
    """An OpenLineage endpoint; `answer` is what it does with a request once it has read the event."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda request: respond(request, 200)
        self.released = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                with suppress(OSError):  # the client is gone
                    endpoint.answer(self)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def states(self) -> list[str]:
        return [event["eventType"] for event in self.events]

    def hang(self, request: BaseHTTPRequestHandler) -> None:
        self.released.wait(60)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """A header every now and then, for ever: no read times out."""
        request.wfile.write(b"HTTP/1.0 200 OK\r\n")
        while not self.released.wait(0.5):
            request.wfile.write(b"X-Wait: a little\r\n")
            request.wfile.flush()


def respond(request: BaseHTTPRequestHandler, status: int) -> None:
    request.send_response(status)
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.released.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def environment(path: Path, url: str) -> dict[str, str]:
    return {**os.environ, "SCENELAKE_LINEAGE_FILE": str(path), "OPENLINEAGE_URL": url}


def run_job(path: Path, url: str) -> tuple[float, float, float]:
    """Seconds of the job's work with its START event, of closing with its last event, and from there to the process's end."""
    command = [sys.executable, "-c", JOB]
    with subprocess.Popen(command, env=environment(path, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        at_work, seconds = process.stdout.readline(), process.stdout.readline()
        closed = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, at_work) == (0, b"at work\n"), errors.decode()
        work_s, close_s = map(float, seconds.split())
        return work_s, close_s, time.monotonic() - closed


def states(path: Path) -> list[str]:
    return [json.loads(line)["eventType"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_endpoint_and_file_have_the_same_events(endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    run_job(path, endpoint.url)
    assert endpoint.states() == states(path) == ["START", "COMPLETE"]
    assert endpoint.events == [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_errors_of_the_endpoint_cost_the_job_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda request: respond(request, 500)
    path = tmp_path / "lineage.jsonl"
    _, close_s, _ = run_job(path, endpoint.url)
    assert endpoint.states() == states(path) == ["START", "COMPLETE"]
    assert close_s < CLOSE_LIMIT_S, "an error is an answer: nothing is left to wait for"


def test_endpoint_that_refuses_costs_the_job_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        path = tmp_path / "lineage.jsonl"
        _, close_s, _ = run_job(path, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert states(path) == ["START", "COMPLETE"]
    assert close_s < CLOSE_LIMIT_S


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_endpoint_that_hangs_holds_the_job_no_longer_than_the_limit(endpoint: Endpoint, tmp_path: Path, behaviour: str) -> None:
    endpoint.answer = getattr(endpoint, behaviour)
    path = tmp_path / "lineage.jsonl"
    work_s, close_s, exit_s = run_job(path, endpoint.url)
    assert states(path) == ["START", "COMPLETE"]
    assert work_s < CLOSE_LIMIT_S, "emitting waits for nobody"
    assert close_s < CLOSE_LIMIT_S + EXIT_S
    assert exit_s < EXIT_S


def test_killed_job_leaves_its_start_in_the_file(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = endpoint.hang
    path = tmp_path / "lineage.jsonl"
    command = [sys.executable, "-c", JOB, "wait"]
    with subprocess.Popen(command, env=environment(path, endpoint.url), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at work\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert states(path) == ["START"]
