"""First intersections of rays with the ground plane or a box.

The slab test of Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986, in each box's own frame. Rays come in
columns of one origin and one instant, as a spinning lidar fires them; a box is tested only against the columns that
can meet it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.synthetic.world import Boxes

Floats = npt.NDArray[np.float64]

NOTHING = -1
GROUND = -2
NEVER_ZERO = 1e-12  # a ray parallel to a slab meets it at infinity, with the right sign
FAN = 0.02  # how far a tilted column leaves its vertical plane, per metre of distance; 0.5 degrees of tilt give 0.006


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """First hits of C columns of R rays: range_m (C, R), inf for none; target (C, R): box index, GROUND or NOTHING."""

    range_m: Floats
    target: npt.NDArray[np.int32]


def cast(origin_m: Floats, direction: Floats, boxes: Boxes, max_range_m: float) -> Hits:
    """Cast unit rays `direction` (C, R, 3) from `origin_m` (C, 3), both in the world frame.

    `boxes` holds C instants, one per column. Hits beyond `max_range_m` do not count; a box that contains the origin is not
    hit.
    """
    with np.errstate(divide="ignore"):
        ground = np.where(direction[..., 2] < 0.0, -origin_m[:, None, 2] / direction[..., 2], np.inf)
    range_m = np.where(ground <= max_range_m, ground, np.inf)
    target = np.where(np.isfinite(range_m), np.int32(GROUND), np.int32(NOTHING))
    column, box = _candidates(origin_m, direction, boxes, max_range_m)
    if len(column):
        entry = _entries(origin_m[column], direction[column], boxes, column, box)
        entry[entry > max_range_m] = np.inf
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        nearest = np.minimum.reduceat(entry, starts, axis=0)
        met = column[starts]
        nearer = nearest < range_m[met]
        owner = np.zeros(nearest.shape, dtype=np.int32)
        group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(column))))
        pair, ray = np.nonzero(np.isfinite(entry) & (entry == nearest[group]))
        owner[group[pair], ray] = box[pair]
        range_m[met] = np.where(nearer, nearest, range_m[met])
        target[met] = np.where(nearer, owner, target[met])
    return Hits(range_m, target.astype(np.int32))


def _candidates(
    origin_m: Floats, direction: Floats, boxes: Boxes, max_range_m: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of column and box that may meet, sorted by column."""
    heading = direction[:, :, :2].sum(axis=1)
    heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), NEVER_ZERO)
    offset = boxes.centre_m[:, :, :2] - origin_m[:, None, :2]
    radius = np.hypot(boxes.size_m[:, 0], boxes.size_m[:, 1])[None, :] / 2.0
    along = offset[..., 0] * heading[:, None, 0] + offset[..., 1] * heading[:, None, 1]
    across = np.abs(offset[..., 0] * heading[:, None, 1] - offset[..., 1] * heading[:, None, 0])
    may_meet = (along > -radius) & (along < max_range_m + radius) & (across <= radius + FAN * np.abs(along))
    column, box = np.nonzero(may_meet)
    return column, box


def _entries(
    origin_m: Floats, direction: Floats, boxes: Boxes, column: npt.NDArray[np.int64], box: npt.NDArray[np.int64]
) -> Floats:
    """Range (P, R) at which the rays of each pair enter its box, inf where they miss."""
    yaw = boxes.yaw_rad[column, box]
    cosine, sine = np.cos(yaw), np.sin(yaw)
    offset = origin_m - boxes.centre_m[column, box]
    half = boxes.size_m[box] / 2.0
    local_origin = (cosine * offset[:, 0] + sine * offset[:, 1], cosine * offset[:, 1] - sine * offset[:, 0], offset[:, 2])
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    local_direction = (cosine[:, None] * x + sine[:, None] * y, cosine[:, None] * y - sine[:, None] * x, z)
    near = np.full(x.shape, -np.inf)
    far = np.full(x.shape, np.inf)
    for axis in range(3):
        inverse = 1.0 / np.where(np.abs(local_direction[axis]) < NEVER_ZERO, NEVER_ZERO, local_direction[axis])
        middle = -local_origin[axis][:, None] * inverse
        reach = half[:, axis][:, None] * np.abs(inverse)
        np.maximum(near, middle - reach, out=near)
        np.minimum(far, middle + reach, out=far)
    return np.where((near <= far) & (near > 0.0), near, np.inf)
