"""Image inspection: sizes before decoding, whole images pass, cut ones do not."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensors.decode.images import ImageInfo, decode_pixels, inspect_image, read_header
from sensors.errors import DecodeError
from tests.real_data import DATA

WIDTH_PX, HEIGHT_PX = 131, 67  # no multiple of a block


def picture(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    rgb = np.stack([x, y * 3, (x * y) % 256], axis=-1).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray((x * 257 + y).astype(np.uint16))
    return Image.fromarray(rgb).convert(mode)


def encode(image: Image.Image, encoding: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, encoding.upper(), **options)
    return stream.getvalue()


JPEGS = {
    "baseline": encode(picture(), "jpeg", quality=90),
    "progressive": encode(picture(), "jpeg", progressive=True),
    "grey": encode(picture("L"), "jpeg"),
    "cmyk": encode(picture("CMYK"), "jpeg"),
    "restart-markers": encode(picture(), "jpeg", restart_marker_blocks=4),
    "comment": encode(picture(), "jpeg", comment=b"\xff\xd9 in a comment"),
}
PNGS = {mode: encode(picture(mode), "png") for mode in ("RGB", "RGBA", "L", "LA", "P", "I;16")}
IMAGES = [pytest.param("jpeg", data, id=f"jpeg-{name}") for name, data in JPEGS.items()]
IMAGES += [pytest.param("png", data, id=f"png-{name}") for name, data in PNGS.items()]


@pytest.mark.parametrize(("encoding", "data"), IMAGES)
def test_a_whole_image_is_described(encoding: Any, data: bytes) -> None:
    info = ImageInfo(encoding, WIDTH_PX, HEIGHT_PX)
    assert read_header(data) == inspect_image(data) == inspect_image(memoryview(data)) == info


@pytest.mark.parametrize(("encoding", "data"), IMAGES)
def test_a_cut_is_found_wherever_it_is(encoding: str, data: bytes) -> None:
    for cut in {*range(0, len(data), 7), *range(len(data) - 16, len(data))}:
        with pytest.raises(DecodeError):
            inspect_image(data[:cut])
        with pytest.raises(DecodeError):
            decode_pixels(data[:cut])


@pytest.mark.parametrize(("encoding", "data"), IMAGES)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_damage_passes_or_raises_decode_error(encoding: str, data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 5))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    try:
        info = inspect_image(bytes(damaged))
    except DecodeError:
        return
    assert info.width_px * info.height_px > 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_png_pixels_are_exact(mode: str) -> None:
    np.testing.assert_array_equal(decode_pixels(PNGS[mode]), np.asarray(picture(mode).convert("RGB")))


def test_sixteen_bit_png_keeps_its_upper_byte() -> None:
    pixels = decode_pixels(PNGS["I;16"])
    assert pixels.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert pixels.dtype == np.uint8
    expected = (np.asarray(picture("I;16")) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(pixels[:, :, 0], expected)
    np.testing.assert_array_equal(pixels[:, :, 0], pixels[:, :, 2])


@pytest.mark.parametrize("name", ["baseline", "progressive"])
def test_jpeg_pixels_are_near_the_picture(name: str) -> None:
    smooth = Image.fromarray(np.tile(np.arange(WIDTH_PX, dtype=np.uint8)[None, :, None], (HEIGHT_PX, 1, 3)))
    pixels = decode_pixels(encode(smooth, "jpeg", quality=95, progressive=name == "progressive"))
    assert pixels.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert np.abs(pixels.astype(int) - np.asarray(smooth)).max() <= 4


def test_pixels_are_not_turned_by_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    assert decode_pixels(encode(picture(), "jpeg", exif=exif)).shape == (HEIGHT_PX, WIDTH_PX, 3)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width_px: int, height_px: int, depth: int = 8) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b"")


def jpeg_of_size(width_px: int, height_px: int) -> bytes:
    data = bytearray(JPEGS["baseline"])
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, height_px, width_px)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(8193, 8192), "8193 x 8192 px, the limit is 67108864"),
        (png(2**31 - 1, 2**31 - 1), "2147483647 x 2147483647"),
        (jpeg_of_size(65535, 65535), "65535 x 65535 px, the limit is 67108864"),
    ],
)
def test_a_decompression_bomb_is_refused_by_its_header(data: bytes, message: str) -> None:
    for decode in (inspect_image, decode_pixels):
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError, match=message):
                decode(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (b"GIF89a" + b"\0" * 50, "neither JPEG nor PNG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "neither JPEG nor PNG"),
        (png(0, 5), "0 x 5 px"),
        (jpeg_of_size(10, 0), "10 x 0 px"),
        (png(4, 4, depth=1), "1 bits a sample"),
        (PNGS["RGB"].replace(b"IHDR", b"IDAT", 1), "instead of IHDR"),
        (PNGS["RGB"] + b"tail", "ends without IEND"),
        (PNGS["RGB"].replace(b"IDAT", b"ISAD", 1), "does not decode"),
        (b"\xff\xd8\xff\xff\xff\xff\xda" + b"\0" * 20, "no frame header before its first scan"),
        (b"\xff\xd8\xff\xe0\x00\x02garbage...", "where a marker must be"),
        (JPEGS["baseline"].replace(b"\xff\xc4", b"\xff\xc5", 1), "does not decode"),
    ],
)
def test_what_is_not_an_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        inspect_image(data)


def test_a_png_whose_pixels_fail_their_checksum_is_refused() -> None:
    data = bytearray(PNGS["RGB"])
    data[data.index(b"IDAT") + 40] ^= 1
    with pytest.raises(DecodeError, match="does not decode"):
        inspect_image(bytes(data))


def real_images() -> list[Path]:
    root = DATA
    radar = sorted((root / "radiate_tiny_foggy").rglob("*.png"))[:3]
    return [*sorted((root / "pandaset_002").rglob("*.jpg"))[::20], *radar]


@pytest.mark.skipif(not real_images(), reason="needs SCENELAKE_TEST_DATA (real recordings, not part of the repository)")
def test_real_images_are_whole_and_their_halves_are_not() -> None:
    for path in real_images():
        data = path.read_bytes()
        info = inspect_image(data)
        assert decode_pixels(data).shape == (info.height_px, info.width_px, 3)
        with pytest.raises(DecodeError):
            inspect_image(data[: len(data) // 2])
