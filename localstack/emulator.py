"""The embedded AWS endpoint: moto's server, with the requests that AWS makes atomic made one at a time.

moto checks the condition of a write and then writes, without a lock. Of two requests that arrive together both may find
the condition true, which neither DynamoDB nor S3 allows. Everything else runs in parallel.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

LOOPBACK = "127.0.0.1"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class AtomicWrites:
    """A WSGI application that passes DynamoDB's requests and S3's conditional ones to `inner` one at a time."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not is_atomic(environ):
            return self._inner(environ, start_response)
        with self._lock:
            return self._inner(environ, start_response)


def is_atomic(environ: dict[str, Any]) -> bool:
    """Whether AWS answers the request as if no other were answered meanwhile."""
    conditional = "HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ
    reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
    return environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_") or (conditional and not reads)


class Emulator:
    """The endpoint on loopback, at `url` from construction on; `with` serves it from a thread."""

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        application = AtomicWrites(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(host, port, application, threaded=True, request_handler=MotoRequestHandler)
        self.url = f"http://{host}:{self._server.server_port}"

    def serve(self) -> None:
        """Answer until another thread calls `stop`."""
        self._server.serve_forever()

    def stop(self) -> None:
        """End `serve`."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._thread.join()


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-H", "--host", default=LOOPBACK)
    parser.add_argument("-p", "--port", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: exit(0))
    Emulator(arguments.host, arguments.port).serve()


if __name__ == "__main__":
    main()
