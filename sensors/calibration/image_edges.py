"""Edge maps of an image: largest on the edges, and independent of contrast and exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.rig import Intrinsics

Floats32 = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

MIN_FOCAL_PX = 450.0  # of the shrunken image: a pixel is then at most 0.13 degrees wide, and finds 0.05 by interpolation
SHRINKS = (8, 4, 2, 1)  # what libjpeg can do while it decodes
BLUR_RAD = np.radians(0.12)  # twice this wide box, twice: how near an edge must be to count
SURROUNDINGS_RAD = np.radians(2.0)  # what a gradient is compared with
NOISE = 2.0  # grey levels between two neighbours that are no edge


@dataclass(frozen=True, slots=True, eq=False)
class EdgeMaps:
    """Edge strength (H, W) in 0 to 255: `upright` of edges that run up and down, `level` of those that run across."""

    upright: Bytes
    level: Bytes

    @property
    def any(self) -> Bytes:
        """Of edges in either direction."""
        return np.maximum(self.upright, self.level)


def shrink_of(intrinsics: Intrinsics) -> int:
    """How far an image may be shrunk for `edge_maps`: 1, 2, 4 or 8."""
    return next((shrink for shrink in SHRINKS if intrinsics.fx_px / shrink >= MIN_FOCAL_PX), 1)


def edge_maps(grey: Bytes, focal_px: float) -> EdgeMaps:
    """The edges of a grey image (H, W) whose focal length is `focal_px` of its own pixels.

    A gradient counts by its share in itself and the mean around it, so that bushes and gravel, which have gradients
    everywhere, are no edges. It is then spread by a blur: what the inverse distance transform is for in Levinson and
    Thrun, "Automatic online calibration of cameras and lasers", RSS 2013, section III.
    """
    smooth = _mean(_mean(grey.astype(np.float32), 1, 0), 1, 1)
    blur, around = max(1, int(focal_px * BLUR_RAD)), max(2, int(focal_px * SURROUNDINGS_RAD))
    maps = []
    for axis in (1, 0):
        gradient = np.zeros(smooth.shape, dtype=np.float32)
        inner = [slice(None), slice(None)]
        inner[axis] = slice(1, -1)
        ahead, behind = [slice(None), slice(None)], [slice(None), slice(None)]
        ahead[axis], behind[axis] = slice(2, None), slice(None, -2)
        gradient[tuple(inner)] = np.abs(smooth[tuple(ahead)] - smooth[tuple(behind)])
        usual = _mean(_mean(gradient, around, 0), around, 1)
        strength = (gradient / (gradient + 2.0 * usual + NOISE)).astype(np.float32)
        maps.append(np.rint(255.0 * _mean(_mean(strength, blur, axis), blur, axis)).astype(np.uint8))
    return EdgeMaps(*maps)


def values_at(field: Bytes, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A map (H, W) between its pixels, bilinearly, at columns and rows (...); NaN outside, and where they are NaN."""
    height, width = field.shape
    with np.errstate(invalid="ignore"):
        inside = (u >= 0) & (v >= 0) & (u < width - 1) & (v < height - 1)
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    left, top = u.astype(np.int64), v.astype(np.int64)
    right_share, lower_share = u - left, v - top
    flat = field.ravel()
    at = top * width + left
    upper = flat[at] * (1 - right_share) + flat[at + 1] * right_share
    lower = flat[at + width] * (1 - right_share) + flat[at + width + 1] * right_share
    return np.where(inside, upper * (1 - lower_share) + lower * lower_share, np.nan)


def _mean(field: Floats32, reach: int, axis: int) -> Floats32:
    """Mean over 2 * reach + 1 neighbours along an axis; the border is repeated."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (reach + 1, reach)
    total = np.cumsum(np.pad(field, pad, mode="edge"), axis=axis, dtype=np.float32)
    count, width = field.shape[axis], 2 * reach + 1
    ends, starts = [slice(None), slice(None)], [slice(None), slice(None)]
    ends[axis], starts[axis] = slice(width, width + count), slice(0, count)
    return np.asarray((total[tuple(ends)] - total[tuple(starts)]) * np.float32(1.0 / width))
