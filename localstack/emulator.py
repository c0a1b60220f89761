"""The embedded AWS endpoint: moto's server, with requests that are atomic on AWS serialised, for programs on this machine only.

moto checks a write's condition and then writes, without a lock: two concurrent requests may both find the condition true,
which DynamoDB and S3 rule out. Everything else runs in parallel.
"""

from __future__ import annotations

import argparse
import resource
import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from ops.browser_guard import Application, BrowserGuard, names_of
from ops.stack.moto_cost import bound_cost
from ops.stack.moto_memory import bound_memory
from ops.stack.moto_services import served_application

LOOPBACK = "127.0.0.1"


class AtomicWrites:
    """WSGI application that passes DynamoDB requests and conditional S3 requests to `inner` one at a time."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_atomic(environ):
            return self._inner(environ, start_response)
        with self._lock:
            return self._inner(environ, start_response)


def is_atomic(environ: dict[str, Any]) -> bool:
    """Whether AWS handles the request atomically: any DynamoDB call, or a conditional S3 write."""
    conditional = "HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ
    reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
    return environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_") or (conditional and not reads)


class FailureLog(MotoRequestHandler):
    """Handles requests and logs the refused and the failed ones only: a log of every request would fill the disk."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Called for each answer, with its status."""
        if str(code).startswith(("403", "5")):
            super().log_request(code, size)


class Emulator:
    """The endpoint on loopback. Bound to `url` on construction; as a context manager, serves from a thread."""

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        bound_memory()
        bound_cost()
        application = BrowserGuard(AtomicWrites(served_application()), names_of(host))
        self._server = make_server(host, port, application, threaded=True, request_handler=FailureLog)
        self.url = f"http://{host}:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until another thread calls `stop`."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Make `serve` return."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._thread.join()
        self._server.server_close()


def main() -> None:
    """Serve until the process receives a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-H", "--host", default=LOOPBACK)
    parser.add_argument("-p", "--port", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: exit(0))
    # moto keeps a file open for each object of more than 16 MiB.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Emulator(arguments.host, arguments.port).serve()


if __name__ == "__main__":
    main()
