"""Rigid transforms, the interpolation of poses, and small distances on the WGS 84 ellipsoid.

A transform is named `dst_SE3_src`: it maps coordinates of frame `src` to frame `dst`, so that composition reads as
cancelling neighbours: `world_SE3_ego @ ego_SE3_lidar = world_SE3_lidar`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

UNIT_TOLERANCE = 1e-3  # how far a quaternion's length may be from 1: the rounding error of six printed decimals, and no more
PARALLEL_COSINE = 1 - 1e-10  # above it arccos loses its digits; the chord is then exact to 1e-14 rad


@dataclass(frozen=True, slots=True, eq=False)
class SE3:
    """A rigid transform: unit quaternion `wxyz` (4,) float64 and translation `translation_m` (3,) float64, read-only."""

    wxyz: Floats
    translation_m: Floats

    @classmethod
    def from_wxyz(cls, translation_m: Sequence[float] | Floats, wxyz: Sequence[float] | Floats) -> Self:
        """Build from a translation (3,) in metres and a quaternion (4,), scalar first; the quaternion is normalised.

        Raises:
            ValueError: A value is not finite, a shape is wrong, or the quaternion's length is not 1 within 1e-3.
        """
        rotation = np.array(wxyz, dtype=np.float64)
        translation = np.array(translation_m, dtype=np.float64)
        if rotation.shape != (4,) or translation.shape != (3,):
            raise ValueError(f"needs 4 rotation and 3 translation values, got {rotation.shape} and {translation.shape}")
        finite(translation.tolist())
        rotation[:] = unit_quaternion(rotation.tolist())
        rotation.setflags(write=False)
        translation.setflags(write=False)
        return cls(rotation, translation)

    @classmethod
    def identity(cls) -> Self:
        """The transform that moves nothing."""
        return cls.from_wxyz((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))

    @classmethod
    def from_matrix(cls, matrix: Floats) -> Self:
        """Build from a homogeneous matrix (4, 4).

        Raises:
            ValueError: The rotation part is not orthonormal within 1e-3, or mirrors.
        """
        rotation = np.asarray(matrix, dtype=np.float64)[:3, :3]
        # Of a larger part the products could overflow; NaN compares as False.
        if (
            not np.abs(rotation).max() <= 1 + UNIT_TOLERANCE
            or np.abs(rotation @ rotation.T - np.eye(3)).max() > UNIT_TOLERANCE
            or np.linalg.det(rotation) < 0
        ):
            raise ValueError("the 3x3 part is no rotation")
        return cls.from_wxyz(np.asarray(matrix, dtype=np.float64)[:3, 3], _wxyz_of_matrix(rotation))

    @property
    def rotation(self) -> Floats:
        """Rotation matrix (3, 3)."""
        w, x, y, z = self.wxyz
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )

    @property
    def matrix(self) -> Floats:
        """Homogeneous matrix (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.translation_m
        return matrix

    def apply(self, points_m: npt.NDArray[np.floating]) -> Floats:
        """Map points (N, 3) from the source to the destination frame."""
        return np.asarray(points_m, dtype=np.float64) @ self.rotation.T + self.translation_m

    def inverse(self) -> SE3:
        """The transform back: `(dst_SE3_src).inverse()` is `src_SE3_dst`."""
        conjugate = self.wxyz * np.array([1.0, -1.0, -1.0, -1.0])
        return SE3.from_wxyz(-(self.rotation.T @ self.translation_m), conjugate)

    def __matmul__(self, other: SE3) -> SE3:
        return SE3.from_wxyz(self.apply(other.translation_m[None, :])[0], multiply(self.wxyz, other.wxyz))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SE3):
            return NotImplemented
        return np.array_equal(self.wxyz, other.wxyz) and np.array_equal(self.translation_m, other.translation_m)

    def __hash__(self) -> int:
        return hash((self.wxyz.tobytes(), self.translation_m.tobytes()))


def finite(values: Sequence[float]) -> Sequence[float]:
    """The values, if they are finite numbers.

    Raises:
        ValueError: One is NaN or infinite.
    """
    if not all(map(math.isfinite, values)):
        raise ValueError("holds a value that is not finite")
    return values


def unit_quaternion(wxyz: Sequence[float]) -> tuple[float, float, float, float]:
    """A quaternion whose length is nearly 1, made exactly so.

    Raises:
        ValueError: A value is not finite, or the length is not 1 within 1e-3.
    """
    w, x, y, z = finite(wxyz)
    length = math.hypot(w, x, y, z)  # unlike a sum of squares, it does not overflow on what a damaged message holds
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise ValueError(f"rotation is no unit quaternion: its length is {length:.6f}")
    return w / length, x / length, y / length, z / length


def multiply(left: Floats, right: Floats) -> Floats:
    """Hamilton product of two scalar-first quaternions (..., 4)."""
    lw, lx, ly, lz = np.moveaxis(left, -1, 0)
    rw, rx, ry, rz = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        axis=-1,
    )


def slerp(start: Floats, end: Floats, fraction: Floats) -> Floats:
    """Spherical interpolation between unit quaternions (N, 4) at `fraction` (N,) in [0, 1], along the shorter arc.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, section 3.3.
    """
    cosine = np.sum(start * end, axis=-1)
    end = np.where(cosine[:, None] < 0, -end, end)
    cosine = np.abs(cosine)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    nearly_parallel = cosine > PARALLEL_COSINE
    sine = np.where(nearly_parallel, 1.0, np.sin(angle))
    weight_start = np.where(nearly_parallel, 1.0 - fraction, np.sin((1.0 - fraction) * angle) / sine)
    weight_end = np.where(nearly_parallel, fraction, np.sin(fraction * angle) / sine)
    blended = weight_start[:, None] * start + weight_end[:, None] * end
    return np.asarray(blended / np.linalg.norm(blended, axis=-1, keepdims=True), dtype=np.float64)


def _wxyz_of_matrix(rotation: Floats) -> Floats:
    """Quaternion of a rotation matrix, from its largest component (Shepperd, J. Guidance and Control 1(3), 1978)."""
    m = rotation
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    pairs = np.array(
        [
            [squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], squares[1], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[1, 0] + m[0, 1], squares[2], m[2, 1] + m[1, 2]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], squares[3]],
        ]
    )
    wxyz = pairs[largest] / (2.0 * np.sqrt(squares[largest]))
    return np.asarray(wxyz / np.linalg.norm(wxyz), dtype=np.float64)


EQUATOR_RADIUS_M = 6_378_137.0  # NIMA TR8350.2, table 3.1
ECCENTRICITY_SQUARED = 6.694379990141e-3  # table 3.3


def metres_per_degree(latitude_deg: float) -> tuple[float, float]:
    """Length of a degree of latitude and of a degree of longitude, on the plane that touches the ellipsoid there.

    From the radii of curvature in the meridian and in the prime vertical (Torge, "Geodesy", section 4.1.2).
    """
    latitude_rad = math.radians(latitude_deg)
    bend = 1.0 - ECCENTRICITY_SQUARED * math.sin(latitude_rad) ** 2
    prime_vertical_m = EQUATOR_RADIUS_M / math.sqrt(bend)
    meridian_m = prime_vertical_m * (1.0 - ECCENTRICITY_SQUARED) / bend
    return math.radians(1.0) * meridian_m, math.radians(1.0) * prime_vertical_m * math.cos(latitude_rad)
