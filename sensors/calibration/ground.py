"""Tilt and height of a lidar relative to the ground under the vehicle.

The ground is taken as one plane through the lowest points of each square metre near the vehicle: RANSAC (Fischler and
Bolles, "Random sample consensus", CACM 24(6), 1981), then least squares with Tukey's biweight (Beaton and Tukey,
Technometrics 16(2), 1974) on what is near that plane. Himmelsbach et al., "Fast segmentation of 3D point clouds for
ground vehicles", IV 2010, look for the ground in the same way, from the lowest points of cells.

That the ground is flat, and parallel to the vehicle, is an assumption. It is made for the lane only, since kerbs and the
other half of a cambered road are not parallel to it: on public recordings the whole surroundings are tilted by up to 2
degrees, the lane by 0.4. Crests, kerbs and braking differ from place to place: the median over many takes them away, and
their spread is in the uncertainty. What stays for a whole drive does not: crossfall, load and tyres. The floors stand for
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.calibration.result import Estimate, Quantity, Unobservable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAREST_M, FARTHEST_M = 3.0, 25.0  # nearer than this is the vehicle itself, farther may be another slope
LANE_M = 4.0  # to either side of the way ahead
CELL_M = 1.0
MIN_PER_CELL = 2
MIN_CELLS = 40
MIN_SPREAD_M = 1.0  # standard deviation of the cells along the plane's narrower side
MAX_TILT = math.tan(math.radians(12.0))
NEAR_M = 0.12
TRIALS = 150
ROUNDS = 8
MIN_PLACES = 8
FLOOR_ROLL_DEG = 0.2  # standard deviations of roads and loads
FLOOR_PITCH_DEG = 0.1
FLOOR_M = 0.02
QUANTITIES = (Quantity.GROUND_ROLL, Quantity.GROUND_PITCH, Quantity.GROUND_HEIGHT)
_MAD = 1.4826  # from the median of absolute deviations to the standard deviation of a normal distribution


@dataclass(frozen=True, slots=True)
class GroundPlane:
    """The plane as one sweep shows it, by `cells` square metres: its height under the ego frame's origin, and how it rises
    forward and to the left of the way that the vehicle goes.

    `place`: the number of the stretch of road (`sensors.calibration.motion`).
    """

    rise_forward: float
    rise_left: float
    height_m: float
    cells: int
    place: int


def ground_plane(ego_m: npt.NDArray[np.floating], forward: tuple[float, float], place: int) -> GroundPlane | None:
    """The ground in one sweep, points (N, 3) in the ego frame; None if no plane covers enough of the lane.

    `forward`: the unit vector (x, y) of the way that the vehicle goes, in the ego frame.
    """
    points = np.asarray(ego_m, dtype=np.float64)
    ahead_m = points[:, 0] * forward[0] + points[:, 1] * forward[1]
    left_m = points[:, 1] * forward[0] - points[:, 0] * forward[1]
    points = np.column_stack([ahead_m, left_m, points[:, 2]])
    away_m = np.hypot(ahead_m, left_m)
    points = points[(away_m > NEAREST_M) & (away_m < FARTHEST_M) & (np.abs(left_m) < LANE_M)]
    cells = _lowest(points)
    if len(cells) < MIN_CELLS:
        return None
    plane = _consensus(cells)
    # The lowest of noisy points lie below the ground, and the more of them the lower: from here on medians count.
    cells = _medians(points[np.abs(points[:, 2] - _at(plane, points)) < 2 * NEAR_M])
    for _ in range(ROUNDS):
        apart_m = cells[:, 2] - _at(plane, cells)
        weight = np.where(np.abs(apart_m) < NEAR_M, (1.0 - (apart_m / NEAR_M) ** 2) ** 2, 0.0)
        if np.count_nonzero(weight) < MIN_CELLS:
            return None
        plane = _fit(cells, weight)
    held = weight > 0
    spread_m = math.sqrt(max(float(np.linalg.eigvalsh(np.cov(cells[held, :2].T))[0]), 0.0))
    if spread_m < MIN_SPREAD_M or max(abs(plane[0]), abs(plane[1])) > MAX_TILT:
        return None
    return GroundPlane(float(plane[0]), float(plane[1]), float(plane[2]), int(np.count_nonzero(held)), place)


def against_ground(planes: Sequence[GroundPlane | None], ground_z_m: float | None) -> Mapping[Quantity, Estimate | Unobservable]:
    """The lidar's declared roll and pitch less the true ones, in degrees, and the same of its height, in metres.

    About the way that the vehicle goes and what is left of it. `planes`: one a sweep; None where there was none.
    `ground_z_m`: height of the ground in the ego frame, from the rig; None: not declared, and the height is not judged.
    """
    found = [plane for plane in planes if plane is not None]
    cells, places = sum(plane.cells for plane in found), len({plane.place for plane in found})
    if places < MIN_PLACES:
        words = f"{len(found)} of {len(planes)} sweeps show a ground plane, in {places} places, fewer than {MIN_PLACES}"
        return dict.fromkeys(QUANTITIES, Unobservable(words, len(found), cells))
    # Ground that falls away ahead is seen by a lidar that is declared to look further down than it does.
    pitch_deg = -np.degrees(np.arctan([plane.rise_forward for plane in found]))
    roll_deg = np.degrees(np.arctan([plane.rise_left for plane in found]))
    results: dict[Quantity, Estimate | Unobservable] = {
        Quantity.GROUND_ROLL: _middle(roll_deg, places, FLOOR_ROLL_DEG, cells),
        Quantity.GROUND_PITCH: _middle(pitch_deg, places, FLOOR_PITCH_DEG, cells),
    }
    if ground_z_m is None:
        words = "the rig does not say how high the ground lies in the ego frame (ground_z_m)"
        results[Quantity.GROUND_HEIGHT] = Unobservable(words, len(found), cells)
    else:
        height_m = np.array([plane.height_m for plane in found]) - ground_z_m
        results[Quantity.GROUND_HEIGHT] = _middle(height_m, places, FLOOR_M, cells)
    return results


def _middle(values: Floats, places: int, floor: float, cells: int) -> Estimate:
    middle = float(np.median(values))
    spread = _MAD * float(np.median(np.abs(values - middle))) / math.sqrt(places)
    return Estimate(middle, 2.0 * math.hypot(spread, floor), len(values), cells)


def _lowest(points: Floats) -> Floats:
    """The second lowest point of each square metre (M, 3): one stray return below the ground is not it."""
    order, starts, counts = _by_cell(points)
    return np.asarray(points[order[starts[counts >= MIN_PER_CELL] + 1]])


def _medians(points: Floats) -> Floats:
    """The point of median height of each square metre (M, 3)."""
    order, starts, counts = _by_cell(points)
    held = counts >= MIN_PER_CELL
    return np.asarray(points[order[starts[held] + counts[held] // 2]])


def _by_cell(points: Floats) -> tuple[Ints, Ints, Ints]:
    """The points' order by square metre and height; where in it each of these begins, and how many points it has."""
    cell = np.floor(points[:, :2] / CELL_M).astype(np.int64)
    number = cell[:, 0] * 4096 + cell[:, 1]
    order = np.lexsort((points[:, 2], number))
    number = number[order]
    starts = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    return order, starts, np.diff(np.append(starts, len(number)))


def _consensus(cells: Floats) -> Floats:
    """The plane through three cells that most cells are near to."""
    rng = np.random.default_rng(0)
    picks = cells[rng.integers(0, len(cells), (TRIALS, 3))]
    system = np.concatenate([picks[..., :2], np.ones((TRIALS, 3, 1))], axis=-1)
    solvable = np.abs(np.linalg.det(system)) > 1.0
    planes = np.linalg.solve(system[solvable], picks[solvable][..., 2:])[..., 0]
    planes = planes[(np.abs(planes[:, :2]) < MAX_TILT).all(axis=1)]
    if len(planes) == 0:
        return np.array([0.0, 0.0, float(np.median(cells[:, 2]))])
    apart_m = np.abs(cells[None, :, 2] - (planes[:, :2] @ cells[:, :2].T + planes[:, 2:]))
    return np.asarray(planes[np.argmax((apart_m < NEAR_M).sum(axis=1))])


def _fit(cells: Floats, weight: Floats) -> Floats:
    root = np.sqrt(weight)
    system = np.column_stack([cells[:, 0], cells[:, 1], np.ones(len(cells))])
    return np.asarray(np.linalg.lstsq(system * root[:, None], cells[:, 2] * root, rcond=None)[0])


def _at(plane: Floats, cells: Floats) -> Floats:
    return np.asarray(plane[0] * cells[:, 0] + plane[1] * cells[:, 1] + plane[2])
