"""The process that forks Spark's Python workers: Spark's own, which takes a worker that Spark has let go for no accident.

When Spark ends, it closes the sockets of idle workers. A worker wants to tell it so, and prints a traceback because nobody
listens any more: after a job that has succeeded, now and then, and only over sockets of the file system.
"""

from __future__ import annotations

import socket

from pyspark import daemon

ENDED = 1  # any code but 0 ends the worker

_worker = daemon.worker


def worker(sock: socket.socket, authenticated: bool) -> int:
    """Serve tasks from `sock` until Spark closes it; the code with which this ended."""
    try:
        code: int = _worker(sock, authenticated)
    except BrokenPipeError:
        return ENDED
    return code


if __name__ == "__main__":
    daemon.worker = worker
    daemon.manager()
