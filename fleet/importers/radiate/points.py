"""The points of a RADIATE sweep: lines of x, y, z, intensity, ring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import SourceError
from fleet.importers.source import RowFaults, read_text_lines

MAX_POINTS = 1_000_000
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1"), ("ring", "u1")])
COLUMNS = len(POINT.names or ())
LARGEST = float(np.finfo(np.float32).max)


def read_points(path: Path, faults: RowFaults) -> npt.NDArray[np.void] | None:
    """The points (N,) of `POINT`; None where lines are not such points: all of them are noted.

    Raises:
        SourceError: The file cannot be read, or has too many points.

    """
    lines = [(number, line) for number, line in enumerate(read_text_lines(path), start=1) if line.strip()]
    if len(lines) > MAX_POINTS:
        raise SourceError(f"{path} has {len(lines)} points, the limit is {MAX_POINTS}")
    points = np.zeros(len(lines), dtype=POINT)
    if not lines:
        return points
    try:
        table = np.loadtxt([line for _, line in lines], delimiter=",", ndmin=2, dtype=np.float64, comments=None)
    except ValueError as error:
        _name_lines(path, lines, faults, f"{path} is not a table of numbers: {error}")
        return None
    if table.shape[1] != COLUMNS or not _fit(table):
        _name_lines(path, lines, faults, f"{path} has points that cannot be stored")
        return None
    for column, name in enumerate(POINT.names or ()):
        points[name] = table[:, column]
    return points


def _fit(table: npt.NDArray[Any]) -> bool:
    whole = table[:, 3:]
    return bool(
        np.abs(table[:, :3][~np.isnan(table[:, :3])]).max(initial=0.0) <= LARGEST
        and ((whole >= 0) & (whole <= 255) & (whole == np.floor(whole))).all()
    )


def _name_lines(path: Path, lines: list[tuple[int, str]], faults: RowFaults, otherwise: str) -> None:
    """Note each line that is not a point, or `otherwise` if every line is one by itself."""
    found = [(number, problem) for number, line in lines if (problem := _problem(line)) is not None]
    for number, problem in found:
        faults.add(f"{path}, line {number}: {problem}")
    if not found:
        faults.add(otherwise)


def _problem(line: str) -> str | None:
    parts = line.split(",")
    if len(parts) != COLUMNS:
        return f"{len(parts)} columns instead of x, y, z, intensity, ring"
    try:
        table = np.array([[float(part) for part in parts]])
    except ValueError as error:
        return f"is not a table of numbers: {error}"
    if _fit(table):
        return None
    if _fit(np.where([[True, True, True, False, False]], table, 0.0)):
        return "intensity and ring must be whole numbers from 0 to 255"
    return "a coordinate is beyond float32, which the points are stored as"
