"""Mutations of bytes independent of any format: the damage of a disk, a network or an attacker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MAX_INPUT_BYTES = 128 * 1024
MOST_MUTATIONS = 4
_WIDTHS = (1, 2, 4, 8)
_EDGES = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 1023, 1024, 4095, 4096, 65535, 65536, 10**9 - 1, 10**9)
_POWERS = tuple(2**bits + delta for bits in (15, 16, 20, 24, 28, 31, 32, 53, 62, 63, 64) for delta in (-1, 0, 1))

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""A new input, from one and the others that it may borrow from."""


def integer(rng: Random, near: int = 0) -> int:
    """A number that length checks tend to get wrong: an edge, a power of two, a value near `near`, or any."""
    choice = rng.randrange(6)
    if choice == 0:
        return rng.choice(_EDGES)
    if choice == 1:
        return rng.choice(_POWERS)
    if choice == 2:
        return -rng.choice(_EDGES)
    if choice in (3, 4):
        return near + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    return rng.getrandbits(rng.choice((8, 16, 32, 64)))


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    """Where a part begins and ends; mostly short ones."""
    start = rng.randrange(len(data) + 1)
    longest = min(len(data) - start, 1 << rng.randrange(1, 14))
    return start, start + rng.randint(0, longest)


def _flip(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    out = bytearray(data)
    for _number in range(1 << rng.randrange(4)):
        at = rng.randrange(len(out))
        out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def _set_byte(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes((rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))),)) + data[at + 1 :]


def _set_integer(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    width = rng.choice(_WIDTHS)
    if len(data) < width:
        return data
    at = rng.randrange(len(data) - width + 1)
    if rng.random() < 0.7:  # fields of messages and headers are aligned, mostly
        at -= at % width
    order = rng.choice(("little", "little", "big"))
    near = int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
    value = integer(rng, rng.choice((near, len(data), len(data) - at - width)))
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]


def _truncate(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _extend(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    count = 1 << rng.randrange(12)
    return data + (bytes(count) if rng.random() < 0.5 else rng.randbytes(count))


def _delete(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _duplicate(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    times = rng.choice((1, 1, 2, 8, 64))
    return data[:end] + data[start:end] * times + data[end:]


def _move(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    part, rest = data[start:end], data[:start] + data[end:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + part + rest[at:]


def _fill(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    filling = bytes((rng.choice((0, 0xFF, 0x20, rng.randrange(256))),)) * (end - start)
    return data[:start] + (filling if rng.random() < 0.6 else rng.randbytes(end - start)) + data[end:]


def _splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start, end = _span(rng, other)
    at = rng.randrange(len(data) + 1)
    if rng.random() < 0.5:
        return data[:at] + other[min(at, len(other)) :]
    return data[:at] + other[start:end] + data[at + (end - start) * rng.randrange(2) :]


_ALL: tuple[Mutate, ...] = (
    _flip,
    _set_byte,
    _set_integer,
    _set_integer,
    _set_integer,
    _truncate,
    _extend,
    _delete,
    _duplicate,
    _move,
    _fill,
    _splice,
)


def mutate_bytes(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One mutation of any kind."""
    if not data:
        return rng.randbytes(1 + rng.randrange(16))
    return rng.choice(_ALL)(rng, data, others)


def with_tokens(*tokens: bytes, share: float = 0.3) -> Mutate:
    """As `mutate_bytes`; in a `share` of the cases a word of the format is inserted, or written over what is there."""

    def mutate(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
        if rng.random() >= share:
            return mutate_bytes(rng, data, others)
        token, at = rng.choice(tokens), rng.randrange(len(data) + 1)
        return data[:at] + token + data[at + rng.choice((0, len(token))) :]

    return mutate


def several(rng: Random, mutate: Mutate, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to four mutations, one after the other, cut to the largest input."""
    for _number in range(rng.randint(1, MOST_MUTATIONS)):
        data = mutate(rng, data, others)[:MAX_INPUT_BYTES]
    return data
