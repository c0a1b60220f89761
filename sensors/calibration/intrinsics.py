"""Intrinsics that contradict their image, or that no lens has."""

from __future__ import annotations

import math
from collections.abc import Collection

from sensors.calibration.lens import Lens, fold_radius
from sensors.rig import Intrinsics

NARROWEST_DEG, WIDEST_DEG = 3.0, 175.0  # a telephoto lens; what a pinhole can still describe
MOST_ANAMORPHIC = 1.2  # between the two focal lengths, of sensors with square pixels
CENTRE_SHARE = 0.25  # how far off the middle of the image its principal point may be, of the image's width and height


def contradictions(intrinsics: Intrinsics, recorded: Collection[tuple[int, int]] = ()) -> tuple[str, ...]:
    """What cannot be true of the intrinsics, in words; `recorded`: the widths and heights of images that were looked at."""
    found = [
        f"images are {width} x {height} px, the calibration says {intrinsics.width_px} x {intrinsics.height_px}"
        for width, height in sorted(set(recorded))
        if (width, height) != (intrinsics.width_px, intrinsics.height_px)
    ]
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
