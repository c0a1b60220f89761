"""A sensor's baseline in a drive, by statistics that are robust against a minority of outliers, and repeated frames."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.decode.cdr import Bytes

MAD_TO_SIGMA = 1.4826  # of a normal distribution: 1 / inverse_cdf(3/4); Hampel, J. Am. Stat. Assoc. 69, 1974

RING = 8  # frames: no driver has more buffers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Median of the values that are known, and their spread: the median absolute deviation as a standard deviation."""

    median: float
    spread: float

    @classmethod
    def of(cls, values: Floats) -> Baseline | None:
        """The baseline of values (N,), NaN being unknown; None if all are."""
        known = values[np.isfinite(values)]
        if known.size == 0:
            return None
        median = float(np.median(known))
        return cls(median, MAD_TO_SIGMA * float(np.median(np.abs(known - median))))


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """For each frame (N,): how many of those before it had its content, in steps of at most `RING` frames, and how long ago, in
    frames, the last of them was; 0 for content that is new."""

    times: npt.NDArray[np.int64]
    ago: npt.NDArray[np.int64]


def repeats(content: npt.NDArray[np.int64]) -> Repeats:
    """Which frames (N,) have the content of one of the `RING` before: a driver that fails may hand out its buffers in turn.

    Of a, b, b, a, c, `times` are 0, 0, 1, 1, 0 and `ago` 0, 0, 1, 3, 0.
    """
    times, ago = np.zeros(len(content), dtype=np.int64), np.zeros(len(content), dtype=np.int64)
    for back in range(min(RING, len(content) - 1), 0, -1):  # the last to be written is the nearest
        same = np.flatnonzero(content[back:] == content[:-back]) + back
        ago[same] = back
    for position in np.flatnonzero(ago).tolist():
        times[position] = times[position - ago[position]] + 1
    return Repeats(times, ago)


def running_median(values: Floats, width: int) -> Floats:
    """The median of the `width` (odd) values around each (N,), of as many as there are at the ends; NaN is left out.

    NaN where no value is known.
    """
    if len(values) == 0:
        return values
    half = width // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    found = np.full(len(values), np.nan)
    some = np.isfinite(windows).any(axis=1)
    found[some] = np.nanmedian(windows[some], axis=1)
    return found


def content_hash(data: Bytes | npt.NDArray[np.generic]) -> int:
    """CRC-32 (ISO 3309) in the lower, the length in the upper half of 63 bits.

    Meant for a payload and the one before it: two that differ have the same number once in 2**32 times, if they are of the
    same length at all. Not a protection against deliberate collisions.
    """
    whole = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data if isinstance(data, np.ndarray) else data
    return (len(whole) & 0x7FFF_FFFF) << 32 | zlib.crc32(whole)
