"""Whether two payloads are the same bytes, told from a number for each."""

from __future__ import annotations

import zlib

from sensors.decode.cdr import Bytes


def content_hash(data: Bytes) -> int:
    """CRC-32 (ISO 3309) in the lower, the length in the upper half of 63 bits.

    Meant for a payload and the one before it: two that differ have the same number once in 2**32 times, if they are of the
    same length at all. No protection against anybody who wants that.
    """
    return (len(data) & 0x7FFF_FFFF) << 32 | zlib.crc32(data)
