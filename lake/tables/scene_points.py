"""From an element of a scene's `lidars` or `radars` back to the cloud that the sensor delivered."""

from __future__ import annotations

from lake.tables.rows import CloudFrame
from sensors.decode.planes import PLANES, ROWS, from_planes
from sensors.decode.points import Datatype, PointCloud, PointField
from sensors.errors import DecodeError


def scene_cloud(frame: CloudFrame) -> PointCloud | None:
    """The cloud of an element, whatever its `point_layout` (none: rows); None for a radar that delivers an image.

    Raises:
        DecodeError: The element contradicts itself, or has a layout that this version does not know.
    """
    if frame.points is None or frame.num_points is None:
        return None
    step = frame.point_step or 0
    if len(frame.points) != frame.num_points * step:
        raise DecodeError(f"{frame.sensor}: declares {frame.num_points} points of {step} bytes, holds {len(frame.points)} bytes")
    return PointCloud(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.sensor,
        num_points=frame.num_points,
        fields=_fields(frame, step),
        point_step=step,
        is_bigendian=bool(frame.is_bigendian),
        data=_rows(frame, frame.points, step),
    )


def _rows(frame: CloudFrame, points: bytes, step: int) -> memoryview:
    layout = frame.point_layout or ROWS
    if layout == ROWS:
        return memoryview(points)
    if layout == PLANES:
        return from_planes(points, step).data.toreadonly()
    raise DecodeError(f"{frame.sensor}: point layout {layout!r} is unknown, only {ROWS} and {PLANES} are read")


def _fields(frame: CloudFrame, step: int) -> tuple[PointField, ...]:
    fields = []
    for field in frame.point_fields or ():
        try:
            made = PointField(field.name, field.offset, Datatype(field.datatype), field.count)
        except ValueError as error:
            raise DecodeError(f"{frame.sensor}: field {field.name!r}: {error}") from error
        if made.offset < 0 or made.count < 0 or made.offset + made.size > step:
            raise DecodeError(f"{frame.sensor}: field {made.name!r} extends beyond a point of {step} bytes")
        fields.append(made)
    return tuple(fields)
