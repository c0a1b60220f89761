"""LZF decompression, never to more than the declared size.

The bare stream of liblzf, as PCD uses it: a control byte below 32 begins a run of 1 to 32 literals; any other refers
back: its upper three bits are the length less 2 (7: the next byte is added), its lower five and the next byte the
distance less 1. Source runs may overlap what they produce.
"""

from __future__ import annotations

from sensors.errors import DecodeError

FIRST_REFERENCE = 32
LONG_LENGTH = 7


def decompress(data: bytes | memoryview, raw_bytes: int) -> bytes:
    """The `raw_bytes` decompressed bytes of `data`.

    Raises:
        DecodeError: The stream ends early, refers to before its beginning, or yields the wrong number of bytes.
    """
    stream = bytes(data)
    out = bytearray()
    at, end = 0, len(stream)
    try:
        while at < end and len(out) <= raw_bytes:
            control = stream[at]
            at += 1
            if control < FIRST_REFERENCE:
                run = stream[at : at + control + 1]
                if len(run) <= control:
                    raise DecodeError(f"the LZF stream of {end} bytes ends within a run of {control + 1} literals")
                out += run
                at += control + 1
                continue
            length = control >> 5
            if length == LONG_LENGTH:
                length += stream[at]
                at += 1
            distance = ((control & 0x1F) << 8 | stream[at]) + 1
            at += 1
            _repeat(out, distance, length + 2)
    except IndexError as error:
        raise DecodeError(f"the LZF stream of {end} bytes ends within a reference") from error
    if len(out) != raw_bytes:
        more = " or more" if len(out) > raw_bytes else ""
        raise DecodeError(f"the LZF stream of {end} bytes yields {len(out)} bytes{more}, {raw_bytes} were declared")
    return bytes(out)


def _repeat(out: bytearray, distance: int, length: int) -> None:
    start = len(out) - distance
    if start < 0:
        raise DecodeError(f"the LZF stream refers {distance} bytes back after {len(out)} bytes")
    if distance >= length:
        out += out[start : start + length]
    else:
        unit = out[start:]
        out += (unit * (length // distance + 1))[:length]
