"""Keeps moto's requests from copying and sorting all that is stored.

As installed, a DynamoDB transaction copies its tables, to be able to undo; a query sorts the whole table; a page of an S3 listing
of versions copies every object of the bucket, content included. Answers stay the same. A query of an index still looks at every
item, and a page at every name. Requests to DynamoDB must come one at a time, which `localstack.emulator` sees to.
"""

from __future__ import annotations

import copy
import heapq
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey, S3Backend
from moto.s3.utils import _VersionedKeyStore

_ANY = object()


@cache
def bound_cost() -> None:
    """Replace those parts of moto, in this process and for good. Calls after the first have no effect."""
    _cheap_transactions(DynamoDBBackend)
    _cheap_queries(Table)
    _cheap_listings(S3Backend, FakeKey, _VersionedKeyStore)


def _cheap_transactions(backend: Any) -> None:
    as_installed = backend.transact_write_items

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        before = [_Before(self, operation) for item in transact_items for operation in item.values()]
        with _uncopied({id(one.table): one.table for one in before if one.table is not None}.values()):
            try:
                as_installed(self, transact_items)
            except Exception:
                for one in before:
                    one.restore()
                raise

    backend.transact_write_items = transact_write_items


class _Before:
    """An item that a transaction names, as it was."""

    table: Any = None

    def __init__(self, backend: Any, operation: dict[str, Any]) -> None:
        try:
            table = backend.get_table(operation.get("TableName"))
            self._keys = backend.get_keys_value(table, operation.get("Item") or operation.get("Key") or {})
        except (MockValidationException, ResourceNotFoundException):
            return  # moto refuses the operation
        self.table = table
        self._item = copy.deepcopy(table.get_item(*self._keys))

    def restore(self) -> None:
        """Give the table the item back, or remove what was not there."""
        if self.table is None:
            return
        hash_key, range_key = self._keys
        items, key = (self.table.items, hash_key) if range_key is None else (self.table.items[hash_key], range_key)
        if self._item is None:
            items.pop(key, None)
        else:
            items[key] = self._item


@contextmanager
def _uncopied(tables: Any) -> Iterator[None]:
    for table in tables:
        table.__deepcopy__ = lambda _memo, table=table: table
    try:
        yield
    finally:
        for table in tables:
            del table.__deepcopy__


def _cheap_queries(table: Any) -> None:
    query, all_items = table.query, table.all_items
    signature = inspect.signature(query)
    asked = threading.local()

    def query_one(self: Any, *args: Any, **options: Any) -> Any:
        given = signature.bind(self, *args, **options).arguments
        asked.key = given["hash_key"] if given.get("index_name") is None and self.range_key_attr else _ANY
        try:
            return query(self, *args, **options)
        finally:
            del asked.key

    def items_asked(self: Any) -> list[Any]:
        key = getattr(asked, "key", None)
        if key is None:
            found: list[Any] = all_items(self)
            return found
        if key is not _ANY:
            return list(self.items[key].values()) if key in self.items else []
        return [item for kept in self.items.values() for item in (kept.values() if self.range_key_attr else (kept,))]

    table.query, table.all_items = query_one, items_asked


def _cheap_listings(backend: Any, stored: Any, store: Any) -> None:
    list_object_versions = backend.list_object_versions
    page = threading.local()

    class Listed(stored):  # type: ignore[misc]
        """What a listing says of an object, which keeps the content."""

        def __del__(self) -> None:
            pass

    def listed(self: Any, _memo: Any) -> Any:
        entry = object.__new__(Listed)
        entry.__dict__.update(self.__dict__)
        return entry

    def list_page(
        self: Any,
        bucket_name: str,
        delimiter: str | None = None,
        key_marker: str | None = None,
        max_keys: int | None = 1000,
        prefix: str = "",
        version_id_marker: str | None = None,
    ) -> Any:
        keys = self.get_bucket(bucket_name).keys
        names: Any = (name for name in dict(keys) if name.startswith(prefix) and name >= (key_marker or ""))
        if max_keys is not None and not delimiter:
            # The first may be that of the page before; the last tells moto that there is more.
            names = heapq.nsmallest(max_keys + 2, names)
        page.names = list(names)
        try:
            return list_object_versions(self, bucket_name, delimiter, key_marker, max_keys, prefix, version_id_marker)
        finally:
            del page.names

    def iterlists(self: Any) -> Iterator[tuple[str, list[Any]]]:
        for name in page.names if hasattr(page, "names") else dict(self):
            yield name, self.getlist(name)

    stored.__deepcopy__, store.iterlists, backend.list_object_versions = listed, iterlists, list_page
