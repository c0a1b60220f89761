"""Lidar points in a camera's image: pinhole with plumb-bob distortion, as OpenCV defines it.

Source: OpenCV documentation, "Camera Calibration and 3D Reconstruction", detailed description (the rational model,
of which plumb bob is the case k4 = k5 = k6 = 0). The camera frame is the optical one: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.geometry import SE3
from sensors.rig import Intrinsics

Floats = npt.NDArray[np.float64]
NEAREST_M = 0.2
COEFFICIENTS = 8  # k1 k2 p1 p2 k3 k4 k5 k6
_RADII = np.linspace(0.0, 4.0, 2001)  # tangent of the angle to the axis; 4 is 76 degrees


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """The points that the image shows: `index` (M,) into the input, pixels (M, 2) as u right, v down, depth (M,)."""

    index: npt.NDArray[np.int64]
    pixels_px: Floats
    depth_m: Floats


def project(points_m: npt.NDArray[np.floating], camera_SE3_points: SE3, intrinsics: Intrinsics) -> Projected:
    """Project points (N, 3) into an image.

    Left out are points nearer than 0.2 m to the camera's plane or behind it, points outside the image, points that
    are not finite, and points so far off the axis that the distortion polynomial folds them back into the image.
    """
    index = np.flatnonzero(np.isfinite(points_m).all(axis=1))
    camera_m = camera_SE3_points.apply(points_m[index])
    ahead = camera_m[:, 2] > NEAREST_M
    index, camera_m = index[ahead], camera_m[ahead]
    normal = camera_m[:, :2] / camera_m[:, 2:]
    distortion = coefficients(intrinsics.distortion)
    unfolded = np.hypot(normal[:, 0], normal[:, 1]) <= fold_radius(distortion)
    index, camera_m, normal = index[unfolded], camera_m[unfolded], normal[unfolded]
    pixels = distort(normal, distortion) * (intrinsics.fx_px, intrinsics.fy_px) + (intrinsics.cx_px, intrinsics.cy_px)
    inside = ((pixels >= -0.5) & (pixels < (intrinsics.width_px - 0.5, intrinsics.height_px - 0.5))).all(axis=1)
    return Projected(index[inside], pixels[inside], camera_m[inside, 2])


def distort(normal: Floats, distortion: Floats) -> Floats:
    """Distort normalised image coordinates (N, 2) by (k1, k2, p1, p2, k3, k4, k5, k6)."""
    p1, p2 = distortion[2], distortion[3]
    x, y = normal[:, 0], normal[:, 1]
    r2 = x * x + y * y
    radial = _radial(r2, distortion)
    return np.column_stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ]
    )


def fold_radius(distortion: Floats) -> float:
    """The largest undistorted radius up to which a point further out also appears further out; infinite without a fold."""
    distorted = _RADII * _radial(_RADII * _RADII, distortion)
    backward = np.flatnonzero(~(np.diff(distorted) > 0))
    return float(_RADII[backward[0]]) if backward.size else float("inf")


def coefficients(distortion: tuple[float, ...]) -> Floats:
    """The given coefficients (up to 8, in OpenCV's order), filled up with zeros."""
    filled = np.zeros(COEFFICIENTS)
    filled[: len(distortion)] = distortion
    return filled


def _radial(r2: Floats, distortion: Floats) -> Floats:
    k1, k2, _, _, k3, k4, k5, k6 = distortion
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    return np.asarray(above / below, dtype=np.float64)
