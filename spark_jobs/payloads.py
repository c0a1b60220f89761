"""Fetch and decode the frames of one window: each stored byte range once, neighbours in one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from lake.storage import ObjectStore, ObjectVersion
from quality.findings import Finding, has_errors
from quality.frame_rules import evaluate_points, undecodable
from sensors.container import decompress
from sensors.errors import DecodeError, SensorDataError
from sensors.images import inspect_image
from sensors.messages import decode_image, decode_points
from sensors.points import without_position
from sensors.rig import Modality

MAX_REQUEST_BYTES = 16 * 1024 * 1024
MAX_POINT_BYTES = 2**31 - 1  # int32 in `lake.tables`; a cloud without points may claim any size for one
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's payload columns as in `lake.tables`, what was found in it, and, where that is an error, its bytes as they are."""

    columns: Mapping[str, Any]
    findings: tuple[Finding, ...]
    raw: bytes

    @property
    def bad(self) -> bool:
        """Whether the frame is kept out of every scene."""
        return has_errors(self.findings)


def fetch(store: ObjectStore, raw_bucket: str, versions: Mapping[str, str], rows: Sequence[Row]) -> Iterator[tuple[Row, bytes]]:
    """The CDR bytes of each row of a frame index, in (key, chunk, message) order; a frame that is named twice comes once.

    Holds one request of at most 16 MiB (or one chunk, where that is larger) and one decompressed chunk at a time.
    """
    distinct = {row["frame_id"]: row for row in rows}.values()
    ordered = sorted(distinct, key=lambda row: (row["key"], row["chunk_offset"], row["message_offset"]))
    for key, of_key in groupby(ordered, key=lambda row: str(row["key"])):
        chunks = [list(of_chunk) for _, of_chunk in groupby(of_key, key=lambda row: int(row["chunk_offset"]))]
        source = ObjectVersion(raw_bucket, key, versions[key])
        for request in _requests(chunks):
            start = request[0][0]["chunk_offset"]
            end = request[-1][0]["chunk_offset"] + request[-1][0]["chunk_bytes"]
            body = memoryview(store.read(source, start, end - start))
            for chunk in request:
                first = chunk[0]
                stored = body[first["chunk_offset"] - start :][: first["chunk_bytes"]]
                records = decompress(stored, first["compression"], first["chunk_raw_bytes"])
                for row in chunk:
                    yield row, bytes(records[row["message_offset"] : row["message_offset"] + row["message_bytes"]])


def _requests(chunks: Sequence[list[Row]]) -> Iterator[list[list[Row]]]:
    """Chunks that lie so close together that one ranged read serves them."""
    request: list[list[Row]] = []
    for chunk in chunks:
        first = chunk[0]
        if request:
            start = request[0][0]["chunk_offset"]
            previous = request[-1][0]
            gap = first["chunk_offset"] - (previous["chunk_offset"] + previous["chunk_bytes"])
            if first["chunk_offset"] + first["chunk_bytes"] - start > MAX_REQUEST_BYTES or gap > previous["chunk_bytes"]:
                yield request
                request = []
        request.append(chunk)
    if request:
        yield request


def decode(row: Row, cdr: bytes) -> Frame:
    """Decode one frame far enough to trust it; payload bytes stay as they are."""
    modality = Modality(row["modality"])
    is_image = row["message_type"] == "sensor_msgs/msg/CompressedImage"
    try:
        columns, findings = _image(cdr) if is_image else _points(row["sensor"], modality, cdr)
    except SensorDataError as error:
        found = undecodable(row["sensor"], "image" if is_image else "points", f"{error} (stamp {row['stamp_ns']} ns)")
        return Frame({}, (found,), cdr)
    if modality is Modality.RADAR:
        columns = _NO_POINTS | _NO_IMAGE | columns
    return Frame(columns, findings, cdr if has_errors(findings) else b"")


_NO_POINTS = dict.fromkeys(
    ("num_points", "points", "point_layout", "reference_ns", "point_step", "point_fields", "is_bigendian", "invalid_points")
)
_NO_IMAGE = dict.fromkeys(("width_px", "height_px", "encoding", "image"))


def _image(cdr: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    image = decode_image(cdr)
    info = inspect_image(image.data)
    if info.encoding != image.encoding:
        raise DecodeError(f"message says {image.encoding}, the bytes are {info.encoding}")
    return {
        "width_px": info.width_px,
        "height_px": info.height_px,
        "encoding": info.encoding,
        "image": bytes(image.data),
    }, ()


def _points(sensor: str, modality: Modality, cdr: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    cloud = decode_points(cdr)
    if cloud.point_step > MAX_POINT_BYTES:
        raise DecodeError(f"a point takes {cloud.point_step} bytes, the limit is {MAX_POINT_BYTES}")
    xyz_m = cloud.xyz_m()
    not_finite = int(np.count_nonzero(~np.isfinite(xyz_m).all(axis=1)))
    columns = {
        "num_points": cloud.num_points,
        "points": bytes(cloud.data),
        "point_layout": "rows",
        "reference_ns": None,
        "point_step": cloud.point_step,
        "point_fields": [
            {"name": field.name, "offset": field.offset, "datatype": int(field.datatype), "count": field.count}
            for field in cloud.fields
        ],
        "is_bigendian": cloud.is_bigendian,
        "invalid_points": int(np.count_nonzero(without_position(xyz_m))),
    }
    return columns, evaluate_points(sensor, modality, cloud.num_points, not_finite)
