"""The scene: a ground plane at z = 0 with boxes on it, some of which move along the road.

World frame: x, y in the ground plane, z up, metres; its origin is where the ego vehicle is at the start of the drive.
Boxes stand on the ground and turn about z only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fleet.synthetic.trajectory import Trajectory, seconds

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

AHEAD_S = 10.0  # how far beyond the ego's path, in seconds of driving, the roadside reaches
BEHIND_S = 8.0
BUILDING_STEP_S = 1.15
POLE_STEP_S = 1.9
PARKED_STEP_S = 2.3
CHECKER_M = 2.0
GROUND_ALBEDO = (0.25, 0.55)  # dark and light squares


@dataclass(frozen=True, slots=True)
class BodyKind:
    """The attributes of a kind of box: diffuse reflectance and radar cross section."""

    label: str
    albedo: float
    rcs_dbsm: float


BUILDING = BodyKind("building", 0.6, 22.0)
POLE = BodyKind("pole", 0.8, 2.0)
PARKED = BodyKind("parked_car", 0.4, 10.0)
VEHICLE = BodyKind("vehicle", 0.45, 12.0)


@dataclass(frozen=True, slots=True)
class Body:
    """A box that follows the road: at drive time t it is at road time `road_s + pace * t`, `left_m` beside the curve.

    pace 0 is stationary, 1 keeps its distance in time from the ego, below 0 is oncoming. size_m: length, width, height.
    """

    kind: BodyKind
    size_m: tuple[float, float, float]
    road_s: float
    pace: float
    left_m: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """B boxes at T instants: centre_m and velocity_m_s (T, B, 3), yaw_rad and yaw_rate_rad_s (T, B), size_m (B, 3)."""

    centre_m: Floats
    yaw_rad: Floats
    velocity_m_s: Floats
    yaw_rate_rad_s: Floats
    size_m: Floats


class World:
    """All boxes of a drive of `duration_s` that follow `road`."""

    def __init__(self, seed: int, duration_s: float) -> None:
        self.road = Trajectory(seed, *_extent_s(duration_s))
        self.bodies = tuple(_bodies(np.random.default_rng([seed, 2]), duration_s))
        self._size_m = np.array([body.size_m for body in self.bodies])
        self._moving = np.array([index for index, body in enumerate(self.bodies) if body.pace != 0.0], dtype=np.int64)
        self._still = self._place(self.bodies, np.zeros(1, dtype=np.int64))

    def boxes_at(self, since_start_ns: Times) -> Boxes:
        """The positions of all boxes at times (T,) since the start of the drive."""
        count = len(since_start_ns)
        fixed = self._still
        centre, yaw, velocity, rate = (
            np.repeat(values, count, axis=0)
            for values in (fixed.centre_m, fixed.yaw_rad, fixed.velocity_m_s, fixed.yaw_rate_rad_s)
        )
        moved = self._place(tuple(self.bodies[index] for index in self._moving), since_start_ns)
        for index, column in enumerate(self._moving):
            centre[:, column], yaw[:, column] = moved.centre_m[:, index], moved.yaw_rad[:, index]
            velocity[:, column], rate[:, column] = moved.velocity_m_s[:, index], moved.yaw_rate_rad_s[:, index]
        return Boxes(centre, yaw, velocity, rate, self._size_m)

    def _place(self, bodies: tuple[Body, ...], since_start_ns: Times) -> Boxes:
        times_s = seconds(since_start_ns)
        shape = (len(times_s), len(bodies))
        centre, velocity = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        yaw, rate = np.zeros(shape), np.zeros(shape)
        for index, body in enumerate(bodies):
            motion = self.road.at(body.road_s + body.pace * times_s)
            left = np.stack([-np.sin(motion.yaw_rad), np.cos(motion.yaw_rad)], axis=-1)
            centre[:, index, :2] = motion.position_m + body.left_m * left
            centre[:, index, 2] = body.size_m[2] / 2.0
            # d/ds (p + d n) = v h - d w h, with heading h, left normal n = rot90(h), yaw rate w
            along = motion.velocity_m_s - body.left_m * motion.yaw_rate_rad_s[:, None] * np.stack(
                [np.cos(motion.yaw_rad), np.sin(motion.yaw_rad)], axis=-1
            )
            velocity[:, index, :2] = body.pace * along
            yaw[:, index] = motion.yaw_rad + (np.pi if body.pace < 0 else 0.0)
            rate[:, index] = body.pace * motion.yaw_rate_rad_s
        return Boxes(centre, yaw, velocity, rate, np.array([body.size_m for body in bodies]).reshape(-1, 3))


def is_light_square(x_m: npt.NDArray[np.floating], y_m: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Whether ground points lie on a light square of the checker that covers the plane."""
    squares = np.floor(x_m * (1.0 / CHECKER_M)).astype(np.int32) + np.floor(y_m * (1.0 / CHECKER_M)).astype(np.int32)
    return np.asarray((squares & 1).astype(bool))


def _extent_s(duration_s: float) -> tuple[float, float]:
    return -1.2 * duration_s - BEHIND_S - 2.0, 2.6 * duration_s + AHEAD_S + 8.0


def _bodies(rng: np.random.Generator, duration_s: float) -> list[Body]:
    bodies: list[Body] = []
    for road_s in np.arange(-BEHIND_S, duration_s + AHEAD_S, BUILDING_STEP_S):
        for near_m in (11.0, -8.5):
            depth = float(rng.uniform(5.0, 10.0))
            size = (float(rng.uniform(5.5, 8.5)), depth, float(rng.uniform(4.0, 14.0)))
            left = near_m + np.sign(near_m) * (depth / 2.0 + float(rng.uniform(0.0, 5.0)))
            bodies.append(Body(BUILDING, size, float(road_s), 0.0, float(left), _paint(rng, (110, 190))))
    for road_s in np.arange(-BEHIND_S + 0.5, duration_s + AHEAD_S, POLE_STEP_S):
        for left in (9.0, -6.5):
            height = float(rng.uniform(4.0, 6.0))
            bodies.append(Body(POLE, (0.25, 0.25, height), float(road_s), 0.0, left, (70, 72, 78)))
    for road_s in np.arange(-BEHIND_S + 1.1, duration_s + AHEAD_S, PARKED_STEP_S):
        if rng.uniform() < 0.7:
            bodies.append(Body(PARKED, _car(rng), float(road_s), 0.0, -4.4, _paint(rng, (30, 230))))
    bodies.append(Body(VEHICLE, _car(rng), float(rng.uniform(1.9, 2.4)), 1.04, 0.0, _paint(rng, (30, 240))))
    bodies.append(Body(VEHICLE, _car(rng), float(rng.uniform(-1.6, -1.0)), 1.35, 3.4, _paint(rng, (30, 240))))
    for road_s in np.arange(3.5, 2.2 * duration_s + 4.0, 4.5):
        offset = float(rng.uniform(-0.8, 0.8))
        bodies.append(Body(VEHICLE, _car(rng), float(road_s) + offset, -1.1, 6.9, _paint(rng, (30, 240))))
    return bodies


def _car(rng: np.random.Generator) -> tuple[float, float, float]:
    return float(rng.uniform(4.0, 5.2)), float(rng.uniform(1.75, 2.0)), float(rng.uniform(1.4, 1.9))


def _paint(rng: np.random.Generator, span: tuple[int, int]) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(span[0], span[1], 3))
    return red, green, blue
