"""The HTTP server from which Prometheus scrapes metrics: a thread a request, for programs only."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from ops.browser_guard import BrowserGuard, names_of


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Answers scrapes at the same time; `shutdown` does not wait for those in progress."""

    daemon_threads = True


class _MetricsServer6(MetricsServer):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Scrapes are not logged; errors of the server are."""


def metrics_server(registry: CollectorRegistry, host: str, port: int, names: Iterable[str] = ()) -> MetricsServer:
    """A server bound to `host` and `port` (0: any free one), not yet serving.

    Args:
        registry: What is collected at each scrape.
        host: Address to listen on. Requests to it are answered, unless it stands for all interfaces.
        port: Port to listen on.
        names: Host names in requests, besides `host` and those of loopback, that are answered.
    """
    application = BrowserGuard(make_wsgi_app(registry), (*names_of(host), *names))
    return make_server(host, port, application, _MetricsServer6 if ":" in host else MetricsServer, _Silent)
