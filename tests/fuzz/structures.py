"""Mutations that keep a format's framing, so that checks beyond the first one are reached as well."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any

import lz4.frame
import zstandard

from tests.fuzz.mutation import Mutate, integer, mutate_bytes

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_MCAP_HEAD = struct.Struct("<BQ")
_MCAP_CHUNK_HEAD = struct.Struct("<QQQII")
_MCAP_CHUNK, _MCAP_FOOTER = 6, 2
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK = struct.Struct(">I4s")
_KEPT_SHARE = 0.6
_MOST_BYTES = 1 << 20

Record = tuple[int, bytes]


def _rearrange(rng: Random, parts: list[Any], others: Sequence[Any]) -> None:
    """Drop, repeat, swap or borrow one of `parts`, in place."""
    at = rng.randrange(len(parts))
    choice = rng.randrange(4)
    if choice == 0:
        del parts[at]
    elif choice == 1:
        parts[at:at] = [parts[at]] * rng.choice((1, 1, 2, 16))
    elif choice == 2:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif others:
        parts.insert(at, rng.choice(others))


# MCAP


def mcap_records(data: bytes) -> list[Record]:
    """Opcode and content of each record that the framing leads to; the last may be cut."""
    found: list[Record] = []
    at = len(_MCAP_MAGIC)
    while at + _MCAP_HEAD.size <= len(data):
        opcode, length = _MCAP_HEAD.unpack_from(data, at)
        at += _MCAP_HEAD.size
        found.append((opcode, data[at : at + length]))
        at += length
        if opcode == _MCAP_FOOTER:
            break
    return found


def mcap_file(records: Sequence[Record]) -> bytes:
    """The records with their true lengths between the two magics."""
    return _MCAP_MAGIC + mcap_stream(records) + _MCAP_MAGIC


def mcap_stream(records: Sequence[Record]) -> bytes:
    return b"".join(_MCAP_HEAD.pack(opcode, len(content)) + content for opcode, content in records)


def mutate_mcap(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Records dropped, repeated, borrowed or changed inside with their frame kept; chunks are packed again."""
    records = mcap_records(data)
    if not records or rng.random() > _KEPT_SHARE:
        return mutate_bytes(rng, data, others)
    if rng.random() < 0.3:
        _rearrange(rng, records, mcap_records(rng.choice(others)))
    else:
        at = rng.randrange(len(records))
        opcode, content = records[at]
        if opcode == _MCAP_CHUNK and len(content) > _MCAP_CHUNK_HEAD.size:
            records[at] = (opcode, _mutate_chunk(rng, content))
        elif rng.random() < 0.1:
            records[at] = (rng.randrange(256), content)
        else:
            records[at] = (opcode, mutate_bytes(rng, content, [content]))
    return mcap_file(records)


def _mutate_chunk(rng: Random, content: bytes) -> bytes:
    start, end, raw_bytes, crc, name_bytes = _MCAP_CHUNK_HEAD.unpack_from(content)
    rest = content[_MCAP_CHUNK_HEAD.size :]
    name, stored = rest[:name_bytes], rest[name_bytes + 8 :]
    choice = rng.randrange(6)
    if choice == 0:
        raw_bytes = integer(rng, raw_bytes) % 2**64
    elif choice == 1:
        crc = rng.choice((0, 1, rng.getrandbits(32)))
    elif choice == 2:
        name = rng.choice((b"", b"lz4", b"zstd", b"gzip", b"\xff", b"z" * 65))
    elif choice == 3:
        stored = mutate_bytes(rng, stored, [stored])
    else:
        raw = _unpacked(name, stored)
        records = mcap_records(_MCAP_MAGIC + raw)
        if records and choice == 4:
            _rearrange(rng, records, records)
            raw = mcap_stream(records)
        else:
            raw = mutate_bytes(rng, raw, [raw])
        stored, raw_bytes, crc = packed(name, raw), len(raw), zlib.crc32(raw)
    head = _MCAP_CHUNK_HEAD.pack(start, end, raw_bytes, crc, len(name))
    return head + name + struct.pack("<Q", len(stored)) + stored


def packed(name: bytes, raw: bytes) -> bytes:
    """`raw` as a chunk of this compression holds it; as it is under any unknown one."""
    if name == b"lz4":
        return bytes(lz4.frame.compress(raw))
    return zstandard.ZstdCompressor().compress(raw) if name == b"zstd" else raw


def _unpacked(name: bytes, stored: bytes) -> bytes:
    try:
        if name == b"lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(stored, max_length=_MOST_BYTES))
        if name == b"zstd":
            with zstandard.ZstdDecompressor(max_window_size=_MOST_BYTES).stream_reader(stored) as reader:
                return reader.read(_MOST_BYTES)
    except (RuntimeError, zstandard.ZstdError):
        return b""
    return stored


# PNG


def mutate_png(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Chunks dropped, repeated or changed inside, with their checksums made right; pixels are packed again."""
    chunks = _png_chunks(data)
    if not chunks or rng.random() > _KEPT_SHARE:
        return mutate_bytes(rng, data, others)
    if rng.random() < 0.3:
        _rearrange(rng, chunks, _png_chunks(rng.choice(others)))
    else:
        at = rng.randrange(len(chunks))
        name, content = chunks[at]
        if name == b"IDAT" and rng.random() < 0.5:
            try:
                content = zlib.compress(mutate_bytes(rng, zlib.decompress(content), [content]))
            except zlib.error:
                content = b""
        else:
            content = mutate_bytes(rng, content, [content])
        chunks[at] = (name, content)
    return _PNG_MAGIC + b"".join(
        _PNG_CHUNK.pack(len(content), name) + content + struct.pack(">I", zlib.crc32(name + content)) for name, content in chunks
    )


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    at = len(_PNG_MAGIC) if data.startswith(_PNG_MAGIC) else len(data)
    while at + _PNG_CHUNK.size <= len(data):
        length, name = _PNG_CHUNK.unpack_from(data, at)
        at += _PNG_CHUNK.size
        found.append((name, data[at : at + length]))
        at += length + 4
    return found


def mutate_image(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """PNG by its chunks; JPEG, whose segments have lengths but no checksums, as bytes."""
    return mutate_png(rng, data, others) if data.startswith(_PNG_MAGIC) else mutate_bytes(rng, data, others)


# Text


def json_mutation(*words: str) -> Mutate:
    """Values of a JSON document replaced, dropped, repeated or nested; `words`: values that are valid in the format."""

    def mutate(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return mutate_bytes(rng, data, others)
        if rng.random() > _KEPT_SHARE:
            return mutate_bytes(rng, data, others)
        holder = [document]
        _mutate_json(rng, holder, words)
        return json.dumps(holder[0] if holder else None, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")

    return mutate


def _mutate_json(rng: Random, parent: Any, words: Sequence[str]) -> None:
    """Walk from `parent` to a value at any depth, and change it in its place."""
    key: Any = None
    value: Any = None
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return
        key = rng.choice(keys)
        value = parent[key]
        if isinstance(value, dict | list) and value and rng.random() < 0.85:
            parent = value
            continue
        break
    choice = rng.randrange(8)
    if choice == 0:
        del parent[key]
    elif choice == 1 and isinstance(parent, list):
        parent[key:key] = [value] * rng.choice((1, 2, 32))
    elif choice == 1:
        parent[rng.choice(words) if words else "more"] = value
    elif choice == 2:
        for _level in range(rng.choice((1, 3, 40))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        parent[key] = value
    else:
        parent[key] = _value(rng, value, words)


def _value(rng: Random, value: Any, words: Sequence[str]) -> Any:
    number = value if isinstance(value, int | float) and abs(value) < 2**70 else 0
    choice = rng.randrange(6)
    if choice == 0:
        return integer(rng, int(number))
    if choice == 1:
        return rng.choice((number * 1.5, 1e308, -1e-308, 0.1, 1e19, -0.0, number + 0.5))
    if choice == 2:
        return rng.choice((None, True, False, [], {}, "", "0"))
    if choice == 3 and words:
        return rng.choice(words)
    if choice == 4 and isinstance(value, str):
        raw = mutate_bytes(rng, value.encode("utf-8", "surrogatepass"), [b"/", b"..", b"\n", b"%2F"])
        return raw.decode("utf-8", "replace")
    return rng.choice(("\ud800", "\x00", "a" * 2000, "١", "é", "../..", "a\n", 10**40, -1, "NaN"))


def line_mutation(*words: bytes) -> Mutate:
    """Lines dropped, repeated or swapped, and single words of a line replaced."""

    def mutate(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
        lines = data.split(b"\n")
        choice = rng.random()
        if choice < 0.2:
            _rearrange(rng, lines, rng.choice(others).split(b"\n"))
        elif choice < _KEPT_SHARE:
            at = rng.randrange(len(lines))
            parts = lines[at].replace(b",", b" , ").split()
            if not parts:
                return mutate_bytes(rng, data, others)
            parts[rng.randrange(len(parts))] = _word(rng, words)
            lines[at] = b" ".join(parts).replace(b" , ", b",")
        else:
            return mutate_bytes(rng, data, others)
        return b"\n".join(lines)

    return mutate


def _word(rng: Random, words: Sequence[bytes]) -> bytes:
    if words and rng.random() < 0.4:
        return rng.choice(words)
    if rng.random() < 0.7:
        return str(integer(rng)).encode()
    return rng.choice((b"", b"nan", b"inf", b"-0", b"1e400", b"1.5", b"\xff\xfe", b'"', b"\x00", b"_", b"1" * 40))
