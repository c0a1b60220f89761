"""Selection of the frames to examine: few, deterministic, spread over the drive, and the most informative ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sensors.calibration.motion import SLOW_M_S, VehicleMotion
from sensors.stamps import Nanoseconds

CANDIDATES = 12  # of each stretch of the drive
STANDING = 2.0  # a standing vehicle counts as much against a frame as two cameras without an image
Ints = npt.NDArray[np.int64]


def spread(count: int, most: int) -> Ints:
    """At most `most` of `count` positions, ascending, in the middles of equal stretches."""
    chosen = min(count, most)
    return ((np.arange(chosen) * 2 + 1) * count // max(2 * chosen, 1)).astype(np.int64)


def candidates(count: int, stretches: int) -> tuple[Ints, Ints]:
    """Positions (M,) among `count` frames that may be chosen, and the stretch (M,) of each."""
    bounds = np.linspace(0, count, min(stretches, count) + 1).astype(np.int64)
    found = [low + spread(int(high - low), CANDIDATES) for low, high in itertools.pairwise(bounds)]
    number = [np.full(len(entries), stretch, dtype=np.int64) for stretch, entries in enumerate(found)]
    nothing = np.empty(0, dtype=np.int64)
    return np.concatenate([nothing, *found]), np.concatenate([nothing, *number])


def choose(stretch: Ints, motion: VehicleMotion, residuals: Sequence[npt.NDArray[np.float64]]) -> Ints:
    """Of the candidates (M,) one a stretch, ascending: the vehicle moves, poses are known, and images are near in time.

    `residuals`: of each camera, how far (M,) the image is from the time at which it is expected, in tolerances; above 1 there
    is none. Of equals the earliest.
    """
    cost = np.where(motion.speed_m_s > SLOW_M_S, 0.0, STANDING) + np.where(motion.valid, 0.0, STANDING)
    for of_camera in residuals:
        cost = cost + np.minimum(np.abs(of_camera), 1.0)
    order = np.lexsort((np.arange(len(stretch)), cost, stretch))
    first = np.flatnonzero(np.diff(stretch[order], prepend=-1))
    return np.sort(order[first])


def nearest(target_ns: Nanoseconds, stamps_ns: Nanoseconds) -> Ints:
    """For each instant (M,) the position of the nearest of ascending stamps (N,), ties to the earlier; -1 if there are none."""
    if stamps_ns.size == 0:
        return np.full(target_ns.size, -1, dtype=np.int64)
    right = np.clip(np.searchsorted(stamps_ns, target_ns), 0, stamps_ns.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(target_ns - stamps_ns[left] <= stamps_ns[right] - target_ns, left, right).astype(np.int64)
