"""A real Prometheus on loopback with the project's own configuration, except for the addresses of its targets."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ops.stack.choices import choose_port
from tests.unit.deploy.monitoring import PROMETHEUS

PATIENCE_S = 300.0


def program(name: str) -> str:
    """Where `promtool` or `prometheus` is: named by PROMTOOL or PROMETHEUS, or on PATH; else the test is skipped."""
    found = os.environ.get(name.upper()) or shutil.which(name)
    if not found:
        pytest.skip(f"no {name} on PATH and {name.upper()} is not set; Debian's package `prometheus` holds it")
    return found


@dataclass(frozen=True)
class Server:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The current value of an expression, as a vector."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=60).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        assert answer["data"]["resultType"] == "vector", expression
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def until(self, expression: str) -> list[dict[str, Any]]:
        """As `query`, once it is not empty."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := self.query(expression)):
            assert time.monotonic() < deadline_s, f"empty for {PATIENCE_S:g} s: {expression}"
            time.sleep(1.0)
        return found


@contextmanager
def prometheus_server(folder: Path, targets: Mapping[str, str]) -> Iterator[Server]:
    """Start one that scrapes `targets` (job to address) each second; when left, it has ended."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    assert targets.keys() == {job["job_name"] for job in configuration["scrape_configs"]}
    for job in configuration["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    shutil.copy(PROMETHEUS / "alerts.yml", folder)
    url = f"http://127.0.0.1:{choose_port()}"
    options = (
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={url.removeprefix('http://')}",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("prometheus"), *options], stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not _ready(url):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, "Prometheus does not get ready"
            time.sleep(0.2)
        yield Server(url)
    finally:
        process.terminate()
        process.wait(60)


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def text_server(text: Callable[[str], str]) -> Iterator[str]:
    """Serve the result of `text` for a path, as third-party exporters would; returns the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text(self.path).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
