"""The tables of an Argoverse 2 log: calibration, poses, and the list of frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fleet.encode import MAX_SEC
from fleet.errors import SourceError
from fleet.importers.argoverse2.feather import Rows, read_rows
from fleet.importers.clock_findings import named
from fleet.importers.import_findings import ImportFindings
from fleet.importers.source import MAX_FRAMES, MAX_PIXELS, RowFaults, rigid
from sensors.geometry import SE3
from sensors.rig import Intrinsics
from sensors.time_units import NS_PER_S

MAX_SENSORS = 64
MAX_POSES = 1_000_000
MAX_BOXES = 5_000_000
LAST_STAMP_NS = (MAX_SEC + 1) * NS_PER_S - 1

_RIGID = [(name, "f8") for name in ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")]
MOUNTING = np.dtype([("sensor_name", "O"), *_RIGID])
POSE = np.dtype([("timestamp_ns", "i8"), *_RIGID])
LENS = np.dtype(
    [
        ("sensor_name", "O"),
        *((name, "f8") for name in ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3")),
        ("width_px", "i8"),
        ("height_px", "i8"),
    ]
)
BOX = np.dtype([("timestamp_ns", "i8")])
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_STAMP = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class RectifiedLens:
    """A camera's pinhole, and the radial distortion k1, k2, k3 that was removed from its images."""

    intrinsics: Intrinsics
    radial: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """A log folder. `city_SE3_ego` belongs to `pose_stamps_ns` (N,) int64, both in the order of the file.

    `sweeps` and `cameras`: file by stamp, ascending. Cameras of the calibration that have no image are in `without_images`.
    """

    mountings: Mapping[str, SE3]
    lenses: Mapping[str, RectifiedLens]
    pose_stamps_ns: npt.NDArray[np.int64]
    city_SE3_ego: tuple[SE3, ...]
    sweeps: Mapping[int, Path]
    cameras: Mapping[str, Mapping[int, Path]]
    without_images: tuple[str, ...]


def read_log(src: Path, findings: ImportFindings) -> Log:
    """Read everything of a log but its points and images.

    Raises:
        SourceError: A table is missing, damaged or contradictory, or there is no sweep.

    """
    faults = RowFaults()
    mountings = _mountings(src / "calibration" / "egovehicle_SE3_sensor.feather", faults)
    lenses = _lenses(src / "calibration" / "intrinsics.feather", faults)
    stamps_ns, poses = _poses(src / "city_SE3_egovehicle.feather", faults)
    faults.refuse()
    sweeps = _frames(src / "sensors" / "lidar", ".feather", findings)
    if not sweeps:
        raise SourceError(
            f"{src / 'sensors' / 'lidar'} holds no sweep such as 315966265259836000.feather; name the folder of one log"
        )
    folder = src / "sensors" / "cameras"
    there = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(there) > MAX_SENSORS:
        raise SourceError(f"{folder} has {len(there)} cameras, the limit is {MAX_SENSORS}")
    cameras = {path.name: frames for path in there if (frames := _frames(path, ".jpg", findings))}
    for name in cameras:
        if _NAME.fullmatch(name) is None or name in ("lidar", "pose"):
            raise SourceError(f"{folder / name}: not a valid sensor name; rename it to match {_NAME.pattern}")
    without = tuple(name for name in lenses if name not in cameras)
    return Log(mountings, lenses, stamps_ns, poses, sweeps, MappingProxyType(cameras), without)


def annotated_stamps_ns(path: Path) -> npt.NDArray[np.int64] | None:
    """The stamp of every box in `annotations.feather` (N,); None if there is no such file.

    Raises:
        SourceError: It is damaged.

    """
    return read_rows(path, BOX, MAX_BOXES)["timestamp_ns"] if path.is_file() else None


def _mountings(path: Path, faults: RowFaults) -> Mapping[str, SE3]:
    rows = [(str(row["sensor_name"]), faults.attempt(_rigid, str(path), row)) for row in _named_rows(path, MOUNTING)]
    return MappingProxyType({name: mounting for name, mounting in rows if mounting is not None})


def _lenses(path: Path, faults: RowFaults) -> Mapping[str, RectifiedLens]:
    rows = [(str(row["sensor_name"]), faults.attempt(_lens, path, row)) for row in _named_rows(path, LENS)]
    return MappingProxyType({name: lens for name, lens in rows if lens is not None})


def _named_rows(path: Path, dtype: np.dtype[np.void]) -> Rows:
    rows = read_rows(path, dtype, MAX_SENSORS)
    names = [str(name) for name in rows["sensor_name"]]
    if len(set(names)) < len(names):
        raise SourceError(f"{path} has a sensor twice: {named(names)}")
    return rows


def _poses(path: Path, faults: RowFaults) -> tuple[npt.NDArray[np.int64], tuple[SE3, ...]]:
    rows = read_rows(path, POSE, MAX_POSES)
    if not len(rows):
        raise SourceError(f"{path} has no rows, so no frame would have a pose")
    stamps_ns = rows["timestamp_ns"].astype(np.int64)
    for number in np.flatnonzero((stamps_ns < 0) | (stamps_ns > LAST_STAMP_NS)).tolist():
        faults.add(f"{path}: row {number}: timestamp_ns: {stamps_ns[number]} ns is not within 0 to {LAST_STAMP_NS}")
    poses = [faults.attempt(_rigid, f"{path}: row {number}", row) for number, row in enumerate(rows)]
    return stamps_ns, tuple(pose for pose in poses if pose is not None)


def _rigid(place: str, row: np.void) -> SE3:
    try:
        return rigid([row[axis] for axis in ("tx_m", "ty_m", "tz_m")], [row[part] for part in ("qw", "qx", "qy", "qz")])
    except ValueError as error:
        raise SourceError(f"{place}: the row of {row[0]} is not a pose: {error}") from error


def _lens(path: Path, row: np.void) -> RectifiedLens:
    fx_px, fy_px, cx_px, cy_px, k1, k2, k3 = (float(row[name]) for name in ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3"))
    width_px, height_px = int(row["width_px"]), int(row["height_px"])
    sized = 0 < width_px <= MAX_PIXELS and 0 < height_px <= MAX_PIXELS
    focused = all(0 < value < np.inf for value in (fx_px, fy_px)) and all(np.isfinite((k1, k2, k3)))
    if not (sized and focused and 0 <= cx_px <= width_px and 0 <= cy_px <= height_px):
        raise SourceError(f"{path}: the row of {row['sensor_name']} is not a pinhole camera: {row}")
    return RectifiedLens(Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px), (k1, k2, k3))


def _frames(folder: Path, suffix: str, findings: ImportFindings) -> Mapping[int, Path]:
    if not folder.is_dir():
        return MappingProxyType({})
    paths = sorted(folder.iterdir())
    strays = [path.name for path in paths if path.suffix != suffix or not _is_stamp(path.stem)]
    frames = {int(path.stem): path for path in paths if path.suffix == suffix and _is_stamp(path.stem)}
    if strays:
        words = f"{folder.name}: {len(strays)} files are not named STAMP{suffix} and are left out: {named(strays)}"
        findings.lose(folder.name if frames else None, len(strays), words)
    if len(frames) > MAX_FRAMES:
        raise SourceError(f"{folder} has {len(frames)} frames, the limit is {MAX_FRAMES}")
    return MappingProxyType(dict(sorted(frames.items())))


def _is_stamp(stem: str) -> bool:
    return _STAMP.fullmatch(stem) is not None and int(stem) <= LAST_STAMP_NS
