"""From an element of a scene's `lidars` or `radars` back to the cloud that the sensor delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensors.decode.planes import PLANES, ROWS, from_planes
from sensors.decode.points import Datatype, PointCloud, PointField
from sensors.errors import DecodeError


def scene_cloud(entry: Mapping[str, Any]) -> PointCloud | None:
    """The cloud of an element, whatever its `point_layout` (none: rows); None for a radar that delivers an image.

    Raises:
        DecodeError: The element contradicts itself, or has a layout that this version does not know.
    """
    if entry["points"] is None or entry["num_points"] is None:
        return None
    sensor, count, step = entry["sensor"], entry["num_points"], entry["point_step"]
    if len(entry["points"]) != count * step:
        raise DecodeError(f"{sensor}: {count} points of {step} bytes are said, {len(entry['points'])} bytes are there")
    return PointCloud(
        stamp_ns=entry["stamp_ns"],
        frame_id=sensor,
        num_points=count,
        fields=_fields(entry),
        point_step=step,
        is_bigendian=bool(entry["is_bigendian"]),
        data=_rows(entry),
    )


def _rows(entry: Mapping[str, Any]) -> memoryview:
    layout = entry.get("point_layout") or ROWS
    if layout == ROWS:
        return memoryview(entry["points"])
    if layout == PLANES:
        return from_planes(entry["points"], entry["point_step"]).data.toreadonly()
    raise DecodeError(f"{entry['sensor']}: point layout {layout!r} is unknown, only {ROWS} and {PLANES} are read")


def _fields(entry: Mapping[str, Any]) -> tuple[PointField, ...]:
    fields = []
    for field in entry["point_fields"]:
        try:
            made = PointField(field["name"], field["offset"], Datatype(field["datatype"]), field["count"])
        except ValueError as error:
            raise DecodeError(f"{entry['sensor']}: field {field['name']!r}: {error}") from error
        if made.offset < 0 or made.count < 0 or made.offset + made.size > entry["point_step"]:
            raise DecodeError(f"{entry['sensor']}: field {made.name!r} lies beyond a point of {entry['point_step']} bytes")
        fields.append(made)
    return tuple(fields)
