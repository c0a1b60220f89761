"""Camera and radar images, as JPEG or PNG, decoded strictly: what a codec would repair is an error.

The header is read before a codec sees the data, so that an image whose size would exhaust memory is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from sensors.decode.cdr import Bytes
from sensors.decode.jpeg import check_scans, jpeg_size
from sensors.decode.png import check_chunks, png_size
from sensors.errors import DecodeError

Encoding = Literal["jpeg", "png"]

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 64 * 1024 * 1024
INSPECTION_SCALE = 8  # libjpeg decodes at 1/8 from the DC coefficients, yet must parse all entropy-coded data
JPEG_SCALES = (8, 4, 2, 1)
ODD_PIXELS = 0.001  # of the pixels at each end do not count for the levels that a 16 bit image spans: hot and dead ones
SAMPLED_PX = 256  # about so many pixels a side show what levels an image spans

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


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


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An image that was decoded whole: `pixels` (H, W, 3) uint8, RGB, reduced; `samples` what two images have to share to show
    the same (the pixels, of a PNG at full size and depth). `stretched`: it is grey of 16 bits, and its levels in `pixels` are
    relative to those that it spans."""

    info: ImageInfo
    pixels: Pixels
    samples: npt.NDArray[np.generic]
    stretched: bool = False


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
    try:
        return _magic(data)
    except DecodeError as error:
        raise DecodeError(f"{error}; the message calls it {name[:40]!r}") from error


def inspect_image(data: Bytes) -> ImageInfo:
    """Parse an image to its last byte, at an eighth of the size where the codec allows.

    Raises:
        DecodeError: See `decode_whole`.
    """
    info = read_header(data)
    if info.encoding == "jpeg":
        _jpeg(data, info, "GRAY", INSPECTION_SCALE)
    else:
        _png(data, info)
    return info


def decode_whole(data: Bytes, least_width_px: int) -> DecodedImage:
    """Decode an image once and whole, reduced as far as it stays `least_width_px` wide.

    The decoding is strict: whatever libjpeg warns of and repairs (data that end early, a bad Huffman code, a lost restart
    interval) is an error. Bytes behind the end of the image are ignored, and the standard tables of ITU-T T.81, annex K.3,
    replace Huffman tables that are missing, as the USB video class allows. JPEG has no checksum: a flipped bit that leaves a
    legal code stream goes unnoticed.

    Raises:
        DecodeError: It is neither JPEG nor PNG, cut short, corrupt, or has more than `MAX_PIXELS` pixels.
    """
    info = read_header(data)
    shrink = shrink_to(info, least_width_px)
    if info.encoding == "jpeg":
        pixels = _jpeg(data, info, "RGB", shrink)
        return DecodedImage(info, pixels, pixels)
    image = _png(data, info)
    pixels = _reduced(_stretched(image).convert("RGB"), shrink)
    return DecodedImage(info, pixels, np.asarray(image), stretched=_deep(image))


def shrink_to(info: ImageInfo, least_width_px: int) -> int:
    """How far an image may be shrunk while it stays `least_width_px` wide, its height in proportion.

    A JPEG by 1, 2, 4 or 8: its codec scales by no other factor.
    """
    least_height_px = max(1, info.height_px * least_width_px // info.width_px)
    most = max(1, min(info.width_px // least_width_px, info.height_px // least_height_px))
    return most if info.encoding == "png" else next(scale for scale in JPEG_SCALES if scale <= most)


def decode_luma(data: Bytes, shrink: int) -> Pixels:
    """The luma of an image, (ceil(H / shrink), ceil(W / shrink)) uint8: means of as many pixels.

    A JPEG that is shrunk by 2, 4 or 8 is decoded at that size, which costs a fraction (libjpeg uses fewer coefficients)
    while all of it is parsed. Of 16 bit grey, the levels that the image spans become 8 bit; transparency is dropped.

    Raises:
        DecodeError: See `decode_whole`.
    """
    info = read_header(data)
    if info.encoding == "jpeg":
        return _jpeg(data, info, "GRAY", shrink)[:, :, 0]
    return _reduced(_stretched(_png(data, info)).convert("L"), shrink)


def decode_pixels(data: Bytes) -> Pixels:
    """The pixels (H, W, 3) uint8, RGB. Grey is repeated, 16 bit keeps its upper 8, transparency is dropped.

    An orientation in EXIF data is ignored: calibrations refer to the sensor's rows and columns.

    Raises:
        DecodeError: See `decode_whole`.
    """
    info = read_header(data)
    if info.encoding == "jpeg":
        return _jpeg(data, info, "RGB", 1)
    return np.array(_upper_bits(_png(data, info)).convert("RGB"), dtype=np.uint8)


def read_header(data: Bytes) -> ImageInfo:
    """Encoding and size, without decoding anything.

    Raises:
        DecodeError: It is neither JPEG nor PNG, its header is broken, or it has more than `MAX_PIXELS` pixels.
    """
    encoding = _magic(data)
    width_px, height_px = png_size(data) if encoding == "png" else jpeg_size(data)
    if width_px < 1 or height_px < 1:
        raise DecodeError(f"the {encoding} is {width_px} x {height_px} px")
    if width_px * height_px > MAX_PIXELS:
        raise DecodeError(f"the {encoding} is {width_px} x {height_px} px, the limit is {MAX_PIXELS} px in all")
    return ImageInfo(encoding, width_px, height_px)


def _jpeg(data: Bytes, info: ImageInfo, colorspace: str, shrink: int) -> Pixels:
    height_px, width_px = -(-info.height_px // shrink), -(-info.width_px // shrink)
    check_scans(data)
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace, min_height=height_px, min_width=width_px, min_factor=1, strict=True)
    except ValueError as error:
        raise DecodeError(f"the jpeg of {len(data)} bytes does not decode: {error}") from error
    if pixels.shape[:2] != (height_px, width_px):
        raise DecodeError(
            f"the jpeg of {info.width_px} x {info.height_px} px decodes to {pixels.shape[1::-1]} px, shrunk by {shrink}"
        )
    return np.asarray(pixels)


def _png(data: Bytes, info: ImageInfo) -> Image.Image:
    """The decoded image, with whatever the codec makes of hostile bytes translated to DecodeError."""
    colours = check_chunks(data)
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            if image.size != (info.width_px, info.height_px):
                raise DecodeError(f"the png has two sizes: {info.width_px} x {info.height_px} and {image.size} px")
            image.load()
            if colours is not None and (highest := int(np.asarray(image).max())) >= colours:
                raise DecodeError(f"the png of {len(data)} bytes has pixels of colour {highest}; its palette has {colours}")
            return image
    except (DecodeError, MemoryError):
        raise
    except Exception as error:
        # Pillow answers broken data with OSError, SyntaxError, ValueError, struct.error, zlib.error and others.
        raise DecodeError(f"the png of {len(data)} bytes does not decode: {error or type(error).__name__}") from error


def _deep(image: Image.Image) -> bool:
    return image.mode.startswith("I")


def _upper_bits(image: Image.Image) -> Image.Image:
    if not _deep(image):
        return image
    return Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))


def _stretched(image: Image.Image) -> Image.Image:
    """An image of 16 bit grey in 8 bit, without its offset: a camera of 10 bits fills the lower ones, a thermal one a fraction.

    Levels are merged where there are too many, never spread: an image that is blank stays so.
    """
    if not _deep(image):
        return image
    levels = np.asarray(image, dtype=np.uint16)
    step = max(1, min(levels.shape) // SAMPLED_PX)
    low, high = np.quantile(levels[::step, ::step], (ODD_PIXELS, 1.0 - ODD_PIXELS), method="nearest")
    gain = min(1.0, 255.0 / max(float(high) - float(low), 1.0))
    scaled = (levels.astype(np.float32) - np.float32(low)) * np.float32(gain)
    return Image.fromarray(np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8))


def _reduced(image: Image.Image, shrink: int) -> Pixels:
    return np.array(image.reduce(shrink) if shrink > 1 else image, dtype=np.uint8)


def _magic(data: Bytes) -> Encoding:
    head = bytes(data[: len(PNG_MAGIC)])
    if head == PNG_MAGIC:
        return "png"
    if head.startswith(JPEG_MAGIC):
        return "jpeg"
    raise DecodeError(f"{len(data)} bytes that begin with {head!r} are neither JPEG nor PNG")
