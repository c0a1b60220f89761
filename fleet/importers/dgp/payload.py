"""The payloads of a DGP scene: images unchanged, point clouds as float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.encode import encode_image, encode_points
from fleet.errors import SourceError
from fleet.importers.dgp.scene import Datum
from fleet.importers.npz_array import read_array
from fleet.importers.source import MAX_IMAGE_BYTES, read_bounded
from fleet.mcap_writer import RecordedFrame
from sensors.decode.images import read_header
from sensors.decode.points import point_fields
from sensors.errors import DecodeError

MAX_POINTS = 5_000_000
ENCODINGS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
POSITION = ("X", "Y", "Z")
CHANNELS = (*POSITION, "INTENSITY", "R", "G", "B", "RING", "NORMAL_X", "NORMAL_Y", "NORMAL_Z", "CLASS_ID", "INSTANCE_ID")
TIMESTAMP = "TIMESTAMP"  # microseconds in UTC: float32 would keep a step of minutes


@dataclass(slots=True)
class PayloadSeen:
    """Statistics of the clouds: the largest change of a coordinate by rounding, in metres; columns left out."""

    points: int = 0
    rounded_m: float = 0.0
    not_finite: int = 0
    timed_clouds: int = 0

    def findings(self) -> list[str]:
        """The statistics as findings."""
        found = []
        if self.points:
            found.append(
                f"lidar: coordinates rounded from float64 to float32, none by more than {self.rounded_m * 1e6:.1f} µm "
                f"({self.points} points)"
            )
        if self.not_finite:
            found.append(f"lidar: {self.not_finite} of {self.points} points have a coordinate that is not finite; kept")
        if self.timed_clouds:
            found.append(f"lidar: {self.timed_clouds} clouds have a column TIMESTAMP, which is left out")
        return found


def images(timed: Sequence[tuple[int, Datum]]) -> Iterator[RecordedFrame]:
    """The images of a camera, byte for byte."""
    for stamp_ns, datum in timed:
        encoding = ENCODINGS.get(datum.path.suffix.lower())
        if encoding is None:
            raise SourceError(f"{datum.path} is not an image that is read; the format has {', '.join(ENCODINGS)}")
        cdr = encode_image(stamp_ns, datum.sensor, encoding, read_bounded(datum.path, MAX_IMAGE_BYTES))
        yield RecordedFrame(stamp_ns, stamp_ns, cdr)


def image_size_px(datum: Datum, findings: list[str]) -> tuple[int, int] | None:
    """Width and height of a camera's first image by its own header; where that is unreadable, as declared by the scene."""
    try:
        info = read_header(read_bounded(datum.path, MAX_IMAGE_BYTES))
    except DecodeError as error:
        findings.append(f"{datum.name}: its first image cannot be read: {error}")
        return datum.size_px
    size_px = (info.width_px, info.height_px)
    if datum.size_px not in (None, size_px):
        findings.append(f"{datum.name}: images are {info.width_px}x{info.height_px} px, the scene says {datum.size_px}")
    return size_px


def clouds(timed: Sequence[tuple[int, Datum]], seen: PayloadSeen) -> Iterator[RecordedFrame]:
    """The clouds of a lidar: x, y, z and the other columns as float32, named in small letters."""
    for stamp_ns, datum in timed:
        points = _points(datum, seen)
        yield RecordedFrame(stamp_ns, stamp_ns, encode_points(stamp_ns, datum.sensor, point_fields(points.dtype), points))


def _points(datum: Datum, seen: PayloadSeen) -> npt.NDArray[np.void]:
    columns = datum.columns
    unknown = [name for name in columns if name not in (*CHANNELS, TIMESTAMP)]
    if unknown or columns[:3] != POSITION or len(set(columns)) < len(columns):
        raise SourceError(f"{datum.path}: its columns {', '.join(columns) or '(none named)'} are not X, Y, Z and known ones")
    if datum.path.suffix != ".npz":
        raise SourceError(f"{datum.path} is not an .npz file; other clouds (.ply) are not supported: convert them")
    table = read_array(datum.path, "data")
    if table.ndim != 2 or table.shape[1] != len(columns) or table.dtype.kind != "f":
        raise SourceError(f"{datum.path} holds {table.dtype} of shape {table.shape} instead of {len(columns)} floats a point")
    if len(table) > MAX_POINTS:
        raise SourceError(f"{datum.path} has {len(table)} points, the limit is {MAX_POINTS}")
    kept = [number for number, name in enumerate(columns) if name != TIMESTAMP]
    points = np.zeros(len(table), dtype=[(columns[number].lower(), "<f4") for number in kept])
    with np.errstate(over="ignore"):
        for number in kept:
            points[columns[number].lower()] = table[:, number]
    _see(table[:, :3].astype(np.float64), points, seen)
    seen.timed_clouds += TIMESTAMP in columns
    return points


def _see(xyz_m: npt.NDArray[np.float64], points: npt.NDArray[Any], seen: PayloadSeen) -> None:
    stored_m = np.column_stack([points[axis] for axis in "xyz"]).astype(np.float64)
    finite = np.isfinite(stored_m).all(axis=1)
    seen.points += len(points)
    seen.not_finite += int((~finite).sum())
    if finite.any():
        seen.rounded_m = max(seen.rounded_m, float(np.abs(stored_m[finite] - xyz_m[finite]).max()))
