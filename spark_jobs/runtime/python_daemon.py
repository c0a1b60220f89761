"""PySpark's daemon, the process that forks Python workers, except that a worker ends quietly when Spark closes its socket.

When Spark stops, it closes the sockets of idle workers. A worker then tries to report that, fails because the socket is
closed, and prints a traceback after a job that succeeded. This happens with Unix domain sockets only (ADR 0026).
"""

from __future__ import annotations

import socket

from pyspark import daemon

ENDED = 1  # any exit code but 0 ends the worker

_worker = daemon.worker


def worker(sock: socket.socket, authenticated: bool) -> int:
    """Serve tasks from `sock` until Spark closes it; the exit code."""
    try:
        code: int = _worker(sock, authenticated)
    except BrokenPipeError:
        return ENDED
    return code


if __name__ == "__main__":
    daemon.worker = worker
    daemon.manager()
