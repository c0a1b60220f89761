"""The road: a smooth plane curve, and motion along it.

Heading and speed are sums of sines, so yaw rate, velocity and acceleration are exact derivatives; position is their
integral by Gauss-Legendre quadrature, accurate to far below a micrometre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.geometry import SE3

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

KNOT_S = 0.01
SPEED_M_S = 8.0
SPEED_SWING_M_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class PlaneMotion:
    """Plane motion at N instants, world frame (x, y in the ground plane, z up), angles counter-clockwise from x.

    position_m (N, 2), yaw_rad (N,), velocity_m_s (N, 2), yaw_rate_rad_s (N,), acceleration_m_s2 (N,) along the heading.
    """

    position_m: Floats
    yaw_rad: Floats
    velocity_m_s: Floats
    yaw_rate_rad_s: Floats
    acceleration_m_s2: Floats


class Trajectory:
    """A seeded curve over [first_s, last_s] of the drive's time, in which 0 is the start of the drive.

    The heading swings by less than 0.3 rad around a mean, so the curve never crosses itself.
    """

    def __init__(self, seed: int, first_s: float, last_s: float) -> None:
        rng = np.random.default_rng([seed, 1])
        self._yaw0_rad = float(rng.uniform(-np.pi, np.pi))
        self._yaw_swing_rad = np.array([0.16, 0.05])
        self._yaw_hz = np.array([rng.uniform(0.10, 0.14), rng.uniform(0.3, 0.4)])
        self._yaw_phase_rad = rng.uniform(0.0, 2.0 * np.pi, 2)
        self._speed_hz = float(rng.uniform(0.06, 0.1))
        self._speed_phase_rad = float(rng.uniform(0.0, 2.0 * np.pi))
        first_knot, last_knot = int(np.floor(first_s / KNOT_S)) - 1, int(np.ceil(last_s / KNOT_S)) + 1
        self._knots_s: Floats = np.arange(first_knot, last_knot + 1, dtype=np.float64) * KNOT_S
        self._knots_m = self._integrate(-first_knot)

    def at(self, s: Floats) -> PlaneMotion:
        """Motion of a body that passes `s` (N,), seconds, at the curve's own pace.

        Raises:
            ValueError: A time lies outside the curve.

        """
        s = np.asarray(s, dtype=np.float64)
        if s.size and (s.min() < self._knots_s[0] or s.max() > self._knots_s[-1]):
            curve = f"{self._knots_s[0]:.3f} to {self._knots_s[-1]:.3f} s"
            raise ValueError(f"{s.min():.3f} to {s.max():.3f} s leaves the curve, {curve}")
        yaw, rate = self._yaw(s)
        speed, acceleration = self._speed(s)
        heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        return PlaneMotion(self._position(s), yaw, speed[:, None] * heading, rate, acceleration)

    def at_ns(self, since_start_ns: Times) -> PlaneMotion:
        """Motion of the ego vehicle at times (N,) since the start of the drive."""
        return self.at(seconds(since_start_ns))

    def world_SE3_ego(self, since_start_ns: int) -> SE3:
        """Ego pose; the ego frame lies on the ground, x forward, y left, z up."""
        motion = self.at_ns(np.array([since_start_ns]))
        half = motion.yaw_rad[0] / 2.0
        x_m, y_m = motion.position_m[0]
        return SE3.from_wxyz((x_m, y_m, 0.0), (np.cos(half), 0.0, 0.0, np.sin(half)))

    def _yaw(self, s: Floats) -> tuple[Floats, Floats]:
        omega = 2.0 * np.pi * self._yaw_hz
        angle = s[:, None] * omega + self._yaw_phase_rad
        yaw = self._yaw0_rad + np.sin(angle) @ self._yaw_swing_rad
        return yaw, np.cos(angle) @ (self._yaw_swing_rad * omega)

    def _speed(self, s: Floats) -> tuple[Floats, Floats]:
        omega = 2.0 * np.pi * self._speed_hz
        angle = s * omega + self._speed_phase_rad
        return SPEED_M_S + SPEED_SWING_M_S * np.sin(angle), SPEED_SWING_M_S * omega * np.cos(angle)

    def _integrate(self, origin: int) -> Floats:
        nodes, weights = np.polynomial.legendre.leggauss(5)
        s = (self._knots_s[:-1, None] + (nodes[None, :] + 1.0) * (KNOT_S / 2.0)).ravel()
        yaw, _ = self._yaw(s)
        speed, _ = self._speed(s)
        velocity = (speed[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)).reshape(-1, len(nodes), 2)
        steps = np.einsum("knd,n->kd", velocity, weights) * (KNOT_S / 2.0)
        position = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        return np.asarray(position - position[origin], dtype=np.float64)

    def _position(self, s: Floats) -> Floats:
        """Cubic Hermite interpolation between knots; its error is below KNOT_S**4 / 384 times the fourth derivative."""
        left = np.clip(np.searchsorted(self._knots_s, s, side="right") - 1, 0, len(self._knots_s) - 2)
        u = ((s - self._knots_s[left]) / KNOT_S)[:, None]
        tangents = []
        for knot in (left, left + 1):
            at_s: Floats = self._knots_s[knot]
            yaw, _ = self._yaw(at_s)
            speed, _ = self._speed(at_s)
            tangents.append(speed[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1) * KNOT_S)
        start, end = self._knots_m[left], self._knots_m[left + 1]
        blend = (1 + 2 * u) * (1 - u) ** 2 * start + u**2 * (3 - 2 * u) * end
        return np.asarray(blend + u * (1 - u) ** 2 * tangents[0] + u**2 * (u - 1) * tangents[1], dtype=np.float64)


def seconds(since_start_ns: Times) -> Floats:
    """Durations (N,) in seconds, for geometry; only times since the start of a drive are small enough for that."""
    return np.multiply(since_start_ns, 1e-9, dtype=np.float64)
