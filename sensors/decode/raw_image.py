"""Uncompressed images (`sensor_msgs/msg/Image`), and their conversion to PNG.

Encodings: `sensor_msgs/image_encodings.hpp`. A Bayer image keeps its mosaic, as grey: one sample per pixel, nothing
interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensors.decode.cdr import Bytes, CdrReader
from sensors.decode.images import MAX_PIXELS
from sensors.decode.messages import message_header
from sensors.errors import DecodeError

RAW_IMAGE = "sensor_msgs/msg/Image"
BAYER = tuple(f"bayer_{order}" for order in ("rggb", "bggr", "gbrg", "grbg"))
PNG_COMPRESS_LEVEL = 1  # lossless at any; camera noise gains little from more, and costs a multiple


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """A pixel: its samples in PNG order (as positions in the message's pixel), and bytes a sample."""

    samples: tuple[int, ...]
    sample_bytes: int


GREY_8, GREY_16 = PixelLayout((0,), 1), PixelLayout((0,), 2)
LAYOUTS: Mapping[str, PixelLayout] = MappingProxyType(
    {
        "mono8": GREY_8,
        "8UC1": GREY_8,
        "mono16": GREY_16,
        "16UC1": GREY_16,
        "rgb8": PixelLayout((0, 1, 2), 1),
        "bgr8": PixelLayout((2, 1, 0), 1),
        "rgba8": PixelLayout((0, 1, 2, 3), 1),
        "bgra8": PixelLayout((2, 1, 0, 3), 1),
        **{f"{name}8": GREY_8 for name in BAYER},
        **{f"{name}16": GREY_16 for name in BAYER},
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class RawImage:
    """Pixels (H, W) or (H, W, C), uint8 or uint16 in native byte order, in PNG's order of channels."""

    stamp_ns: int
    frame_id: str
    encoding: str
    pixels: npt.NDArray[Any]

    def png(self) -> bytes:
        """The pixels as PNG, 8 or 16 bit; decoding gives them back exactly."""
        out = BytesIO()
        Image.fromarray(np.ascontiguousarray(self.pixels)).save(out, "PNG", compress_level=PNG_COMPRESS_LEVEL)
        return out.getvalue()


def decode_raw_image(cdr: Bytes) -> RawImage:
    """Decode a `sensor_msgs/msg/Image` of any of `LAYOUTS`; padding at the end of rows is left out.

    Raises:
        DecodeError: The message is cut short, its sizes contradict each other, it has more than `MAX_PIXELS` pixels, or
            another encoding.
    """
    reader = CdrReader(cdr)
    stamp_ns, frame_id = message_header(reader)
    height, width = reader.u32("height"), reader.u32("width")
    encoding = reader.string("encoding")
    is_bigendian, step = reader.boolean("is_bigendian"), reader.u32("step")
    data = reader.byte_sequence("data")
    reader.finish()
    layout = LAYOUTS.get(encoding)
    if layout is None:
        raise DecodeError(f"image encoding {encoding!r} is not read; {', '.join(LAYOUTS)} are")
    if not 0 < width * height <= MAX_PIXELS:
        raise DecodeError(f"the image is {width} x {height} px; 1 to {MAX_PIXELS} px in all are read")
    row_bytes = width * len(layout.samples) * layout.sample_bytes
    if step < row_bytes or step * height != len(data):
        raise DecodeError(
            f"{height} rows of {step} bytes make {step * height}, but there are {len(data)} bytes; {width} px of {encoding} take "
            f"{row_bytes} bytes a row"
        )
    stored = np.dtype(np.uint8 if layout.sample_bytes == 1 else (">u2" if is_bigendian else "<u2"))
    rows = np.frombuffer(data, np.uint8).reshape(height, step)[:, :row_bytes]
    samples = np.ascontiguousarray(rows).view(stored).reshape(height, width, len(layout.samples))
    pixels = samples[:, :, list(layout.samples)].astype(stored.newbyteorder("="), copy=False)
    return RawImage(stamp_ns, frame_id, encoding, pixels[:, :, 0] if len(layout.samples) == 1 else pixels)
