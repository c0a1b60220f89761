"""Measurements of the pixels of one image, at one scale for all resolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

SCALE_PX = 320  # image width that lengths refer to; a wider image keeps at least this width
DARK_LUMA = 12
BRIGHT_LUMA = 250
# Sky at night and overcast sky, also of cameras whose levels run from 16 to 235.
DIM_LUMA, PALE_LUMA = 40, 230
DAY_LUMA = 80  # mean of an image by daylight, less what is dark
PROBES = 16  # pixels of a line that are looked at first
TILE_ROWS, TILE_COLUMNS = 9, 12
MIDDLE = 128
LEAST_SIDE_PX = 3  # in a smaller image no pixel has all its neighbours
EDGE_LEVELS = 4  # from this sum of both differences on, a pixel counts for the blur
ROUNDING = 1.0 / 12.0  # variance of a level that was rounded to a whole one

Luma = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]
# ITU-R BT.601, as JFIF has it: Cb and Cr, less the 128 that stand for none, of R, G and B.
TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)
CHROMA_STEP = 2
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageMetrics:
    """Luma from 0 to 255; shares of the pixels from 0 to 1.

    `low_luma`, `median_luma`, `high_luma`: 1st, 50th and 99th percentile. `dark_share`, `bright_share`: at most `DARK_LUMA`,
    at least `BRIGHT_LUMA`. `sharpness`: variance of the Laplacian. `blur_px`: see `measure_image`; None where nothing has an
    edge. `tile_luma`, `tile_spread`: mean and standard deviation in each of `TILE_ROWS` x `TILE_COLUMNS` tiles, row by row.
    `mean_cb`, `mean_cr`: chroma in levels, 0 without colour. `chroma_spread`: root of the sum of the variances of both.
    `flat_share`, `black_share`: see `_unfilled`.

    `dark_share`, `bright_share` are None where levels are relative to what the image spans.
    """

    mean_luma: float
    low_luma: float
    median_luma: float
    high_luma: float
    dark_share: float | None
    bright_share: float | None
    sharpness: float
    blur_px: float | None
    tile_luma: tuple[float, ...]
    tile_spread: tuple[float, ...]
    mean_cb: float
    mean_cr: float
    chroma_spread: float
    flat_share: float
    black_share: float

    @property
    def colour(self) -> float:
        """How far the mean chroma is from grey, in levels."""
        return math.hypot(self.mean_cb, self.mean_cr)

    @property
    def contrast(self) -> float:
        """High less low luma."""
        return self.high_luma - self.low_luma


def measure_image(pixels: Pixels, *, stretched: bool = False) -> ImageMetrics:
    """Measure an image (H, W, 3), RGB, as `sensors.decode.images.decode_whole` gives it: `SCALE_PX` wide or wider if it can be.

    `stretched`: its levels are relative to what it spans (`sensors.decode.images.DecodedImage`).

    The variance of the Laplacian is the focus measure of Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy: a comparative study", ICPR 2000. It grows with contrast, so blur is read from a ratio that does not: a step
    blurred by a Gaussian of standard deviation s has a gradient whose mean squared frequency is 1 / (2 s^2), and that
    frequency is the energy of the Laplacian over the energy of the gradient (the second spectral moment, as in S. O. Rice,
    "Mathematical analysis of random noise", Bell System Technical Journal 24, 1945). `blur_px` is s in pixels of an image that
    is `SCALE_PX` wide (of a narrower one, in its own); a perfect step has 0.5 pixels of the image given, and noise makes it
    smaller, never larger.

    Of a heavy blur less is left than rounding to whole levels adds, and rounding looks sharp. So only pixels count whose
    luma moves by at least `EDGE_LEVELS` to their neighbours, and of their energies that of the rounding is taken away: where a
    signal moves by levels, its rounding errors are uniform and independent (Sripad and Snyder, "A necessary and sufficient
    condition for quantization errors to be uniform and white", IEEE Transactions on Acoustics, Speech, and Signal Processing
    25, 1977). Where no more than rounding is left of the Laplacian, as much again is taken for its energy.
    """
    grey = Image.fromarray(pixels).convert("L")
    luma = np.asarray(grey)
    height, width = luma.shape
    mean_cb, mean_cr, chroma_spread = _chroma(pixels)
    counts = np.array(grey.histogram())
    total = luma.size
    mean_luma = float(counts @ np.arange(256)) / total
    flat_share, black_share = _unfilled(pixels, luma, mean_luma)
    cumulative = np.cumsum(counts)
    low, median, high = (float(np.searchsorted(cumulative, share * total)) for share in (0.01, 0.5, 0.99))
    sharpness, blur = _edges(luma) if min(height, width) >= LEAST_SIDE_PX else (0.0, None)
    tile_luma, tile_spread = _tiles(luma)
    return ImageMetrics(
        mean_luma=mean_luma,
        low_luma=low,
        median_luma=median,
        high_luma=high,
        dark_share=None if stretched else float(cumulative[DARK_LUMA]) / total,
        bright_share=None if stretched else float(total - cumulative[BRIGHT_LUMA - 1]) / total,
        sharpness=sharpness,
        blur_px=None if blur is None else blur * min(1.0, SCALE_PX / width),
        tile_luma=tuple(tile_luma.ravel().tolist()),
        tile_spread=tuple(tile_spread.ravel().tolist()),
        mean_cb=mean_cb,
        mean_cr=mean_cr,
        chroma_spread=chroma_spread,
        flat_share=flat_share,
        black_share=black_share,
    )


def _chroma(pixels: Pixels) -> tuple[float, float, float]:
    """Mean Cb and Cr and their spread, from every `CHROMA_STEP`-th pixel of as many rows: cameras sample colour no finer."""
    sampled = pixels[::CHROMA_STEP, ::CHROMA_STEP]
    planes = np.empty((3, *sampled.shape[:2]), dtype=np.float32)
    np.copyto(planes, sampled.transpose(2, 0, 1))  # a third of the time that converting what was put in order takes
    chroma = TO_CHROMA @ planes.reshape(3, -1)
    mean = chroma.mean(axis=1, dtype=np.float64)
    chroma -= mean[:, None].astype(np.float32)
    mean_cb, mean_cr = mean.tolist()
    return mean_cb, mean_cr, math.sqrt(float(np.vdot(chroma, chroma)) / chroma.shape[1])


def _unfilled(pixels: Pixels, luma: Luma, mean_luma: float) -> tuple[float, float]:
    """The longest run of rows, or of columns, that hold one and the same colour throughout, as a share of all of them: of a
    colour that is neither black nor saturated, and of a black one.

    Night sky is black, and a bright one saturated: away from the last row, dark runs count only beside a picture by daylight,
    and pale ones not at all.
    """
    flat, black = 0.0, 0.0
    for lines, lumas in ((pixels, luma), (pixels.transpose(1, 0, 2), luma.T)):
        for first, after, colour in _plain_runs(lines, lumas):
            share = (after - first) / len(lines)
            darkest, brightest = int(colour.min()), int(colour.max())
            if lines is pixels and after == len(pixels):
                dark, pale = brightest <= DARK_LUMA, darkest >= BRIGHT_LUMA
            else:
                dark, pale = brightest <= DIM_LUMA, darkest >= PALE_LUMA
                rest = 1.0 - share
                if dark and (not rest or (mean_luma - share * float(colour.mean())) / rest < DAY_LUMA):
                    continue
            if dark:
                black = max(black, share)
            elif not pale:
                flat = max(flat, share)
    return flat, black


def _plain_runs(lines: Pixels, lumas: Luma) -> Iterator[tuple[int, int, Pixels]]:
    """The first, and the one after the last, of neighbouring lines (axis 0) that hold one colour (3,); a few luma values of each
    line are looked at before all of its pixels."""
    colours = lines[:, 0]
    plain = np.flatnonzero((lumas[:, :: max(1, lumas.shape[1] // PROBES)] == lumas[:, :1]).all(axis=1))
    plain = plain[(lines[plain] == colours[plain, None]).all(axis=(1, 2))]
    if not plain.size:
        return
    breaks = np.flatnonzero((np.diff(plain) > 1) | (colours[plain[1:]] != colours[plain[:-1]]).any(axis=1)) + 1
    for run in np.split(plain, breaks):
        yield int(run[0]), int(run[-1]) + 1, colours[run[0]]


def _edges(luma: Luma) -> tuple[float, float | None]:
    """Variance of the Laplacian, and the blur in pixels of the image given; None where nothing has an edge."""
    signed = luma.astype(np.int16)
    middle = signed[1:-1, 1:-1]
    right, down = signed[1:-1, 2:] - middle, signed[2:, 1:-1] - middle
    laplacian = right + down
    for neighbour in (signed[1:-1, :-2], signed[:-2, 1:-1], -middle, -middle):
        laplacian += neighbour
    variance = max(_energy(laplacian) / laplacian.size - float(laplacian.mean()) ** 2, 0.0)
    edge = np.abs(right) + np.abs(down) >= EDGE_LEVELS
    count = int(np.count_nonzero(edge))
    if not count:
        return variance, None
    for values in (right, down, laplacian):
        values *= edge  # a third of the time that choosing the pixels takes
    # A difference holds two roundings, the Laplacian one of weight 4 and four of weight 1.
    gradient = _energy(right) + _energy(down) - 4.0 * ROUNDING * count
    rounding = 20.0 * ROUNDING * count
    return variance, math.sqrt(gradient / (2.0 * max(_energy(laplacian) - rounding, rounding)))


def _energy(values: npt.NDArray[np.int16]) -> float:
    flat = values.ravel().astype(np.float32)
    return float(flat @ flat)


def _tiles(luma: Luma) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each tile; a tile of an image with fewer pixels than tiles repeats its neighbour's."""
    height, width = luma.shape
    rows, columns = _members(TILE_ROWS, height), _members(TILE_COLUMNS, width).T
    # Around the middle grey, sums of squares stay so small that float32 holds them.
    values = luma.astype(np.float32) - np.float32(MIDDLE)
    sizes = np.outer(rows.sum(axis=1), columns.sum(axis=0)).astype(np.float64)
    off = (rows @ (values @ columns)).astype(np.float64) / sizes
    square = (rows @ ((values * values) @ columns)).astype(np.float64) / sizes
    return off + MIDDLE, np.sqrt(np.maximum(square - off**2, 0.0))


@cache
def _members(tiles: int, pixels: int) -> npt.NDArray[np.float32]:
    """Which pixels (columns) lie in which of so many equal tiles (rows), as 0 and 1."""
    first = np.minimum(np.arange(tiles) * pixels // tiles, pixels - 1)
    last = np.maximum(np.append(first[1:], pixels), first + 1)
    position = np.arange(pixels)
    return np.asarray((position >= first[:, None]) & (position < last[:, None]), dtype=np.float32)
