"""The structure of a PNG file (W3C PNG, third edition): its size, checksums, and whether it holds all of its rows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from sensors.decode.cdr import Bytes
from sensors.errors import DecodeError

SIGNATURE_BYTES = 8
HEAD = struct.Struct(">8sI4sIIBBBBB")  # signature, length, IHDR, width, height, depth, colour, compression, filter, interlace
CHUNK = struct.Struct(">I4s")
COLOUR_AT = 25  # byte of the colour type
BIT_DEPTHS = (8, 16)
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (11.2.1)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x, y, step x, step y
PALETTE = 3  # the colour type
CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
WINDOW = 1 << 22  # bytes that are inflated at a time


def png_size(data: Bytes) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        DecodeError: The file does not begin with a sound IHDR, or has a bit depth that is not read.
    """
    if len(data) < HEAD.size:
        raise DecodeError(f"the png of {len(data)} bytes ends within its header")
    _, length, chunk, width_px, height_px, depth, *_ = HEAD.unpack_from(data)
    if chunk != b"IHDR" or length != 13:
        raise DecodeError(f"the png begins with a chunk {chunk!r} of {length} bytes instead of IHDR")
    if depth not in BIT_DEPTHS:
        raise DecodeError(f"the png has {depth} bits a sample; 8 and 16 are read")
    return width_px, height_px


def check_chunks(data: Bytes) -> int | None:
    """The number of colours in the palette of a PNG; None if its pixels are no indices of one.

    A decoder that finds too few pixels fills the rest, some without an error; one that finds no palette takes grey. Bytes
    behind IEND are no part of the image.

    Raises:
        DecodeError: A chunk is damaged, or critical and unknown (5.4: what it means for the pixels cannot be guessed); IEND is
            absent, or the palette before the pixels; there are fewer or more bytes of pixels than the header implies.
    """
    due, got, palette = _pixel_bytes(data), 0, data[COLOUR_AT] == PALETTE
    colours: int | None = None
    inflate = zlib.decompressobj()
    try:
        for kind, content in _chunks(data):
            if kind == b"PLTE" and palette:
                colours = len(content) // 3
            elif kind == b"IDAT" and palette and not colours:
                raise DecodeError(f"the png of {len(data)} bytes does not decode: no palette precedes its pixels")
            elif kind not in CRITICAL and kind[:1].isupper():
                raise DecodeError(f"the png of {len(data)} bytes does not decode: its chunk {kind!r} is critical and unknown")
            piece: Bytes = content
            while kind == b"IDAT" and piece and got <= due:
                got += len(inflate.decompress(piece, WINDOW))
                piece = inflate.unconsumed_tail
    except zlib.error as error:
        raise DecodeError(f"the png of {len(data)} bytes does not decode: {error}") from error
    if got != due or not inflate.eof:
        raise DecodeError(f"the png of {len(data)} bytes does not decode: {got} bytes of pixels where its header implies {due}")
    return colours


def _chunks(data: Bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at = memoryview(data), SIGNATURE_BYTES
    while at + CHUNK.size + 4 <= len(view):
        length, kind = CHUNK.unpack_from(view, at)
        content = view[at + CHUNK.size : at + CHUNK.size + length]
        after = at + CHUNK.size + length
        if after + 4 > len(view):
            break
        if zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(view[after : after + 4], "big"):
            raise DecodeError(f"the png of {len(view)} bytes does not decode: chunk {kind!r} at byte {at} fails its checksum")
        yield kind, content
        if kind == b"IEND":
            return
        at = after + 4
    raise DecodeError(f"the png of {len(view)} bytes is cut short: it ends without IEND")


def _pixel_bytes(data: Bytes) -> int:
    """Bytes of the filtered rows: one for the filter of each, then its samples (7.2, 8.1)."""
    *_, width_px, height_px, depth, colour, _, _, interlace = HEAD.unpack_from(data)
    if colour not in SAMPLES:
        raise DecodeError(f"the png has the colour type {colour}, which does not exist")
    bits = depth * SAMPLES[colour]
    passes = ADAM7 if interlace else ((0, 0, 1, 1),)
    total = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width_px - x) // step_x), -(-(height_px - y) // step_y)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return total
