"""Camera and radar images, as JPEG or PNG.

The header is read here, before a codec sees the data, so that an image whose size would exhaust memory is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensors.decode.cdr import Bytes
from sensors.errors import DecodeError

Encoding = Literal["jpeg", "png"]

MAX_PIXELS = 64 * 1024 * 1024
INSPECTION_SCALE = 8  # libjpeg decodes at 1/8 from the DC coefficients, yet must parse all entropy-coded data
JPEG_SCALES = (8, 4, 2, 1)

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
PNG_HEAD = struct.Struct(">8sI4sIIBB")  # magic, length, IHDR, width, height, bit depth, colour type
PNG_BIT_DEPTHS = (8, 16)

# ITU-T T.81, table B.1: the frame headers (without DHT, JPG and DAC, which share their range), and markers without length.
JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
JPEG_START_OF_SCAN = 0xDA
JPEG_FRAME = struct.Struct(">HBHH")  # length, precision, height, width
JPEG_SEGMENT = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as recorded; `encoding` as the message declares it, `data` (read-only) the file's bytes."""

    stamp_ns: int
    frame_id: str
    encoding: Encoding
    data: memoryview


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The contents of an image's header."""

    encoding: Encoding
    width_px: int
    height_px: int


def image_encoding(name: str, data: Bytes) -> Encoding:
    """The encoding named by `sensor_msgs/msg/CompressedImage.format`, else the one that the data's signature shows.

    Raises:
        DecodeError: Neither JPEG nor PNG by either.
    """
    words = name.lower()
    if "png" in words:
        return "png"
    if "jpeg" in words or "jpg" in words:
        return "jpeg"
    return _magic(data)


def inspect_image(data: Bytes) -> ImageInfo:
    """Parse an image to its last byte, at an eighth of the size where the codec allows.

    Finds an image that is cut short, and a JPEG or PNG whose structure is broken. JPEG has no checksum: a flipped bit
    that leaves a legal code stream goes unnoticed.

    Raises:
        DecodeError: It is neither JPEG nor PNG, cut short, corrupt, or has more than `MAX_PIXELS` pixels.
    """
    info = read_header(data)
    with _opened(data, info) as image:
        image.draft("L", (info.width_px // INSPECTION_SCALE, info.height_px // INSPECTION_SCALE))
        image.load()
    return info


def shrink_to(info: ImageInfo, least_width_px: int) -> int:
    """How far an image may be shrunk by `decode_luma` while it stays `least_width_px` wide, its height in proportion.

    Of a JPEG 1, 2, 4 or 8: its codec scales by no other factor.
    """
    least_height_px = max(1, info.height_px * least_width_px // info.width_px)
    most = max(1, min(info.width_px // least_width_px, info.height_px // least_height_px))
    return most if info.encoding == "png" else next(scale for scale in JPEG_SCALES if scale <= most)


def decode_luma(data: Bytes, shrink: int) -> npt.NDArray[np.uint8]:
    """Parse an image to its last byte, and its luma, (ceil(H / shrink), ceil(W / shrink)) uint8: means of as many pixels.

    A JPEG that is shrunk by 2, 4 or 8 is decoded at that size, which costs a fraction (libjpeg uses fewer coefficients);
    what is parsed is all of it, as by `inspect_image`. 16 bit keeps its upper 8; transparency is dropped.

    Raises:
        DecodeError: It is neither JPEG nor PNG, cut short, corrupt, or has more than `MAX_PIXELS` pixels.
    """
    info = read_header(data)
    size = (-(-info.width_px // shrink), -(-info.height_px // shrink))
    with _opened(data, info) as image:
        image.draft("L", (max(1, info.width_px // shrink), max(1, info.height_px // shrink)))
        image.load()
        if image.mode.startswith("I"):
            grey = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
        else:
            grey = image.convert("L")
        if grey.size != size:  # the part of the scaling that the codec has not done
            grey = grey.reduce(round(shrink * grey.width / info.width_px))
        return np.asarray(grey, dtype=np.uint8)


def decode_pixels(data: Bytes) -> npt.NDArray[np.uint8]:
    """The pixels (H, W, 3) uint8, RGB. Grey is repeated, 16 bit keeps its upper 8, transparency is dropped.

    An orientation in EXIF data is ignored: calibrations refer to the sensor's rows and columns.

    Raises:
        DecodeError: It is neither JPEG nor PNG, cut short, corrupt, or has more than `MAX_PIXELS` pixels.
    """
    info = read_header(data)
    with _opened(data, info) as image:
        image.load()
        if image.mode.startswith("I"):
            grey = (np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(image.convert("RGB"), dtype=np.uint8)


def read_header(data: Bytes) -> ImageInfo:
    """Encoding and size, without decoding anything.

    Raises:
        DecodeError: It is neither JPEG nor PNG, its header is broken, or it has more than `MAX_PIXELS` pixels.
    """
    encoding = _magic(data)
    width_px, height_px = _png_size(data) if encoding == "png" else _jpeg_size(data)
    if width_px < 1 or height_px < 1:
        raise DecodeError(f"the {encoding} is {width_px} x {height_px} px")
    if width_px * height_px > MAX_PIXELS:
        raise DecodeError(f"the {encoding} is {width_px} x {height_px} px, the limit is {MAX_PIXELS} px in all")
    return ImageInfo(encoding, width_px, height_px)


@contextmanager
def _opened(data: Bytes, info: ImageInfo) -> Iterator[Image.Image]:
    """The opened image; any error that a codec raises for hostile bytes becomes a DecodeError."""
    tail = bytes(data[-len(PNG_END) :])
    if info.encoding == "png" and tail != PNG_END:
        raise DecodeError(f"the png of {len(data)} bytes is cut short: it ends without IEND")
    try:
        with Image.open(BytesIO(data), formats=(info.encoding.upper(),)) as image:
            if image.size != (info.width_px, info.height_px):
                raise DecodeError(f"the {info.encoding} has two sizes: {info.width_px} x {info.height_px} and {image.size} px")
            yield image
    except (DecodeError, MemoryError):
        raise
    except Exception as error:
        # Pillow's codecs answer broken data with OSError, SyntaxError, ValueError, struct.error, zlib.error and others.
        raise DecodeError(f"the {info.encoding} of {len(data)} bytes does not decode: {error or type(error).__name__}") from error


def _magic(data: Bytes) -> Encoding:
    head = bytes(data[: len(PNG_MAGIC)])
    if head == PNG_MAGIC:
        return "png"
    if head.startswith(JPEG_MAGIC):
        return "jpeg"
    raise DecodeError(f"{len(data)} bytes that begin with {head!r} are neither JPEG nor PNG")


def _png_size(data: Bytes) -> tuple[int, int]:
    if len(data) < PNG_HEAD.size:
        raise DecodeError(f"the png of {len(data)} bytes ends within its header")
    _, length, chunk, width_px, height_px, depth, _ = PNG_HEAD.unpack_from(data)
    if chunk != b"IHDR" or length != 13:
        raise DecodeError(f"the png begins with a chunk {chunk!r} of {length} bytes instead of IHDR")
    if depth not in PNG_BIT_DEPTHS:
        raise DecodeError(f"the png has {depth} bits a sample; 8 and 16 are read")
    return width_px, height_px


def _jpeg_size(data: Bytes) -> tuple[int, int]:
    """Height and width of the first frame header (T.81, annex B.2.2); a height of 0, given later by DNL, is refused."""
    at = 2
    while at + 2 + JPEG_FRAME.size <= len(data):
        if data[at] != 0xFF:
            raise DecodeError(f"the jpeg has {data[at]:#04x} at byte {at}, where a marker must be")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in JPEG_BARE_MARKERS:
            at += 2
        elif marker in JPEG_FRAME_MARKERS:
            _, _, height_px, width_px = JPEG_FRAME.unpack_from(data, at + 2)
            return width_px, height_px
        elif marker == JPEG_START_OF_SCAN:
            break
        else:
            at += 2 + int(JPEG_SEGMENT.unpack_from(data, at + 2)[0])
    raise DecodeError(f"the jpeg of {len(data)} bytes has no frame header before its first scan")
