"""A camera's lens: the projection to pixels, and the check for intrinsics that contradict the image or are implausible."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.rig import Intrinsics

Floats = npt.NDArray[np.float64]

RADII = 64  # radii at which the distortion is checked for a fold


@dataclass(frozen=True, slots=True)
class Lens:
    """Intrinsics for an image that was shrunk by `shrink` in both directions.

    Pixel centres have integer coordinates. The distortion is that of Brown, "Close-range camera calibration",
    Photogrammetric Engineering 37(8), 1971, in the order k1 k2 p1 p2 k3 that OpenCV and ROS (`plumb_bob`) use; k4 k5 k6
    divide (`rational_polynomial`).
    """

    intrinsics: Intrinsics
    shrink: int

    @property
    def focal_px(self) -> float:
        """Focal length in pixels of the shrunken image: pixels per radian near the axis."""
        return self.intrinsics.fx_px / self.shrink

    def pixels(self, points_m: Floats) -> tuple[Floats, Floats]:
        """Columns and rows (...) of points (..., 3) in the camera frame (x right, y down, z forward).

        NaN for what lies behind the camera, or so far aside that the distortion folds back.
        """
        lens = self.intrinsics
        with np.errstate(divide="ignore", invalid="ignore"):
            deep = np.where(points_m[..., 2] > 0.0, points_m[..., 2], np.nan)
            x, y = points_m[..., 0] / deep, points_m[..., 1] / deep
        if lens.distortion:
            seen = np.hypot(x, y) < fold_radius(lens.distortion, 2.0 * math.hypot(*self.reach()))
            x, y = distorted(np.where(seen, x, np.nan), y, lens.distortion)
        u = (lens.fx_px * x + lens.cx_px + 0.5) / self.shrink - 0.5
        v = (lens.fy_px * y + lens.cy_px + 0.5) / self.shrink - 0.5
        return u, v

    def reach(self) -> tuple[float, float]:
        """The largest |x/z| and |y/z| that the image can show, distortion left aside."""
        lens = self.intrinsics
        return (
            max(lens.cx_px, lens.width_px - lens.cx_px) / lens.fx_px,
            max(lens.cy_px, lens.height_px - lens.cy_px) / lens.fy_px,
        )


def distorted(x: Floats, y: Floats, coefficients: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Distorted image coordinates of undistorted ones, both on the plane at unit depth; up to eight coefficients."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *([0.0] * (8 - len(coefficients))))
    square = x * x + y * y
    radial = (1 + square * (k1 + square * (k2 + square * k3))) / (1 + square * (k4 + square * (k5 + square * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    )


def fold_radius(coefficients: tuple[float, ...], up_to: float) -> float:
    """The radius on the plane at unit depth beyond which the radial distortion no longer grows; inf if it grows to `up_to`."""
    radii = np.linspace(0.0, up_to, RADII)
    bent, _ = distorted(radii, np.zeros(RADII), tuple(0.0 if at in (2, 3) else k for at, k in enumerate(coefficients)))
    shrinks = np.flatnonzero(np.diff(bent) <= 0)
    return float(radii[shrinks[0]]) if shrinks.size else math.inf


NARROWEST_DEG, WIDEST_DEG = 3.0, 175.0  # a telephoto lens; what a pinhole can still describe
MOST_ANAMORPHIC = 1.2  # between the two focal lengths, of sensors with square pixels
CENTRE_SHARE = 0.25  # how far off the middle of the image its principal point may be, of the image's width and height


def contradictions(intrinsics: Intrinsics, recorded_px: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Messages about intrinsics that cannot be right; `recorded_px`: width and height that the images usually have."""
    found = []
    if recorded_px is not None and recorded_px != (intrinsics.width_px, intrinsics.height_px):
        width, height = recorded_px
        found.append(f"images are {width} x {height} px, the calibration says {intrinsics.width_px} x {intrinsics.height_px}")
    for name, size_px, focal_px, centre_px in (
        ("wide", intrinsics.width_px, intrinsics.fx_px, intrinsics.cx_px),
        ("high", intrinsics.height_px, intrinsics.fy_px, intrinsics.cy_px),
    ):
        view_deg = math.degrees(2.0 * math.atan(size_px / (2.0 * focal_px)))
        if not NARROWEST_DEG <= view_deg <= WIDEST_DEG:
            found.append(f"the field of view is {view_deg:.1f} degrees {name}, outside {NARROWEST_DEG:g} to {WIDEST_DEG:g}")
        off_centre = abs(centre_px - (size_px - 1) / 2.0) / size_px
        if off_centre > CENTRE_SHARE:
            found.append(f"the principal point is {off_centre:.0%} of an image that is {size_px} px {name} off its middle")
    ratio = max(intrinsics.fx_px, intrinsics.fy_px) / min(intrinsics.fx_px, intrinsics.fy_px)
    if ratio > MOST_ANAMORPHIC:
        found.append(f"focal lengths {intrinsics.fx_px:.1f} and {intrinsics.fy_px:.1f} px differ by {ratio - 1:.0%}")
    if intrinsics.distortion:
        corner = math.hypot(*Lens(intrinsics, 1).reach())
        fold = fold_radius(intrinsics.distortion, corner)
        # At the border of a real image the distorted radius is what the sensor sees; a fold well inside shows a world twice.
        if fold < 0.7 * corner:
            found.append(f"the distortion folds back at {fold / corner:.0%} of the way to the image's corner")
    return tuple(found)
