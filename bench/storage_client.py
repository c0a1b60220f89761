"""Processor time of reading through the S3 client: ranged reads of 16 MiB from a server that only sends, without TLS.

    python -m bench.storage_client

The other benchmarks read local files in place of S3; the capacity model adds this cost.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from rich.console import Console

from bench.figures import Measurement, Report, console_table, measurement_table
from lake.storage import ObjectStore, ObjectVersion
from scenes.build.payloads import MAX_REQUEST_BYTES

NAME = "storage"
READS = 32
ROUNDS = 5
_BODY = bytes(MAX_REQUEST_BYTES)


class _Sender(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name that the base class calls
        self.send_response(206)
        self.send_header("Content-Length", str(len(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, *values: object) -> None:
        """Nothing."""


def _serve(ready: Connection) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Sender)
    ready.send(server.server_port)
    server.serve_forever()


@contextmanager
def sender() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def measure(scratch: Path) -> Report:
    """Read, and count the processor time of this process."""
    del scratch
    rates = []
    with sender() as url:
        unsigned = Config(signature_version=UNSIGNED)
        store = ObjectStore(boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=unsigned))
        for _ in range(ROUNDS):
            began_s = time.process_time()
            for number in range(READS):
                store.read(ObjectVersion("bench", "object"), number * MAX_REQUEST_BYTES, MAX_REQUEST_BYTES)
            rates.append(READS * MAX_REQUEST_BYTES / 1e6 / (time.process_time() - began_s))
    found = (Measurement("storage.read_mb_per_s_per_core", statistics.median(rates), "MB/s", True),)
    return Report(found, {NAME: measurement_table(found)})


if __name__ == "__main__":
    Console().print(console_table(measure(Path()).measurements))
