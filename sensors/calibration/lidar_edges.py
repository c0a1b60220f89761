"""Edges among a lidar's points as a camera would see them: jumps in depth, and jumps in intensity on one surface.

Levinson and Thrun, "Automatic online calibration of cameras and lasers", RSS 2013, section III, take jumps of depth along
each beam. Here points are sorted by direction as seen from the camera, in bands, so that a cloud may come in any order and
needs no beam numbers. Of a jump the nearer point counts, which the camera sees too, moved to the middle of the gap: where
the edge is between two rays is not known, and its left and right side are wrong by the same, in opposite directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAREST_M = 1.0
NEIGHBOURS = 3
BAND_RAD = np.radians(0.7)  # of elevation, in which points are neighbours across
REACH_RAD = np.radians(1.2)  # how far a neighbour may be
COLUMN_RAD = np.radians(0.25)  # of azimuth, in which points are neighbours up and down
FINE_RAD = np.radians(0.35)  # a gap between beams that is wider says too little about the height of an edge
MOST_MOVED_RAD = np.radians(0.2)
JUMP_M, JUMP_SHARE = 1.0, 0.15  # how much farther, absolutely and of the distance, what is behind an edge must be
SURFACE_M, SURFACE_SHARE = 0.3, 0.02
INTENSITY_BAND_RAD = np.radians(0.15)
INTENSITY_REACH_RAD = np.radians(1.5)
INTENSITY_SHARE = 0.2  # of the range of intensities that a jump must have
INTENSITY_NOISE = 3.0  # times what intensities differ by on either side of it
MOST_PER_KIND = 400


class EdgeKind(IntEnum):
    """Which side of a surface ends, or that its intensity changes."""

    RIGHT = 0
    LEFT = 1
    LOWER = 2
    UPPER = 3
    INTENSITY = 4


@dataclass(frozen=True, slots=True, eq=False)
class LidarEdges:
    """Edge points (N, 3) in the camera frame (x right, y down, z forward), metres, and the `EdgeKind` of each (N,) uint8."""

    points_m: Floats
    kind: npt.NDArray[np.uint8]

    def of(self, kind: EdgeKind) -> Floats:
        """The points of one kind."""
        return np.asarray(self.points_m[self.kind == kind])


def lidar_edges(
    points_m: npt.NDArray[np.floating],
    reach: tuple[float, float],
    intensity: npt.NDArray[np.floating] | None = None,
    beam: npt.NDArray[np.integer] | None = None,
) -> LidarEdges:
    """Edges among points (N, 3) in the camera frame at the image's time, within |x/z|, |y/z| of `reach`.

    `intensity` (N,) and the number of the `beam` (N,) that measured each point, where the cloud has them. At most
    `MOST_PER_KIND` of a kind, evenly taken.
    """
    points = np.asarray(points_m, dtype=np.float64)
    margin = REACH_RAD
    seen = points[:, 2] > NEAREST_M
    for axis in (0, 1):
        seen &= np.abs(points[:, axis]) < points[:, 2] * (reach[axis] + margin)
    points = points[seen]
    found = {
        EdgeKind.RIGHT: _depth_edges(points, 0, 1),
        EdgeKind.LEFT: _depth_edges(points, 0, -1),
        EdgeKind.LOWER: _depth_edges(points, 1, 1),
        EdgeKind.UPPER: _depth_edges(points, 1, -1),
    }
    if intensity is not None:
        bright = np.asarray(intensity, dtype=np.float64)[seen]
        found[EdgeKind.INTENSITY] = _intensity_edges(points, bright, None if beam is None else beam[seen])
    chosen = {kind: edges[_evenly(len(edges))] for kind, edges in found.items()}
    kinds = [np.full(len(edges), kind, dtype=np.uint8) for kind, edges in chosen.items()]
    return LidarEdges(np.concatenate(list(chosen.values())), np.concatenate(kinds))


def _depth_edges(points: Floats, axis: int, towards: int) -> Floats:
    """Points beyond which, `towards` larger (1) or smaller (-1) coordinates of `axis`, all is farther."""
    along, across, depth = _directions(points, axis)
    reach_rad, band_rad = REACH_RAD, BAND_RAD if axis == 0 else COLUMN_RAD
    band = np.floor(across / band_rad).astype(np.int64)
    order = np.lexsort((across, along, band))
    band, along, depth = band[order], along[order], depth[order]
    edge, surface = np.ones(len(order), dtype=bool), np.zeros(len(order), dtype=bool)
    behind = depth + np.maximum(JUMP_M, JUMP_SHARE * depth)
    near = SURFACE_M + SURFACE_SHARE * depth
    for step in range(1, NEIGHBOURS + 1):
        beside, far = _neighbour(band, along, reach_rad, -towards * step), np.roll(depth, -towards * step)
        edge &= ~beside | (far > behind)
        if step == 1:
            edge &= beside
        own = _neighbour(band, along, reach_rad, towards * step)
        surface |= own & (np.abs(np.roll(depth, towards * step) - depth) < near)
    gap = np.abs(np.roll(along, -towards) - along)
    if axis == 1:
        edge &= gap <= FINE_RAD
    at = np.flatnonzero(edge & surface)
    return _turned(points[order[at]], axis, towards * np.minimum(gap[at] / 2.0, MOST_MOVED_RAD))


def _intensity_edges(points: Floats, intensity: Floats, beam: npt.NDArray[np.integer] | None) -> Floats:
    """Midpoints between neighbours on one surface where the intensity changes."""
    if len(points) == 0:
        return points
    along, across, depth = _directions(points, 0)
    band = np.floor(across / INTENSITY_BAND_RAD).astype(np.int64) if beam is None else np.asarray(beam, dtype=np.int64)
    order = np.lexsort((across, along, band))
    band, along, depth, intensity = band[order], along[order], depth[order], intensity[order]
    sides: list[list[Floats]] = [[], []]
    whole = np.ones(len(order), dtype=bool)
    for step in range(NEIGHBOURS):
        for side, shift in enumerate((step, -step - 1)):
            whole &= _neighbour(band, along, INTENSITY_REACH_RAD, shift)
            whole &= np.abs(np.roll(depth, shift) - depth) < SURFACE_M / 3 + 0.05 * depth
            sides[side].append(np.roll(intensity, shift))
    before, after = np.array(sides[0]), np.array(sides[1])
    low, high = np.percentile(intensity, (5, 95))
    jump, noise = np.abs(after.mean(axis=0) - before.mean(axis=0)), before.std(axis=0) + after.std(axis=0)
    at = np.flatnonzero(whole & (jump > INTENSITY_SHARE * (high - low)) & (jump > INTENSITY_NOISE * noise))
    return 0.5 * (points[order[at]] + points[order[(at + 1) % len(order)]])


def _directions(points: Floats, axis: int) -> tuple[Floats, Floats, Floats]:
    """Angles along and across an axis of the image, and distances."""
    other = 1 - axis
    along = np.arctan2(points[:, axis], points[:, 2])
    across = np.arctan2(points[:, other], np.hypot(points[:, axis], points[:, 2]))
    return along, across, np.linalg.norm(points, axis=1)


def _neighbour(band: Ints, along: Floats, reach_rad: float, shift: int) -> npt.NDArray[np.bool_]:
    return np.asarray((np.roll(band, shift) == band) & (np.abs(np.roll(along, shift) - along) < reach_rad))


def _turned(points: Floats, axis: int, angle_rad: Floats) -> Floats:
    """Points moved by an angle towards larger coordinates of an axis."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    turned = points.copy()
    turned[:, axis] = points[:, axis] * cosine + points[:, 2] * sine
    turned[:, 2] = points[:, 2] * cosine - points[:, axis] * sine
    return turned


def _evenly(count: int) -> Ints:
    if count <= MOST_PER_KIND:
        return np.arange(count)
    return np.linspace(0, count - 1, MOST_PER_KIND).astype(np.int64)
