"""Rotation of a camera relative to a lidar: the rotation that aligns the lidar's edges with those of the images.

The score of a turn is the mean edge strength of the images at the lidar's edge points. It is evaluated on turns around the
declared calibration and followed axis by axis to its maximum (Levinson and Thrun, "Automatic online calibration of cameras
and lasers", RSS 2013, section IV, who compare the declared calibration with its neighbours; the coordinate search and the
uncertainty are our own). A shift of the camera by some centimetres cannot be distinguished from a turn, which looks the same
at one distance.

The uncertainty is that of a bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Ann. Statist. 7(1), 1979)
over blocks, not points: edges of one object are wrong together. A block is one sector of the image while the vehicle drives
a few metres, so that a standing vehicle has few, however long it stands. To it is added what no number of images takes
away: rolling shutters, trigger times, and the lidar's own spacing of rays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sensors.calibration.image_edges import EdgeMaps, values_at
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_edges import EdgeKind, LidarEdges
from sensors.calibration.result import Estimate, Quantity, Unobservable

Floats = npt.NDArray[np.float64]

ROLL, PITCH, YAW = 0, 1, 2
QUANTITIES = (Quantity.CAMERA_ROLL, Quantity.CAMERA_PITCH, Quantity.CAMERA_YAW)
GROUPS = ((EdgeKind.RIGHT, EdgeKind.LEFT), (EdgeKind.LOWER, EdgeKind.UPPER), (EdgeKind.INTENSITY,))
SEARCHES = (  # axis, how far and how finely, in degrees: near the first turn, then around what was found
    (YAW, 4.0, 0.1), (PITCH, 3.0, 0.1), (ROLL, 3.0, 0.15), (YAW, 1.0, 0.05), (PITCH, 1.0, 0.05), (ROLL, 1.0, 0.1),
)  # fmt: skip
FINAL_REACH_DEG, FINAL_STEP_DEG = 1.5, 0.05
SECTORS = 16
RESAMPLES = 200
MIN_EDGES = 150
MIN_BLOCKS = 8
FLOORS_DEG = (0.15, 0.08, 0.08)  # standard deviations of roll, pitch, yaw; six good cameras show up to 0.3, 0.2, 0.15
CLEAR_DEG = 0.1  # a turn that is proven to be larger is held against a wrong time
JOINT_REACH_DEG, JOINT_STEP_DEG = 4.0, 0.1
STEP_MS = 5.0
TIMES_MS: Floats = np.arange(-60.0, 60.0 + STEP_MS, STEP_MS)
FLOOR_MS = 2.0  # standard deviation: exposure and rolling shutter
MS_PER_S = 1000.0
SLOW_M_S, SLOW_RAD_S = 0.5, 0.02
WIDEST_YAW_DEG = 0.4  # 95 %: edges that match nothing agree on a turn no better than to 0.45 degrees


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One image and the lidar's edges in its camera's declared frame, at its time.

    `place`: the number of the stretch of road (`sensors.calibration.motion`). `velocity_m_s`, `turn_rad_s` (3,): of the camera
    at that time, in its declared frame; zeros where they are not known.
    """

    edges: LidarEdges
    maps: EdgeMaps
    place: int
    velocity_m_s: Floats = field(default_factory=lambda: np.zeros(3))
    turn_rad_s: Floats = field(default_factory=lambda: np.zeros(3))

    @property
    def moves(self) -> bool:
        """Whether an image that is taken a little later looks different."""
        return float(np.linalg.norm(self.velocity_m_s)) > SLOW_M_S or float(np.linalg.norm(self.turn_rad_s)) > SLOW_RAD_S

    def after(self, seconds: float) -> View:
        """What the camera sees of the same edges so much later."""
        points_m = self.edges.points_m
        moved_m = points_m - (self.velocity_m_s + np.cross(self.turn_rad_s, points_m)) * seconds
        return replace(self, edges=LidarEdges(moved_m, self.edges.kind))


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """Sums of edge strength, and numbers of points inside the images, by block, kind and turn: (B, K, A) each."""

    strength: Floats
    points: Floats

    def scores(self, weights: Floats) -> Floats:
        """The score of each turn (R, A) with blocks weighted (R, B)."""
        strength: Floats = np.einsum("rb,bka->rka", weights, self.strength)
        points = np.einsum("rb,bka->rka", weights, self.points)
        total: Floats = np.zeros(strength.shape[::2])
        for group in GROUPS:
            sides = [int(kind) for kind in group]
            held = points[:, sides] > 0
            means = np.where(held, strength[:, sides] / np.maximum(points[:, sides], 1.0), 0.0)
            # Both sides of a surface count the same, however many points each has: their errors cancel.
            of_group = means.sum(axis=1) / np.maximum(held.sum(axis=1), 1)
            total += of_group * points[:, sides].sum(axis=1).mean(axis=-1, keepdims=True)
        return total


def align(views: Sequence[View], lens: Lens) -> Mapping[Quantity, Estimate | Unobservable]:
    """The camera's declared roll, pitch and yaw less the true ones, in degrees, each with its uncertainty.

    From a moving vehicle an image that is stamped too early or too late looks like one of a turned camera. So where a turn
    shows, it is sought again together with a time: what a time explains is no turn, and the time, in ms by which images are
    older than their stamps say, is one of the quantities. What cannot be told apart makes both uncertain.
    """
    found = _turned(views, lens)
    enough = len(np.unique(np.concatenate(_blocks(views)))) >= MIN_BLOCKS if views else False
    if not enough or not any(view.moves for view in views) or not any(_doubtful(value) for value in found.values()):
        return found
    turn_deg = np.array([value.error if isinstance(value, Estimate) else 0.0 for value in map(found.__getitem__, QUANTITIES)])
    yaw, time_ms = _yaw_and_time(views, lens, turn_deg)
    if not yaw.uncertainty <= WIDEST_YAW_DEG or abs(time_ms.error) > TIMES_MS[-1] - STEP_MS:
        return found
    later = _turned([view.after(-time_ms.error / MS_PER_S) for view in views], lens)
    return {**later, Quantity.CAMERA_YAW: yaw, Quantity.CAMERA_TIME: time_ms}


def _doubtful(value: Estimate | Unobservable) -> bool:
    return isinstance(value, Unobservable) or value.proven > CLEAR_DEG


def _yaw_and_time(views: Sequence[View], lens: Lens, turn_deg: Floats) -> tuple[Estimate, Estimate]:
    blocks, offsets = _blocks(views), _offsets(JOINT_REACH_DEG, JOINT_STEP_DEG)
    start = np.where(np.arange(3) == YAW, 0.0, turn_deg)
    tallies = [
        _tally([view.after(-ms / MS_PER_S) for view in views], blocks, lens, start, YAW, offsets) for ms in TIMES_MS.tolist()
    ]
    count = len(tallies[0].strength)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), RESAMPLES).astype(np.float64)
    weights = np.concatenate([np.ones((1, count)), drawn])
    scores = np.stack([tally.scores(weights) for tally in tallies], axis=1)  # (R, times, turns)
    at_time = np.argmax(scores.max(axis=2), axis=1)
    rows = np.arange(len(scores))
    yaws_deg = _peaks(scores[rows, at_time], offsets)
    times_ms = _peaks(scores.max(axis=2), TIMES_MS)
    edges = sum(len(view.edges.kind) for view in views)
    yaw_spread, time_spread = float(np.std(yaws_deg[1:] - yaws_deg[0])), float(np.std(times_ms[1:] - times_ms[0]))
    return (
        Estimate(float(yaws_deg[0]), 2.0 * math.hypot(yaw_spread, FLOORS_DEG[YAW]), len(views), edges),
        Estimate(float(times_ms[0]), 2.0 * math.hypot(time_spread, FLOOR_MS), len(views), edges),
    )


def _turned(views: Sequence[View], lens: Lens) -> Mapping[Quantity, Estimate | Unobservable]:
    edges = sum(len(view.edges.kind) for view in views)
    blocks = _blocks(views)
    present = len(np.unique(np.concatenate(blocks))) if blocks else 0
    if edges < MIN_EDGES or present < MIN_BLOCKS:
        words = f"{edges} edge points in {present} places, fewer than {MIN_EDGES} or {MIN_BLOCKS}"
        return {quantity: Unobservable(words, len(views), edges) for quantity in QUANTITIES}
    turn_deg = np.zeros(3)
    for axis, reach_deg, step_deg in SEARCHES:
        offsets = _offsets(reach_deg, step_deg)
        tally = _tally(views, blocks, lens, turn_deg, axis, offsets)
        found_deg = _peaks(tally.scores(np.ones((1, len(tally.strength)))), offsets)[0]
        if math.isnan(found_deg):
            return dict.fromkeys(QUANTITIES, Unobservable("the images have no edges there", len(views), edges))
        turn_deg[axis] += found_deg
    found: dict[Quantity, Estimate | Unobservable] = {}
    offsets = _offsets(FINAL_REACH_DEG, FINAL_STEP_DEG)
    for axis, quantity in enumerate(QUANTITIES):
        tally = _tally(views, blocks, lens, turn_deg, axis, offsets)
        count = len(tally.strength)
        weights = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), RESAMPLES).astype(np.float64)
        best = _peaks(tally.scores(np.ones((1, count))), offsets)[0]
        spread_deg = float(np.std(_peaks(tally.scores(weights), offsets) - best))
        uncertainty = 2.0 * math.hypot(spread_deg, FLOORS_DEG[axis])
        if axis == YAW and not uncertainty <= WIDEST_YAW_DEG:
            words = f"no turn stands out: the best yaw is uncertain by {uncertainty:.2f} deg"
            return dict.fromkeys(QUANTITIES, Unobservable(words, len(views), edges))
        if abs(best) > FINAL_REACH_DEG - FINAL_STEP_DEG:
            found[quantity] = Unobservable("the best turn lies at the end of what is searched", len(views), edges)
        else:
            found[quantity] = Estimate(float(turn_deg[axis] + best), uncertainty, len(views), edges)
    return found


def camera_turn(turn_deg: npt.ArrayLike) -> Floats:
    """Rotation matrices (..., 3, 3) in the camera frame of turns (..., 3): roll, pitch, yaw, as one rotation vector.

    Rodrigues' formula; about x forward, y left, z up, which are z, -x and -y of the camera frame.
    """
    vector = np.radians(np.asarray(turn_deg, dtype=np.float64))
    about = np.stack([-vector[..., PITCH], -vector[..., YAW], vector[..., ROLL]], axis=-1)
    angle = np.linalg.norm(about, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(about / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross))


def _blocks(views: Sequence[View]) -> list[npt.NDArray[np.int64]]:
    """The block of each edge point, view by view."""
    found = []
    for view in views:
        bearing = np.arctan2(view.edges.points_m[:, 0], view.edges.points_m[:, 2])
        sector = np.clip((bearing / np.radians(90.0) + 0.5) * SECTORS, 0, SECTORS - 1).astype(np.int64)
        found.append(view.place * SECTORS + sector)
    return found


def _offsets(reach_deg: float, step_deg: float) -> Floats:
    steps = round(reach_deg / step_deg)
    return np.arange(-steps, steps + 1, dtype=np.float64) * step_deg


def _tally(
    views: Sequence[View], blocks: Sequence[npt.NDArray[np.int64]], lens: Lens, turn_deg: Floats, axis: int, offsets: Floats
) -> _Tally:
    numbers, place = np.unique(np.concatenate(blocks), return_inverse=True)
    shape = (len(numbers), len(EdgeKind), len(offsets))
    strength, points = np.zeros(shape), np.zeros(shape)
    turns = np.tile(turn_deg, (len(offsets), 1))
    turns[:, axis] += offsets
    turned = camera_turn(turns)
    start = 0
    for view in views:
        of_view = place[start : start + len(view.edges.kind)]
        start += len(view.edges.kind)
        for kinds, edge_map in (((0, 1), view.maps.upright), ((2, 3), view.maps.level), ((4,), view.maps.any)):
            chosen = np.isin(view.edges.kind, kinds)
            seen = np.einsum("aij,nj->ani", turned, view.edges.points_m[chosen])
            values = values_at(edge_map, *lens.pixels(seen))
            inside = np.isfinite(values)
            cell = of_view[chosen] * len(EdgeKind) + view.edges.kind[chosen]
            for target, summed in ((strength, np.where(inside, values, 0.0)), (points, inside.astype(np.float64))):
                np.add.at(target.reshape(-1, len(offsets)), cell, summed.T)
    return _Tally(strength, points)


def _peaks(scores: Floats, offsets: Floats) -> Floats:
    """Where each row of scores (R, A) is largest, between the offsets (A,) by a parabola through the largest three.

    NaN for a row that is largest nowhere.
    """
    top = np.clip(np.argmax(scores, axis=1), 1, len(offsets) - 2)
    rows = np.arange(len(scores))
    left, middle, right = scores[rows, top - 1], scores[rows, top], scores[rows, top + 1]
    bend = left - 2.0 * middle + right
    shift = np.where(bend < 0, (left - right) / np.where(bend < 0, 2.0 * bend, 1.0), 0.0)
    found = offsets[top] + np.clip(shift, -1.0, 1.0) * (offsets[1] - offsets[0])
    return np.asarray(np.where(np.ptp(scores, axis=1) > 0, found, np.nan))
