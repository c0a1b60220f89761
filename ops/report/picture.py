"""Camera frames for the report: small JPEGs, with or without lidar points."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from ops.report.projection import Projected

THUMBNAIL_PX = 560
QUALITY = 80
NEAR_M, FAR_M = 3.0, 60.0
DIMMED = 0.55
DENSE = 15_000  # from this many points on each is one pixel: larger dots would hide the image
MAX_RAW_BYTES = 600_000  # a damaged image is shown unchanged, up to this size


def thumbnail(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A JPEG of an image (H, W, 3), at most 560 px wide."""
    return _jpeg(_small(pixels))


def overlay(pixels: npt.NDArray[np.uint8], projected: Projected) -> bytes:
    """A JPEG of a dimmed image (H, W, 3) with points coloured by depth, near red to far blue, nearest on top."""
    small = _small(pixels)
    scale = small.width / pixels.shape[1]
    canvas = (np.asarray(small, dtype=np.float64) * DIMMED).astype(np.uint8)
    order = np.argsort(-projected.depth_m, kind="stable")
    u = np.clip(np.rint(projected.pixels_px[order, 0] * scale).astype(int), 0, small.width - 1)
    v = np.clip(np.rint(projected.pixels_px[order, 1] * scale).astype(int), 0, small.height - 1)
    colours = _colours(projected.depth_m[order])
    spread = (0,) if len(order) > DENSE else (0, 1)
    for down in spread:
        for right in spread:
            canvas[np.minimum(v + down, small.height - 1), np.minimum(u + right, small.width - 1)] = colours
    return _jpeg(Image.fromarray(canvas))


def _colours(depth_m: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    # Depth is perceived in ratios: half a metre matters at 5 m and not at 50 m.
    share = np.log(np.clip(depth_m, NEAR_M, FAR_M) / NEAR_M) / np.log(FAR_M / NEAR_M)
    return np.asarray(colormaps["turbo_r"](share)[:, :3] * 255, dtype=np.uint8)


def _small(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(pixels)
    if image.width > THUMBNAIL_PX:
        height_px = max(1, round(image.height * THUMBNAIL_PX / image.width))
        image = image.resize((THUMBNAIL_PX, height_px), Image.Resampling.BILINEAR)
    return image


def _jpeg(image: Image.Image) -> bytes:
    body = io.BytesIO()
    image.save(body, "JPEG", quality=QUALITY)
    return body.getvalue()


def find_image(body: bytes) -> tuple[bytes, str] | None:
    """The image in a payload copy, intact or damaged, and its media type; None if there is none.

    A copy may hold the whole message: the image starts at its signature, within the first kilobyte.
    """
    for signature, media_type in ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png")):
        start = body[:1024].find(signature)
        if start >= 0:
            return body[start:], media_type
    return None
