"""Plausibility of a track of ego poses: steps that no vehicle makes, speed, acceleration, turning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensors.geometry import Floats
from sensors.stamps import Nanoseconds
from sensors.time_units import NS_PER_S

LEAST_STEP_NS = 4_000_000  # of two samples that are closer, one is left out: their difference is mostly rounding
LEAST_SHARE = 4  # so is one that follows within a quarter of the usual step: as noise, it would count fourfold over the next
LONGEST_USUAL_NS = 100_000_000
HALF_WINDOW_NS = NS_PER_S // 2
LEAST_HALF_NS = NS_PER_S // 5
# Twice what tyres can do on a dry road (about 1 g): what a vehicle's velocity may change between two samples.
MAX_ACCELERATION_M_S2 = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class EgoTrack:
    """Samples of odom_SE3_ego: `stamps_ns` (P,) ascending, at least `LEAST_STEP_NS`, and a quarter of the usual step, apart;
    `poses` (P, 7): x y z m, qw qx qy qz."""

    stamps_ns: Nanoseconds
    poses: Floats

    @classmethod
    def of(cls, stamps_ns: Nanoseconds, poses: Floats) -> EgoTrack:
        """From samples in ascending order; those that are too close to the one before are left out."""
        least_ns = max(LEAST_STEP_NS, _usual_step_ns(stamps_ns) // LEAST_SHARE)
        if (np.diff(stamps_ns) >= least_ns).all():
            return cls(stamps_ns, poses)
        kept, last_ns = [], None
        for position, stamp_ns in enumerate(stamps_ns.tolist()):
            if last_ns is None or stamp_ns - last_ns >= least_ns:
                kept.append(position)
                last_ns = stamp_ns
        return cls(stamps_ns[kept], poses[kept])

    @property
    def yaw_rad(self) -> Floats:
        """Heading of the ego's x axis in the odometry frame, without turns lost, (P,)."""
        w, x, y, z = self.poses[:, 3:].T
        return np.asarray(np.unwrap(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))), dtype=np.float64)

    def steps_m(self) -> Floats:
        """By how much each step (P - 1,) from one sample to the next exceeds what a vehicle can do.

        A step is compared with the velocity before and with that after it (at the ends of the track, with the two beside it),
        and the nearer counts: a jump agrees with neither. What `MAX_ACCELERATION_M_S2` allows is taken off. 0 with fewer than
        two steps.
        """
        if len(self.stamps_ns) < 3:
            return np.zeros(max(len(self.stamps_ns) - 1, 0))
        seconds = np.diff(self.stamps_ns) / NS_PER_S
        moved_m = np.diff(self.poses[:, :3], axis=0)
        velocity, middle_s = moved_m / seconds[:, None], np.cumsum(seconds) - seconds / 2.0
        last = len(seconds) - 1
        here = np.concatenate([np.arange(last), np.arange(1, last + 1), [0, last]])
        there = np.concatenate([np.arange(1, last + 1), np.arange(last), [min(2, last), max(last - 2, 0)]])
        off_m = np.linalg.norm(moved_m[here] - velocity[there] * seconds[here, None], axis=1)
        off_m -= MAX_ACCELERATION_M_S2 * seconds[here] * np.abs(middle_s[here] - middle_s[there])
        excess = np.full(len(seconds), np.inf)
        np.minimum.at(excess, here, off_m)
        return np.asarray(np.maximum(excess, 0.0))

    def steps_near_m(self, at_ns: Nanoseconds, within_ns: int) -> Floats:
        """The largest of `steps_m` that overlaps each instant (M,) by `within_ns` either way; 0 where there is none."""
        steps_m = self.steps_m()
        first = np.searchsorted(self.stamps_ns[1:], at_ns - within_ns, side="left")
        last = np.searchsorted(self.stamps_ns[:-1], at_ns + within_ns, side="right")
        padded = np.append(steps_m, 0.0)
        if not padded.any():
            return np.zeros(len(at_ns))
        return np.array([padded[a:b].max(initial=0.0) for a, b in zip(first.tolist(), last.tolist(), strict=True)])

    def windows(self, at_ns: Nanoseconds) -> Windows:
        """The second around each instant (M,), moved inwards at the ends of the track; all of a track that is shorter."""
        span_ns = int(self.stamps_ns[-1] - self.stamps_ns[0]) if len(self.stamps_ns) else 0
        half_ns = min(HALF_WINDOW_NS, span_ns // 2)
        if half_ns == 0:
            return Windows(at_ns, 0, *(np.full(len(at_ns), np.nan) for _ in range(4)))
        middle_ns = np.clip(at_ns, self.stamps_ns[0] + half_ns, self.stamps_ns[-1] - half_ns)
        before, here, after = (self.at(middle_ns + shift) for shift in (-half_ns, 0, half_ns))
        half_s = half_ns / NS_PER_S
        velocity = (after[:, :2] - before[:, :2]) / (2.0 * half_s)
        long_enough = 1.0 if half_ns >= LEAST_HALF_NS else np.nan
        acceleration = (after[:, :2] - 2.0 * here[:, :2] + before[:, :2]) / half_s**2 * long_enough
        heading = np.stack([np.cos(here[:, 3]), np.sin(here[:, 3])], axis=1)
        return Windows(
            middle_ns,
            half_ns,
            np.linalg.norm(velocity, axis=1),
            np.linalg.norm(acceleration, axis=1),
            np.einsum("nd,nd->n", acceleration, heading),
            (after[:, 3] - before[:, 3]) / (2.0 * half_s) * long_enough,
        )

    def at(self, at_ns: Nanoseconds) -> Floats:
        """x, y, z in metres and yaw in rad at instants (M,) inside the track, (M, 4), linear between samples."""
        since_ns = (at_ns - self.stamps_ns[0]).astype(np.float64)
        known_ns = (self.stamps_ns - self.stamps_ns[0]).astype(np.float64)
        values = (*self.poses[:, :3].T, self.yaw_rad)
        return np.stack([np.interp(since_ns, known_ns, value) for value in values], axis=1)


def _usual_step_ns(stamps_ns: Nanoseconds) -> int:
    """The step that half of the time is spent in steps no longer than, pauses apart; at most `LONGEST_USUAL_NS`.

    By time, not by number: where the poses of several sensors are mixed, most steps are from one sensor's to the next.
    """
    steps = np.sort(np.diff(stamps_ns))
    steps = steps[steps <= NS_PER_S]
    if steps.size == 0:
        return 0
    passed = np.cumsum(steps)
    return min(int(steps[np.searchsorted(passed, passed[-1] / 2)]), LONGEST_USUAL_NS)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Motion over the window of `half_ns` either side of `middle_ns` (M,), by differences.

    `speed_m_s`, `acceleration_m_s2` in the plane; `forward_m_s2` along the heading; `yaw_rate_rad_s` about z. NaN without two
    poses; all but the speed also where the window is shorter than twice `LEAST_HALF_NS`: noise would be all there is.
    """

    middle_ns: Nanoseconds
    half_ns: int
    speed_m_s: Floats
    acceleration_m_s2: Floats
    forward_m_s2: Floats
    yaw_rate_rad_s: Floats


LEAST_SAMPLES = 10


def triangle_mean(windows: Windows, stamps_ns: Nanoseconds, values: Floats) -> Floats:
    """Mean of `values` (N,) over each window (M,), weighted by a triangle; NaN with fewer than `LEAST_SAMPLES`.

    A second difference of positions is the acceleration under just that weight, so that the two can be compared.
    """
    return _means(windows, stamps_ns, values, triangle=True)


def window_mean(windows: Windows, stamps_ns: Nanoseconds, values: Floats) -> Floats:
    """As `triangle_mean`, unweighted: what compares with a first difference."""
    return _means(windows, stamps_ns, values, triangle=False)


def _means(windows: Windows, stamps_ns: Nanoseconds, values: Floats, *, triangle: bool) -> Floats:
    found = np.full(len(windows.middle_ns), np.nan)
    first = np.searchsorted(stamps_ns, windows.middle_ns - windows.half_ns, side="left").tolist()
    last = np.searchsorted(stamps_ns, windows.middle_ns + windows.half_ns, side="right").tolist()
    for row, (a, b) in enumerate(zip(first, last, strict=True)):
        if b - a >= LEAST_SAMPLES:
            off = np.abs(stamps_ns[a:b] - windows.middle_ns[row]) / max(windows.half_ns, 1)
            weights = np.clip(1.0 - off, 1e-9, None) if triangle else np.ones(b - a)
            found[row] = float(np.average(values[a:b], weights=weights))
    return found
