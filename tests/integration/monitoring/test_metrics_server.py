"""The exporter's server over its socket: scrapes are answered, web pages and other hosts are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from ops.metrics.server import metrics_server


@contextmanager
def serving(host: str, *names: str) -> Iterator[int]:
    """The port of a server with one metric."""
    registry = CollectorRegistry()
    Counter("drives", "Drives.", registry=registry).inc(3)
    server = metrics_server(registry, host, 0, names)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("host", "written"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_prometheus_scrapes_on_loopback(host: str, written: str) -> None:
    with serving(host) as port:
        answer = requests.get(f"http://{written}:{port}/metrics", timeout=30)
    assert (answer.status_code, "drives_total 3.0" in answer.text) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"Host": "metrics"}],
)
def test_pages_and_other_hosts_are_refused(headers: dict[str, str]) -> None:
    with serving("127.0.0.1") as port:
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=30)
    assert (answer.status_code, "drives_total" in answer.text) == (403, False)


def test_a_service_that_is_reached_by_name_names_it() -> None:
    with serving("127.0.0.1", "metrics") as port:
        url = f"http://127.0.0.1:{port}/metrics"
        statuses = [requests.get(url, headers={"Host": host}, timeout=30).status_code for host in ("metrics:9464", "other:9464")]
    assert statuses == [200, 403]
