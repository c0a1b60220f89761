"""Reads Avro files without a library of Iceberg: the search for a forgotten drive must not share the code that removed it.

Apache Avro 1.11 specification: "Object Container Files", "Binary encoding". Codecs `null` and `deflate`, and `gzip`, as pyiceberg
names deflate. Logical types are left as what they are stored as.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from ops.errors import InputError

MAGIC = b"Obj\x01"
MAX_DEPTH = 64
_FIXED_SIZE = {"float": 4, "double": 8}


class AvroFile:
    """An Avro file in memory: what its header says, and its data one by one.

    Raises:
        InputError: It is not an Avro file, cut short, or of an unknown codec or type.
    """

    def __init__(self, body: bytes) -> None:
        if not body.startswith(MAGIC):
            raise InputError("not an Avro file")
        self._in = _Reader(body, len(MAGIC))
        self.header: dict[str, bytes] = self._in.value({"type": "map", "values": "bytes"}, {}, 0)
        self._sync = self._in.take(16)
        self._codec = self.header.get("avro.codec", b"null").decode()
        try:
            self._schema = json.loads(self.header["avro.schema"])
        except (KeyError, ValueError) as error:
            raise InputError(f"the schema of an Avro file cannot be read: {error}") from error

    def __iter__(self) -> Iterator[Any]:
        names: dict[str, Any] = {}
        while not self._in.at_end():
            count, size = self._in.long(), self._in.long()
            block = _Reader(self._unpacked(self._in.take(size)), 0)
            for _ in range(count):
                yield block.value(self._schema, names, 0)
            if self._in.take(16) != self._sync:
                raise InputError("a block of an Avro file does not end with its marker")

    def _unpacked(self, block: bytes) -> bytes:
        if self._codec == "null":
            return block
        if self._codec in ("deflate", "gzip"):
            try:
                return zlib.decompress(block, -15)
            except zlib.error as error:
                raise InputError(f"a block of an Avro file cannot be unpacked: {error}") from error
        raise InputError(f"an Avro file has the unknown codec {self._codec!r}")


class _Reader:
    def __init__(self, body: bytes, at: int) -> None:
        self._body, self._at = body, at

    def at_end(self) -> bool:
        return self._at >= len(self._body)

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._body):
            raise InputError("an Avro file is cut short")
        taken, self._at = self._body[self._at : end], end
        return taken

    def long(self) -> int:
        """A zig-zag variable-length integer."""
        found = shift = 0
        while True:
            (byte,) = self.take(1)
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (found >> 1) ^ -(found & 1)
            shift += 7
            if shift > 63:
                raise InputError("an integer of an Avro file does not end")

    def value(self, schema: Any, names: dict[str, Any], depth: int) -> Any:
        """One value of a schema; `names`: the named types so far."""
        if depth > MAX_DEPTH:
            raise InputError(f"an Avro file is nested deeper than {MAX_DEPTH}")
        if isinstance(schema, list):
            branch = self.long()
            if not 0 <= branch < len(schema):
                raise InputError("an Avro file has a value of no type of its union")
            return self.value(schema[branch], names, depth + 1)
        if isinstance(schema, str):
            return self._primitive(schema) if schema not in names else self.value(names[schema], names, depth + 1)
        kind = schema.get("type")
        if "name" in schema and kind in ("record", "fixed", "enum"):
            names[schema["name"]] = schema
        if kind == "record":
            return {field["name"]: self.value(field["type"], names, depth + 1) for field in schema["fields"]}
        if kind == "array":
            return [self.value(schema["items"], names, depth + 1) for _ in self._items()]
        if kind == "map":
            return {self.take(self.long()).decode(): self.value(schema["values"], names, depth + 1) for _ in self._items()}
        if kind == "fixed":
            return self.take(int(schema["size"]))
        if kind == "enum":
            return schema["symbols"][self.long()]
        return self.value(kind, names, depth + 1)

    def _items(self) -> Iterator[None]:
        """One for each item of an array or a map, block by block."""
        while count := self.long():
            if count < 0:
                self.long()  # the size of the block in bytes
            for _ in range(abs(count)):
                yield

    def _primitive(self, kind: str) -> Any:
        if kind == "null":
            return None
        if kind == "boolean":
            return self.take(1) != b"\x00"
        if kind in ("int", "long"):
            return self.long()
        if kind in _FIXED_SIZE:
            return struct.unpack("<f" if kind == "float" else "<d", self.take(_FIXED_SIZE[kind]))[0]
        if kind in ("bytes", "string"):
            taken = self.take(self.long())
            return taken if kind == "bytes" else taken.decode()
        raise InputError(f"an Avro file has the unknown type {kind!r}")
