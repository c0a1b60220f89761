"""Image inspection: sizes before decoding, whole images pass, cut ones do not."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensors.decode.images import ImageInfo, decode_luma, decode_pixels, decode_whole, inspect_image, read_header
from sensors.decode.png import SAMPLES, check_chunks
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


def png(width_px: int, height_px: int, depth: int = 8, colour: int = 0) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, depth, colour, 0, 0, 0))
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
        (PNGS["RGB"][:-12], "ends without IEND"),
        (png(4, 4, colour=1), "colour type 1"),
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


def scans_of(jpeg: bytes) -> list[int]:
    return [at for at in range(len(jpeg) - 1) if jpeg[at : at + 2] == b"\xff\xda"]


def entropy_coded(jpeg: bytes) -> int:
    """Where the data of the first scan begin."""
    scan = scans_of(jpeg)[0]
    return scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")


def without_segment(jpeg: bytes, marker: int) -> bytes:
    kept, at = bytearray(jpeg[:2]), 2
    while jpeg[at + 1] != 0xDA:
        size = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        kept += b"" if jpeg[at + 1] == marker else jpeg[at : at + size]
        at += size
    return bytes(kept + jpeg[at:])


def repaired_jpegs() -> dict[str, bytes]:
    """What libjpeg decodes with a warning that Pillow does not pass on."""
    found = {}
    for name in ("baseline", "progressive", "grey", "restart-markers"):
        data = JPEGS[name]
        start = entropy_coded(data)
        for share in (0.0, 0.05, 0.4, 0.9, 0.99):
            found[f"{name}-cut-at-{share}"] = data[: start + int((len(data) - 2 - start) * share)] + b"\xff\xd9"
        third = (len(data) - start) // 3
        found[f"{name}-zeroed"] = data[: start + third] + bytes(third) + data[start + 2 * third :]
    restarts = JPEGS["restart-markers"]
    marks = [
        at
        for at in range(entropy_coded(restarts), len(restarts) - 1)
        if restarts[at] == 0xFF and 0xD0 <= restarts[at + 1] <= 0xD7
    ]
    found["restart-interval-lost"] = restarts[: marks[2]] + restarts[marks[3] :]
    found["taller-than-its-data"] = jpeg_of_size(WIDTH_PX, HEIGHT_PX + 64)
    return found


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in repaired_jpegs().items()])
def test_what_a_codec_would_repair_is_refused(data: bytes) -> None:
    for decode in (inspect_image, decode_pixels, lambda data: decode_luma(data, 4), lambda data: decode_whole(data, 40)):
        with pytest.raises(DecodeError, match=r"does not decode|lacks scans"):
            decode(data)


def test_a_progressive_image_without_its_last_scans_is_refused() -> None:
    data = JPEGS["progressive"]
    scans = scans_of(data)
    assert len(scans) > 5
    for scan in scans[1:]:
        with pytest.raises(DecodeError, match="lacks scans"):
            inspect_image(data[:scan] + b"\xff\xd9")


@pytest.mark.parametrize("rows", [0, HEIGHT_PX // 2, HEIGHT_PX - 1, HEIGHT_PX + 1])
def test_a_png_with_too_few_or_too_many_rows_is_refused(rows: int) -> None:
    row = b"\0" + bytes(range(WIDTH_PX))
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH_PX, HEIGHT_PX, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(row * rows)) + png_chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match=f"{rows * len(row)} bytes of pixels where its header"):
        inspect_image(data)


def indexed(*chunks: tuple[bytes, bytes]) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 4, 8, 3, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(png_chunk(*one) for one in chunks) + png_chunk(b"IEND", b"")


INDICES = zlib.compress((b"\0" + bytes(range(8))) * 4)


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([(b"IDAT", INDICES)], "no palette precedes its pixels"),
        ([(b"IDAT", INDICES), (b"PLTE", bytes(24))], "no palette precedes its pixels"),
        ([(b"PLTE", b""), (b"IDAT", INDICES)], "no palette precedes its pixels"),
        ([(b"PLTE", bytes(21)), (b"IDAT", INDICES)], "pixels of colour 7; its palette has 7"),
        ([(b"PLTE", bytes(24)), (b"ABCD", b"?"), (b"IDAT", INDICES)], "critical and unknown"),
    ],
)
def test_a_png_whose_colours_are_not_known_is_refused(chunks: list[tuple[bytes, bytes]], says: str) -> None:
    for decode in (inspect_image, decode_pixels, lambda data: decode_luma(data, 2), lambda data: decode_whole(data, 8)):
        with pytest.raises(DecodeError, match=says):
            decode(indexed(*chunks))


def test_a_png_with_a_palette_and_ancillary_chunks_decodes() -> None:
    palette = bytes(value for index in range(8) for value in (index, 2 * index, 3 * index))
    data = indexed((b"PLTE", palette), (b"tRNS", b"\0"), (b"abCd", b"?"), (b"IDAT", INDICES))
    assert decode_pixels(data)[0].tolist() == [[index, 2 * index, 3 * index] for index in range(8)]


@pytest.mark.parametrize("colour", sorted(SAMPLES))
@pytest.mark.parametrize("interlace", [False, True])
def test_the_bytes_of_a_png_are_counted_for_every_kind(colour: int, interlace: bool) -> None:
    """Against row lengths from the definition of the passes: which pixels of an 8 x 8 cell each takes."""
    for width_px, height_px in ((1, 1), (5, 3), (8, 8), (13, 1), (9, 17)):
        taken = [(x, y) for y in range(height_px) for x in range(width_px)]
        passes = [taken]
        if interlace:
            cell = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
            passes = [[(x, y) for x, y in taken if cell[y % 8][x % 8] == str(number)] for number in range(1, 8)]
        due = sum(len({y for _, y in one}) + len(one) * SAMPLES[colour] for one in passes)
        head = struct.pack(">IIBBBBB", width_px, height_px, 8, colour, 0, 0, int(interlace))
        for size, good in ((due, True), (due - 1, False), (due + 1, False)):
            data = (
                b"\x89PNG\r\n\x1a\n"
                + png_chunk(b"IHDR", head)
                + png_chunk(b"PLTE", bytes(3))
                + png_chunk(b"IDAT", zlib.compress(bytes(size)))
                + png_chunk(b"IEND", b"")
            )
            with nullcontext() if good else pytest.raises(DecodeError):
                check_chunks(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JPEGS["baseline"] + bytes(700), id="jpeg-padded"),
        pytest.param(JPEGS["progressive"] + b"\xff" * 9, id="jpeg-filled"),
        pytest.param(JPEGS["baseline"] * 2, id="two-jpegs"),
        pytest.param(without_segment(JPEGS["baseline"], 0xC4), id="jpeg-without-huffman-tables"),
        pytest.param(JPEGS["restart-markers"], id="jpeg-restarts"),
        pytest.param(PNGS["RGB"] + bytes(3), id="png-padded"),
    ],
)
def test_what_is_whole_is_accepted(data: bytes) -> None:
    assert inspect_image(data) == ImageInfo("png" if data[:1] == b"\x89" else "jpeg", WIDTH_PX, HEIGHT_PX)


def test_missing_huffman_tables_are_the_standard_ones() -> None:
    np.testing.assert_array_equal(decode_pixels(without_segment(JPEGS["baseline"], 0xC4)), decode_pixels(JPEGS["baseline"]))


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
@pytest.mark.parametrize("name", ["baseline", "progressive", "grey", "restart-markers"])
def test_reduced_images_are_those_of_an_independent_decoder(name: str, shrink: int) -> None:
    size = (-(-HEIGHT_PX // shrink), -(-WIDTH_PX // shrink))
    for mode, ours in (("L", decode_luma(JPEGS[name], shrink)), ("RGB", decode_whole(JPEGS[name], WIDTH_PX // shrink).pixels)):
        with Image.open(BytesIO(JPEGS[name])) as image:
            image.draft(mode, (max(1, WIDTH_PX // shrink), max(1, HEIGHT_PX // shrink)))
            theirs = np.asarray(image.convert(mode))
        assert ours.shape[:2] == theirs.shape[:2] == size
        np.testing.assert_array_equal(ours, theirs)


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
