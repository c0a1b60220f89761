"""Faults of image files: data that are missing or overwritten inside a file whose end looks right."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from sensors.decode.images import PNG_MAGIC

FILE_DAMAGE = frozenset({FaultKind.CUT_JPEG, FaultKind.SHORTEN_JPEG, FaultKind.ZERO_JPEG, FaultKind.SHORTEN_PNG})
END_OF_IMAGE = b"\xff\xd9"
CUT_SPAN = (0.3, 0.8)  # of the file: the header stays whole, the picture does not
RGB_HEADER = struct.Struct(">IIBBBBB")  # width, height, 8 bits, colour type 2, compression, filter, no interlace


def damaged_file(jpeg: bytes, fault: Fault, rng: np.random.Generator) -> bytes:
    """The image file after a fault of `FILE_DAMAGE`."""
    share = fault.share or 0.0
    match fault.kind:
        case FaultKind.CUT_JPEG:
            return jpeg[: int(len(jpeg) * rng.uniform(*CUT_SPAN))]
        case FaultKind.SHORTEN_JPEG:
            start, end = _coded(jpeg)
            return jpeg[: start + int((end - start) * (1.0 - share))] + END_OF_IMAGE
        case FaultKind.ZERO_JPEG:
            start, end = _coded(jpeg)
            zeros = max(1, int((end - start) * share))
            first = start + (end - start - zeros) // 2
            return jpeg[:first] + bytes(zeros) + jpeg[first + zeros :]
    return _short_png(Image.open(io.BytesIO(jpeg)).convert("RGB"), share)


def _coded(jpeg: bytes) -> tuple[int, int]:
    """Where the entropy-coded data begin and end (ITU-T T.81, B.2.3: behind the header of the scan)."""
    scan = jpeg.index(b"\xff\xda")
    return scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big"), len(jpeg) - len(END_OF_IMAGE)


def _short_png(image: Image.Image, share: float) -> bytes:
    """A PNG that declares all rows of the image and holds only the first ones; every chunk is sound (W3C PNG, 5.3)."""
    pixels = np.asarray(image)
    kept = min(round(len(pixels) * (1.0 - share)), len(pixels) - 1)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels[:kept])  # filter type 0
    header = RGB_HEADER.pack(image.width, image.height, 8, 2, 0, 0, 0)
    return PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
