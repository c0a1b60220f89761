"""A sensor's baseline in a drive, by statistics that are robust against a minority of outliers, and repeated frames."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.decode.cdr import Bytes

MAD_TO_SIGMA = 1.4826  # of a normal distribution: 1 / inverse_cdf(3/4); Hampel, J. Am. Stat. Assoc. 69, 1974

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


def repeats(content: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many frames before it in a row have the content of each frame (N,): 0, 0, 1, 2, 0 for a, b, b, b, c."""
    same = np.zeros(len(content), dtype=np.bool_)
    same[1:] = content[1:] == content[:-1]
    position = np.arange(len(content))
    begins = np.maximum.accumulate(np.where(same, 0, position)) if len(content) else position
    return np.asarray(position - begins, dtype=np.int64)


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
