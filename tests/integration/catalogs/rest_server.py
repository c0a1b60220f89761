"""A small Iceberg REST catalog on loopback: namespaces, tables, and commits of several tables, as the specification says.

Metadata files are in a folder; the pointers to them in memory, moved under one lock. `faults` makes the next commits go wrong.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import load_file_io
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import SortOrder
from pyiceberg.table.update import update_table_metadata

PREFIX = "lake"
COMMIT = f"/v1/{PREFIX}/transactions/commit"
ENDPOINTS = (
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
)
TRANSACTIONS = "POST /v1/{prefix}/transactions/commit"
Name = tuple[str, str]


class Fault(StrEnum):
    """What happens to a commit. *_BEFORE: it is not done; *_AFTER: it is."""

    UNAVAILABLE_BEFORE = "503 before"
    UNAVAILABLE_AFTER = "503 after"
    SILENT_BEFORE = "no answer before"
    SILENT_AFTER = "no answer after"


class RestError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class RestStore:
    """The tables of a server."""

    def __init__(self, folder: Path, *, transactions: bool = True, token: str | None = None) -> None:
        self.folder, self.token = folder, token
        self.endpoints = [*ENDPOINTS, TRANSACTIONS] if transactions else list(ENDPOINTS)
        self.namespaces: set[str] = set()
        self.locations: dict[Name, str] = {}
        self.faults: deque[Fault] = deque()
        self.commits = 0
        self.lock = threading.Lock()
        self.io = load_file_io({})

    def metadata(self, name: Name) -> tuple[str, TableMetadata]:
        """Location and content of a table's metadata."""
        location = self.locations.get(name)
        if location is None:
            raise RestError(404, "NoSuchTableException", f"Table does not exist: {'.'.join(name)}")
        return location, FromInputFile.table_metadata(self.io.new_input(location))

    def create(self, namespace: str, request: Mapping[str, Any]) -> Name:
        """Create an empty table."""
        name = namespace, str(request["name"])
        with self.lock:
            if namespace not in self.namespaces:
                raise RestError(404, "NoSuchNamespaceException", f"Namespace does not exist: {namespace}")
            if name in self.locations:
                raise RestError(409, "AlreadyExistsException", f"Table already exists: {'.'.join(name)}")
            metadata = new_table_metadata(
                schema=Schema.model_validate(request["schema"]),
                partition_spec=PartitionSpec.model_validate(request["partition-spec"]),
                sort_order=SortOrder.model_validate(request["write-order"]),
                location=f"file://{self.folder}/warehouse/{'/'.join(name)}",
                properties=request.get("properties", {}),
            )
            self.locations[name] = self._write(metadata)
        return name

    def commit(self, requests: list[Any]) -> list[Name]:
        """Move all tables or none; a requirement that does not hold is a conflict."""
        with self.lock:
            moved: dict[Name, str] = {}
            for one in requests:
                change = CommitTableRequest.model_validate(one)
                name = change.identifier.namespace.root[0], change.identifier.name
                location, base = self.metadata(name)
                try:
                    for requirement in change.requirements:
                        requirement.validate(base)
                except CommitFailedException as error:
                    raise RestError(409, "CommitFailedException", str(error)) from error
                moved[name] = self._write(update_table_metadata(base, change.updates, metadata_location=location))
            self.locations |= moved
            self.commits += 1
        return list(moved)

    def _write(self, metadata: TableMetadata) -> str:
        location = f"{metadata.location}/metadata/{uuid.uuid4()}.metadata.json"
        ToOutputFile.table_metadata(metadata, self.io.new_output(location))
        return location


class _Handler(BaseHTTPRequestHandler):
    store: RestStore

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        path = urlsplit(self.path).path
        try:
            if self.store.token is not None and self.headers.get("Authorization") != f"Bearer {self.store.token}":
                raise RestError(401, "NotAuthorizedException", "no such token")
            fault = self.store.faults.popleft() if path == COMMIT and self.store.faults else None
            if fault is Fault.SILENT_BEFORE:
                return self._hang_up()
            if fault is Fault.UNAVAILABLE_BEFORE:
                raise RestError(503, "ServiceUnavailableException", "come back later")
            found = self._do(path, body)
            if fault is Fault.SILENT_AFTER:
                return self._hang_up()
            if fault is Fault.UNAVAILABLE_AFTER:
                raise RestError(503, "ServiceUnavailableException", "come back later")
            self._send(200 if found is not None else 204, found)
        except RestError as error:
            self._send(error.status, {"error": {"message": str(error), "type": error.kind, "code": error.status}})

    def _do(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match self.command, *parts:
            case "GET", "v1", "config":
                return {"defaults": {}, "overrides": {"prefix": PREFIX}, "endpoints": self.store.endpoints}
            case "POST", "v1", _, "transactions", "commit":
                self.store.commit(body["table-changes"])
                return None
            case method, "v1", _, "namespaces", *rest:
                return self._in_namespaces(method, rest, body)
        raise RestError(404, "NotFound", path)

    def _in_namespaces(self, method: str, rest: list[str], body: Mapping[str, Any]) -> dict[str, Any] | None:
        store = self.store
        match method, *rest:
            case ("GET",):
                return {"namespaces": [[name] for name in sorted(store.namespaces)]}
            case ("POST",):
                with store.lock:
                    if body["namespace"][0] in store.namespaces:
                        raise RestError(409, "AlreadyExistsException", "Namespace already exists")
                    store.namespaces.add(body["namespace"][0])
                return {"namespace": body["namespace"], "properties": {}}
            case "HEAD", name:
                if name not in store.namespaces:
                    raise RestError(404, "NoSuchNamespaceException", name)
                return None
            case "GET", name, "tables":
                return {"identifiers": [{"namespace": [name], "name": table} for of, table in store.locations if of == name]}
            case "POST", name, "tables":
                return self._table(store.create(name, body))
            case "GET", name, "tables", table:
                return self._table((name, table))
            case "HEAD", name, "tables", table:
                store.metadata((name, table))
                return None
            case "POST", name, "tables", table:
                store.commit([{"identifier": {"namespace": [name], "name": table}} | dict(body)])
                return self._table((name, table))
            case "DELETE", name, "tables", table:
                store.metadata((name, table))
                del store.locations[name, table]
                return None
        raise RestError(404, "NotFound", "/".join(rest))

    def _table(self, name: Name) -> dict[str, Any]:
        location, metadata = self.store.metadata(name)
        return {"metadata-location": location, "metadata": json.loads(metadata.model_dump_json()), "config": {}}

    def _send(self, status: int, body: Mapping[str, Any] | None) -> None:
        data = b"" if body is None or self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True


@contextmanager
def rest_server(store: RestStore) -> Iterator[str]:
    """Serve the store on a free port of loopback, and give its address as a catalog's setting."""
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"rest+http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
