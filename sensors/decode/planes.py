"""A point table with its bytes sorted by their place in the point, so that general compression finds what repeats.

Neighbouring points share the signs, the exponents and the leading digits of their coordinates; row by row those bytes lie
`point_step` apart, among digits that never repeat. In `planes` byte k of every point stands together, for each k: the
transposed matrix, nothing added, nothing lost, the order of the points kept. (Apache Parquet calls the same idea
BYTE_STREAM_SPLIT, format specification, "Encodings", but only for columns of one fixed-size type; a point is one value.)
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sensors.errors import DecodeError

ROWS = "rows"
PLANES = "planes"
Bytes: TypeAlias = npt.NDArray[np.uint8]
Buffer: TypeAlias = bytes | bytearray | memoryview | Bytes


def to_planes(data: Buffer, point_step: int, out: Bytes | None = None) -> Bytes:
    """The points of `data` (N x `point_step` bytes, point by point) as planes: uint8, (N * point_step,).

    Written into `out` where it is given: uint8, contiguous, of the same length, and no part of `data`.

    Raises:
        DecodeError: `data` is not a whole number of points.
        ValueError: `out` has another length.
    """
    return _transposed(data, point_step, out, rows_first=True)


def from_planes(data: Buffer, point_step: int, out: Bytes | None = None) -> Bytes:
    """The points of `data` (planes of N bytes, `point_step` of them) point by point: uint8, (N * point_step,).

    The exact inverse of `to_planes`; `out` and the errors are the same.
    """
    return _transposed(data, point_step, out, rows_first=False)


def _transposed(data: Buffer, point_step: int, out: Bytes | None, *, rows_first: bool) -> Bytes:
    view = data.data if isinstance(data, np.ndarray) else memoryview(data)
    given = np.frombuffer(view, dtype=np.uint8) if view.nbytes else np.empty(0, dtype=np.uint8)
    if point_step < 0 or (given.size % point_step if point_step else given.size):
        raise DecodeError(f"{given.size} bytes are not a whole number of points of {point_step} bytes")
    made = np.empty_like(given) if out is None else out
    if made.shape != given.shape:
        raise ValueError(f"out has the shape {made.shape}, {given.shape} is needed")
    if given.size:
        shape = (-1, point_step) if rows_first else (point_step, -1)
        made.reshape(shape[::-1])[...] = given.reshape(shape).T
    return made
