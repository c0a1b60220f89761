"""The ego pose between two samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.geometry import Floats, slerp
from sensors.stamps import Nanoseconds, check_duration_ns, stamps_array

NO_SAMPLE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Interpolated:
    """Poses at M instants.

    `poses` (M, 7) float64: x y z in metres, then qw qx qy qz; NaN where not `valid` (M,). `left` (M,): the last sample
    at or before the instant, -1 if there is none; of several samples with one stamp, the first.
    """

    poses: Floats
    valid: npt.NDArray[np.bool_]
    left: Nanoseconds


def interpolate(at_ns: npt.ArrayLike, stamps_ns: npt.ArrayLike, poses: npt.ArrayLike, bracket_ns: int) -> Interpolated:
    """Poses at the instants `at_ns` (M,) from samples at `stamps_ns` (N,), ascending: `poses` (N, 7), x y z qw qx qy qz.

    Positions are interpolated linearly, rotations by SLERP along the shorter arc. Never extrapolates: an instant before
    the first or after the last sample is not valid, nor is one between two samples more than `bracket_ns` apart. An
    instant that hits a sample is valid however far its neighbours are, and gets that sample unchanged.

    Raises:
        ValueError: Arrays of the wrong shape or type, stamps that do not ascend, a negative bracket.
    """
    instants = stamps_array(at_ns, "at_ns")
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    bracket_ns = check_duration_ns(bracket_ns, "bracket_ns")
    samples = np.asarray(poses, dtype=np.float64).reshape(-1, 7) if np.size(poses) == 0 else np.asarray(poses, dtype=np.float64)
    if samples.shape != (stamps.size, 7):
        raise ValueError(f"{stamps.size} stamps need poses of shape ({stamps.size}, 7), got {samples.shape}")
    result = np.full((instants.size, 7), np.nan)
    if stamps.size == 0:
        return Interpolated(result, np.zeros(instants.size, dtype=np.bool_), np.full(instants.size, NO_SAMPLE, dtype=np.int64))
    at_or_after = np.searchsorted(stamps, instants, side="left")
    right = np.minimum(at_or_after, stamps.size - 1)
    exact = stamps[right] == instants
    previous = np.maximum(at_or_after - 1, 0)
    inside = (at_or_after > 0) & (at_or_after < stamps.size) & (stamps[right] - stamps[previous] <= bracket_ns)
    between = inside & ~exact
    result[exact] = samples[right[exact]]
    a, b = previous[between], right[between]
    fraction = (instants[between] - stamps[a]) / (stamps[b] - stamps[a])
    result[between, :3] = samples[a, :3] + fraction[:, None] * (samples[b, :3] - samples[a, :3])
    result[between, 3:] = slerp(samples[a, 3:], samples[b, 3:], fraction)
    first_of_stamp = np.searchsorted(stamps, stamps[previous], side="left")
    left = np.where(exact, right, np.where(at_or_after > 0, first_of_stamp, NO_SAMPLE))
    return Interpolated(result, exact | between, left.astype(np.int64))
