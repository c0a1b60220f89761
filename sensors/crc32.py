"""Joining CRC-32 checksums, so that bytes which two checksums cover are gone through once."""

from __future__ import annotations

from functools import lru_cache

REVERSED_POLYNOMIAL = 0xEDB88320  # ISO-HDLC, as in zlib: https://mcap.dev/spec, "CRC32"
ONE = 1 << 31  # x^0: the highest bit is the lowest power
BITS_A_BYTE_LOG2 = 3


def joined(first: int, second: int, second_bytes: int) -> int:
    """The CRC-32 of two byte strings put together, from that of each and the length of the second.

    A CRC is a remainder modulo P over GF(2): appending n bytes multiplies it by x^(8n), and the second's is added. zlib has
    this as `crc32_combine`, which Python does not offer.
    """
    return _product(_power(second_bytes), first) ^ second


@lru_cache(maxsize=4096)  # chunks of one sensor have few different lengths
def _power(count: int) -> int:
    """x^(8 * count) modulo P."""
    result, place = ONE, BITS_A_BYTE_LOG2
    while count:
        if count & 1:
            result = _product(_square(place), result)
        count >>= 1
        place += 1
    return result


@lru_cache(maxsize=128)
def _square(place: int) -> int:
    """x^(2^place) modulo P."""
    if place == 0:
        return 1 << 30
    half = _square(place - 1)
    return _product(half, half)


def _product(a: int, b: int) -> int:
    """a times b modulo P."""
    product = 0
    while a:
        if a & ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ (REVERSED_POLYNOMIAL if b & 1 else 0)
    return product
