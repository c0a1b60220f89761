"""How a lidar is turned about the vertical, against the way that the vehicle goes between two sweeps.

What stands still is seen twice, the second time shifted by the lidar's own displacement. Poses say how long that shift is and
in which direction of the vehicle; the two sweeps say in which direction of the lidar. The angle between both is the error of the
declared yaw: hand-eye calibration (Tsai and Lenz, "A new technique for fully autonomous and efficient 3D robotics hand/eye
calibration", IEEE Trans. Robotics and Automation 5(3), 1989) of one angle, with the length known. All directions are tried, so a
lidar that is declared the wrong way round is found as one that is off by a few degrees.

The score of a direction is how many upright points of one sweep fall where the other has some. A road between two walls looks
the same from further along: the uncertainty is that of a bootstrap over the pairs, and a best direction on which they do not
agree is no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.calibration.result import Estimate, Unobservable
from sensors.geometry import SE3

Floats = npt.NDArray[np.float64]

NEAREST_M, FARTHEST_M = 2.0, 40.0  # nearer is the vehicle itself, farther points are sparse
LOWEST_M, HIGHEST_M = 0.4, 4.0  # above the ground under the vehicle: what stands on it
LOWEST_PERCENT = 5  # of the points near the vehicle: the ground, where the rig does not say where it is
CELL_M = 0.25
POINTS = 4000  # of a sweep
LEAST_POINTS = 200
STEP_DEG = 0.5
TURNS_DEG: Floats = np.arange(-180.0, 180.0, STEP_DEG)
PEAK_STEPS = 8  # to each side, that a peak is made of
MIN_PAIRS = 4
RESAMPLES = 200
FLOOR_DEG = 0.3  # standard deviation: poses, moving objects, the cells
AGREE_DEG = 10.0
RIVAL_SHARE = 0.8  # of the best score, above the usual one, that another direction may reach
AGREE_SHARE = 0.95  # of the bootstrap's directions that must be near the best one


@dataclass(frozen=True, slots=True, eq=False)
class SweepPair:
    """Upright points of two sweeps, and how the lidar moved between them.

    `before_m` (N, 2), `after_m` (M, 2): seen from the lidar, along the axes of the ego frame as the rig declares its mounting,
    the former turned to the vehicle's later heading. `moved_m` (2,): the lidar's displacement in the later ego frame.
    """

    before_m: Floats
    after_m: Floats
    moved_m: Floats


def sweep_pair(
    before_m: npt.NDArray[np.floating],
    after_m: npt.NDArray[np.floating],
    ego_SE3_lidar: SE3,
    later_SE3_earlier: SE3,
    ground_z_m: float | None,
) -> SweepPair | None:
    """A pair from the positions (N, 3) and (M, 3) of two sweeps in the lidar's frame; None if too few are upright.

    `later_SE3_earlier`: from the ego frame at the first sweep to that at the second. `ground_z_m`: of the ground in it; None:
    where the lowest points are.
    """
    turn = later_SE3_earlier.rotation
    mounted = ego_SE3_lidar.translation_m
    sweeps = []
    for xyz_m, rotation in ((before_m, turn), (after_m, np.eye(3))):
        seen = np.asarray(xyz_m, dtype=np.float64) @ ego_SE3_lidar.rotation.T
        away_m = np.hypot(seen[:, 0], seen[:, 1])
        near = (away_m > NEAREST_M) & (away_m < FARTHEST_M)
        if not near.any():
            return None
        ground_m = np.percentile(seen[near, 2], LOWEST_PERCENT) if ground_z_m is None else ground_z_m - mounted[2]
        height_m = seen[:, 2] - ground_m
        upright = (height_m > LOWEST_M) & (height_m < HIGHEST_M) & near
        chosen = np.flatnonzero(upright)
        if chosen.size < LEAST_POINTS:
            return None
        chosen = chosen[:: -(-chosen.size // POINTS)]
        sweeps.append((seen[chosen] @ rotation.T)[:, :2])
    moved_m = (turn @ mounted + later_SE3_earlier.translation_m - mounted)[:2]
    return SweepPair(sweeps[0], sweeps[1], moved_m)


def turn_scores(pair: SweepPair) -> Floats:
    """The share of the first sweep's points that have one of the second's nearby, for each yaw error of `TURNS_DEG` (A,).

    A lidar that is declared too far to the left by an angle sees its displacement turned to the left by it.
    """
    half = math.ceil((FARTHEST_M + float(np.hypot(*pair.moved_m))) / CELL_M) + 2  # no turn leads out of the grid
    grid = _occupied(pair.after_m, half)
    width, cells = len(grid), grid.ravel()
    cosine, sine = np.cos(np.radians(TURNS_DEG)), np.sin(np.radians(TURNS_DEG))
    x_m, y_m = pair.moved_m
    shift = np.stack([cosine * x_m - sine * y_m, sine * x_m + cosine * y_m], axis=1) / CELL_M
    near = pair.before_m[np.hypot(*pair.before_m.T) <= FARTHEST_M]  # a tilt may have carried a point beyond the grid
    x, y = np.ascontiguousarray(near.T) / CELL_M + (half + 0.5)  # the half is what truncation takes off
    scores = np.zeros(len(TURNS_DEG))
    for at, (ahead, aside) in enumerate(shift):
        rows, columns = (x + ahead).astype(np.int64), (y + aside).astype(np.int64)
        scores[at] = cells.take(rows * width + columns).sum() / len(pair.before_m)
    return scores


def lidar_yaw(scores: Sequence[Floats]) -> Estimate | Unobservable:
    """The lidar's declared yaw less the true one, in degrees, with its uncertainty; from the `turn_scores` of each pair."""
    pairs = len(scores)
    if pairs < MIN_PAIRS:
        return Unobservable(f"{pairs} pairs of sweeps a few metres apart show what stands upright, fewer than {MIN_PAIRS}", pairs)
    curves = np.array(scores)
    total = curves.sum(axis=0)
    best = int(np.argmax(total))
    drawn = np.random.default_rng(0).multinomial(pairs, np.full(pairs, 1.0 / pairs), RESAMPLES) @ curves
    agree = np.abs(_wrapped(TURNS_DEG[np.argmax(drawn, axis=1)] - TURNS_DEG[best])) <= AGREE_DEG
    rival = float(total[np.abs(_wrapped(TURNS_DEG - TURNS_DEG[best])) > AGREE_DEG].max())
    usual = float(np.median(total))
    if float(agree.mean()) < AGREE_SHARE or rival - usual > RIVAL_SHARE * (float(total[best]) - usual):
        return Unobservable("no direction stands out: the surroundings look alike from further along", pairs)
    around = best + np.arange(-PEAK_STEPS, PEAK_STEPS + 1)
    offsets: Floats = around.astype(np.float64) * STEP_DEG - 180.0
    around %= len(TURNS_DEG)
    error = float(_peaks(total[None, around], offsets)[0])
    spread = float(_peaks(drawn[:, around], offsets).std())
    return Estimate(float(_wrapped(error)), 2.0 * math.hypot(spread, FLOOR_DEG), pairs, pairs)


def _occupied(points_m: Floats, half: int) -> Floats:
    """A grid of so many cells to each side of the lidar: 1 where a point is, less in the cells beside it."""
    grid = np.zeros((2 * half + 1, 2 * half + 1))
    cells = np.rint(points_m / CELL_M).astype(np.int64) + half
    grid[cells[:, 0], cells[:, 1]] = 1.0
    spread = grid.copy()
    for axis in (0, 1):
        near = np.maximum(np.roll(spread, 1, axis), np.roll(spread, -1, axis))
        spread = np.maximum(spread, 0.5 * near)
    return spread


def _peaks(scores: Floats, turns_deg: Floats) -> Floats:
    """Where each row of scores (R, A) is largest, as the middle of what is near its largest value, weighted by it."""
    top = scores.max(axis=1, keepdims=True)
    low = scores.min(axis=1, keepdims=True)
    weight = np.maximum(scores - (low + 0.7 * (top - low)), 0.0)
    total = weight.sum(axis=1)
    middle = (weight @ turns_deg) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, middle, turns_deg[np.argmax(scores, axis=1)]))


def _wrapped(angle_deg: npt.ArrayLike) -> Floats:
    return np.asarray((np.asarray(angle_deg, dtype=np.float64) + 180.0) % 360.0 - 180.0)
