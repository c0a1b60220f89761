"""Measurements of an image against slow definitions, and against images with a known result."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFilter

from sensors.decode.images import decode_luma, decode_whole
from sensors.measure.image import EDGE_LEVELS, SCALE_PX, TILE_COLUMNS, TILE_ROWS, ImageMetrics
from sensors.measure.image import measure_image as measure_pixels

LUMA = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def encoded(image: Image.Image, kind: str = "JPEG") -> memoryview:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return memoryview(buffer.getvalue())


def measure_image(luma: npt.NDArray[np.uint8]) -> ImageMetrics:
    """Of a grey image."""
    return measure_pixels(np.repeat(luma[:, :, None], 3, axis=2))


def shown(data: memoryview) -> npt.NDArray[np.uint8]:
    """The luma that is measured."""
    return decode_whole(data, SCALE_PX).pixels[:, :, 0]


def checker(width: int = 320, height: int = 180, cell: int = 20) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.where((x // cell + y // cell) % 2, 180, 60).astype(np.uint8)


@given(LUMA)
def test_shares_and_percentiles_are_those_of_the_sorted_pixels(luma: npt.NDArray[np.uint8]) -> None:
    found, ordered = measure_image(luma), np.sort(luma.ravel())
    assert found.mean_luma == pytest.approx(luma.mean())
    assert found.dark_share == pytest.approx((luma <= 12).mean())
    assert found.bright_share == pytest.approx((luma >= 250).mean())
    for value, share in ((found.low_luma, 0.01), (found.median_luma, 0.5), (found.high_luma, 0.99)):
        assert value in ordered
        assert (ordered <= value).mean() >= share > (ordered < value).mean() - 1e-12


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_chroma_is_that_of_an_independent_conversion(pixels: npt.NDArray[np.uint8]) -> None:
    """Of every second pixel of every second row; Pillow's conversion rounds to whole levels, down."""
    converted = np.asarray(Image.fromarray(pixels).convert("YCbCr"), dtype=np.float64)
    chroma = converted[::2, ::2, 1:].reshape(-1, 2) - 128.0
    found = measure_pixels(pixels)
    assert (found.mean_cb, found.mean_cr) == pytest.approx(chroma.mean(axis=0).tolist(), abs=1.0)
    assert found.chroma_spread == pytest.approx(float(np.sqrt(chroma.var(axis=0).sum())), abs=1.5)
    assert found.colour == pytest.approx(float(np.hypot(*chroma.mean(axis=0))), abs=1.5)


def test_chroma_of_known_colours() -> None:
    green = np.zeros((4, 8, 3), np.uint8)
    green[:, :, 1] = 255
    found = measure_pixels(green)
    assert (found.mean_cb, found.mean_cr, found.chroma_spread) == pytest.approx((-84.472, -106.765, 0.0), abs=1e-3)
    assert measure_image(checker()).colour == pytest.approx(0.0, abs=1e-3)
    halves = green.copy()
    halves[:, 4:] = 128
    # Half green, half grey: the spread is half the distance between both.
    assert measure_pixels(halves).chroma_spread == pytest.approx(math.hypot(84.472, 106.765) / 2, abs=1e-2)


@given(st.integers(0, 12), st.sampled_from([(0, 135, 0), (0, 0, 0), (12, 3, 0), (13, 0, 0), (255, 255, 255), (128, 128, 128)]))
def test_rows_of_one_colour_at_the_bottom_are_counted(rows: int, colour: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(5).integers(20, 240, (12, 9, 3)).astype(np.uint8)
    pixels[12 - rows :] = colour
    found = measure_pixels(pixels)
    black, white = max(colour) <= 12, min(colour) >= 250
    assert (found.flat_share, found.black_share) == (0.0 if black or white else rows / 12, rows / 12 if black else 0.0)


GREEN, GREY, BLACK, PALE, DIM = (0, 135, 0), (128, 128, 128), (0, 0, 0), (235, 235, 235), (16, 16, 16)


@pytest.mark.parametrize(
    ("where", "share"),
    [
        (np.s_[:5], 5 / 12),
        (np.s_[4:8], 4 / 12),
        (np.s_[:, 3:9], 6 / 18),
        (np.s_[:, 9:], 9 / 18),
        (np.s_[:, 3::8], 1 / 18),
        (np.s_[:5, 1:], 0.0),
    ],
)
@pytest.mark.parametrize("colour", [GREEN, GREY, BLACK, PALE, DIM])
def test_rows_and_columns_of_one_colour_are_counted_wherever_they_are(where: Any, share: float, colour: Any) -> None:
    pixels = np.random.default_rng(5).integers(50, 230, (12, 18, 3)).astype(np.uint8)
    pixels[where] = colour
    found = measure_pixels(pixels)
    dark, flat = colour in (BLACK, DIM), colour in (GREEN, GREY)
    assert (found.flat_share, found.black_share) == (share if flat else 0.0, share if dark else 0.0)


@pytest.mark.parametrize("sky", [BLACK, DIM])
def test_night_sky_is_not_taken_for_rows_that_were_not_filled(sky: Any) -> None:
    pixels = np.random.default_rng(5).integers(0, 140, (12, 18, 3)).astype(np.uint8)
    pixels[:6] = sky
    assert (measure_pixels(pixels).flat_share, measure_pixels(pixels).black_share) == (0.0, 0.0)


def test_rows_of_a_colour_each_are_no_run() -> None:
    pixels = np.zeros((12, 9, 3), dtype=np.uint8)
    pixels[:] = np.arange(12, dtype=np.uint8)[:, None, None] * 9 + 20
    assert measure_pixels(pixels).flat_share == 1 / 12


@given(LUMA)
def test_edges_are_those_of_a_slow_loop(luma: npt.NDArray[np.uint8]) -> None:
    height, width = luma.shape
    laplacians, edges = [], []
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            here, right, down = int(luma[y, x]), int(luma[y, x + 1]), int(luma[y + 1, x])
            laplacians.append(right + int(luma[y, x - 1]) + down + int(luma[y - 1, x]) - 4 * here)
            if abs(right - here) + abs(down - here) >= EDGE_LEVELS:
                edges.append(((right - here) ** 2 + (down - here) ** 2 - 4 / 12, laplacians[-1] ** 2 - 20 / 12))
    found = measure_image(luma)
    assert found.sharpness == pytest.approx(float(np.var(laplacians or [0])), rel=1e-4, abs=1e-3)
    if not edges:
        assert found.blur_px is None
        return
    gradient, energy = map(sum, zip(*edges, strict=True))
    assert found.blur_px == pytest.approx((gradient / (2 * max(energy, len(edges) * 20 / 12))) ** 0.5, rel=1e-4)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(TILE_ROWS, 40), st.integers(TILE_COLUMNS, 40))))
def test_tiles_are_cut_and_measured_as_documented(luma: npt.NDArray[np.uint8]) -> None:
    height, width = luma.shape
    means, spreads = [], []
    for row in range(TILE_ROWS):
        for column in range(TILE_COLUMNS):
            tile = luma[
                row * height // TILE_ROWS : (row + 1) * height // TILE_ROWS,
                column * width // TILE_COLUMNS : (column + 1) * width // TILE_COLUMNS,
            ]
            means.append(tile.mean())
            spreads.append(tile.std())
    found = measure_image(luma)
    np.testing.assert_allclose(found.tile_luma, means, atol=1e-9)
    np.testing.assert_allclose(found.tile_spread, spreads, atol=1e-6)


def test_an_image_smaller_than_its_tiles_is_measured_too() -> None:
    found = measure_image(np.array([[7, 9]], dtype=np.uint8))
    assert len(found.tile_luma) == TILE_ROWS * TILE_COLUMNS
    assert set(found.tile_luma) == {7.0, 9.0}
    assert found.blur_px is None


@pytest.mark.parametrize("sigma_px", [3.0, 6.0])
@pytest.mark.parametrize("levels", [12, 40])
def test_of_a_heavy_blur_of_little_contrast_rounding_does_not_look_sharp(levels: int, sigma_px: float) -> None:
    """Texture of few levels: less of it is left in the Laplacian than rounding adds."""
    texture = np.random.default_rng(3).normal(0.0, levels, (180, 320))
    rows, columns = np.fft.fftfreq(180)[:, None], np.fft.fftfreq(320)[None, :]
    spectrum = np.fft.fft2(texture) / np.maximum(np.hypot(rows, columns) * 20, 0.1)  # as that of natural images falls
    spectrum *= np.exp(-2 * (np.pi * sigma_px) ** 2 * (rows**2 + columns**2))
    image = np.clip(np.real(np.fft.ifft2(spectrum)) * 4 + 128, 0, 255).round().astype(np.uint8)
    blur_px = measure_image(image).blur_px
    assert blur_px is None or blur_px > 1.2


@pytest.mark.parametrize("sigma_px", [0.8, 1.2, 2.0])
def test_blur_is_the_standard_deviation_of_the_gaussian_that_made_it(sigma_px: float) -> None:
    image = Image.fromarray(checker(cell=40)).filter(ImageFilter.GaussianBlur(sigma_px))
    assert measure_image(np.asarray(image)).blur_px == pytest.approx(sigma_px, rel=0.15)


def test_contrast_and_brightness_leave_blur_and_noise_never_adds_to_it() -> None:
    image = np.asarray(Image.fromarray(checker()).filter(ImageFilter.GaussianBlur(2.0)))
    plain = measure_image(image).blur_px
    fainter = measure_image((image // 2 + 60).astype(np.uint8)).blur_px
    noisy = np.clip(image + np.random.default_rng(1).normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    assert plain is not None
    assert fainter is not None
    assert fainter == pytest.approx(plain, rel=0.1)
    assert (measure_image(noisy).blur_px or 0.0) < plain


def test_blur_is_reported_at_one_scale_whatever_the_resolution() -> None:
    small, large = checker(320, 180, 20), checker(1280, 720, 80)
    by_width = []
    for luma in (small, large):
        blurred = Image.fromarray(luma).filter(ImageFilter.GaussianBlur(2.0 * luma.shape[1] / SCALE_PX))
        by_width.append(measure_image(shown(encoded(blurred, "PNG"))).blur_px)
    assert by_width[0] == pytest.approx(by_width[1], rel=0.1)


@pytest.mark.parametrize(
    ("kind", "width", "height", "expected"),
    [
        ("JPEG", 1600, 900, (225, 400)),
        ("PNG", 1600, 900, (180, 320)),
        ("JPEG", 640, 360, (180, 320)),
        ("PNG", 640, 360, (180, 320)),
        ("JPEG", 100, 60, (60, 100)),
    ],
)
def test_luma_is_scaled_by_whole_factors_and_stays_wide_enough(
    kind: str, width: int, height: int, expected: tuple[int, int]
) -> None:
    data = encoded(Image.fromarray(checker(width, height, 20)).convert("RGB"), kind)
    luma = shown(data)
    assert luma.shape == expected
    assert luma.mean() == pytest.approx(checker(width, height, 20).mean(), abs=2)


@given(st.sampled_from(["JPEG", "PNG"]), st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 2, 4, 8]))
def test_an_image_of_any_size_is_shrunk_by_the_factor_asked_for(kind: str, width: int, height: int, shrink: int) -> None:
    ramp = np.add.outer(2 * np.arange(height), np.arange(width)).astype(np.uint8)
    luma = decode_luma(encoded(Image.fromarray(ramp), kind), shrink)
    assert luma.shape == (-(-height // shrink), -(-width // shrink))
    for row, column in ((0, 0), (luma.shape[0] - 1, luma.shape[1] - 1)):
        block = ramp[row * shrink : (row + 1) * shrink, column * shrink : (column + 1) * shrink]
        assert abs(float(luma[row, column]) - float(block.mean())) <= (1 if kind == "PNG" else 12)


def test_transparency_becomes_luma() -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (200, 200, 200, 10)), "PNG")
    assert set(np.unique(shown(clear)).tolist()) == {200}


def deep(counts: npt.NDArray[np.float64]) -> ImageMetrics:
    """Of a grey image of 16 bits."""
    decoded = decode_whole(encoded(Image.fromarray(np.rint(counts).astype(np.uint16)), "PNG"), SCALE_PX)
    assert decoded.stretched
    return measure_pixels(decoded.pixels, stretched=decoded.stretched)


@pytest.mark.parametrize(("low", "span"), [(0, 1023), (0, 4095), (7500, 600), (0, 65535), (20, 255)])
def test_sixteen_bits_are_measured_by_the_levels_that_they_span(low: int, span: int) -> None:
    rng = np.random.default_rng(2)
    scene = np.clip(checker() / 255 + rng.normal(0, 0.01, (180, 320)), 0, 1)
    scene[0, :8], scene[1, :8] = 0.0, 1.0  # dead and hot pixels
    found = deep(low + span * scene)
    assert found.contrast > 110
    assert (found.dark_share, found.bright_share) == (None, None)
    assert found.blur_px is not None and found.blur_px < 0.9


def test_an_image_of_sixteen_bits_that_is_blank_stays_so() -> None:
    rng = np.random.default_rng(2)
    assert deep(np.full((180, 320), 32768.0)).contrast == 0
    assert deep(8000 + rng.integers(0, 5, (180, 320)).astype(np.float64)).contrast == 4
