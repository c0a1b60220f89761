"""The payloads of a nuScenes scene, unchanged: lidar `.pcd.bin`, radar `.pcd`, camera images.

Lidar: records of 20 bytes, float32 x, y, z (metres, sensor frame), intensity (0 to 255), ring; no header in spite of its
name. Radar: PCD v0.7 with 18 fields in 43 bytes. All points are kept, including those that the dataset's own reader leaves
out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fleet.encode import encode_image, encode_points
from fleet.importers.clock_findings import named
from fleet.importers.nuscenes.shots import Channel, SampleData
from fleet.importers.source import MAX_IMAGE_BYTES, read_bounded
from fleet.mcap_writer import RecordedFrame
from sensors.decode.images import read_header
from sensors.decode.pcd import read_pcd
from sensors.decode.points import PointCloud, PointField, point_fields
from sensors.errors import DecodeError
from sensors.rig import Modality

MAX_CLOUD_BYTES = 256 * 1024 * 1024
RADAR_CAP = 125  # no file of the dataset has more points
NEAR_M = 1.0  # the dataset's own reader drops lidar points nearer than this: the vehicle itself
LIDAR_RING = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<f4")])
LIDAR_OTHER = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("value_4", "<f4")])
FLAGS = {"invalid_state": (0,), "ambig_state": (3,), "dyn_prop": tuple(range(7))}  # the values that that reader keeps by default

Cloud = tuple[tuple[PointField, ...], int, bytes | memoryview]  # fields, bytes of a point, points


@dataclass(slots=True)
class Seen:
    """Statistics of the payloads of one sensor."""

    files: int = 0
    points: int = 0
    near: int = 0
    nan_first: int = 0
    other_size: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    digests: Counter[bytes] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    unread_headers: list[str] = field(default_factory=list)
    size_px: tuple[int, int] | None = None


def frames(channel: Channel, seen: Seen) -> Iterator[RecordedFrame]:
    """The channel's frames by stamp; a broken cloud is left out and recorded in `seen`."""
    for shot in channel.shots:
        message = _image(channel, shot, seen) if channel.modality is Modality.CAMERA else _cloud(channel, shot, seen)
        if message is not None:
            seen.files += 1
            yield RecordedFrame(shot.stamp_ns, shot.stamp_ns, message)


def describe(channel: Channel, seen: Seen) -> list[str]:
    """Findings on the anomalies in these payloads."""
    name, found = channel.name, []
    if seen.broken:
        found.append(f"{name}: {len(seen.broken)} files cannot be read and are left out: {'; '.join(seen.broken[:3])}")
    if seen.unread_headers:
        found.append(
            f"{name}: {len(seen.unread_headers)} images have no header that can be read; kept: {named(seen.unread_headers)}"
        )
    if seen.other_size:
        found.append(f"{name}: {seen.other_size} images have another size than the table says")
    if channel.modality is Modality.LIDAR and seen.near:
        found.append(f"{name}: {seen.near} of {seen.points} points are nearer than {NEAR_M:g} m (the vehicle itself); kept")
    if channel.modality is Modality.RADAR:
        found += _radar(name, seen)
    return found


def _radar(name: str, seen: Seen) -> list[str]:
    found = []
    repeated = sum(count - 1 for count in seen.digests.values())
    if seen.sizes[1]:
        found.append(f"{name}: {seen.sizes[1]} of {seen.files} clouds have 1 point; kept")
    if seen.sizes[RADAR_CAP]:
        found.append(
            f"{name}: {seen.sizes[RADAR_CAP]} of {seen.files} clouds have {RADAR_CAP} points, the sensor's limit: clipped"
        )
    if repeated:
        found.append(f"{name}: {repeated} of {seen.files} clouds repeat the points of another byte for byte; kept")
    if seen.nan_first:
        found.append(f"{name}: {seen.nan_first} clouds begin with NaN, which the dataset means as empty; kept")
    if seen.points:
        flags = ", ".join(f"{flag} {seen.flagged[flag]}" for flag in FLAGS)
        found.append(
            f"{name}: of {seen.points} points the dataset's own reader drops by default ({flags}); kept, with their flags"
        )
    return found


def _image(channel: Channel, shot: SampleData, seen: Seen) -> bytes:
    data = read_bounded(shot.path, MAX_IMAGE_BYTES)
    encoding = "png" if shot.path.suffix.lower() == ".png" else "jpeg"
    try:
        info = read_header(data)
    except DecodeError:
        seen.unread_headers.append(shot.path.name)
    else:
        encoding = info.encoding
        seen.size_px = seen.size_px or (info.width_px, info.height_px)
        seen.other_size += shot.size_px not in (None, (info.width_px, info.height_px))
    return encode_image(shot.stamp_ns, channel.sensor, encoding, data)


def _cloud(channel: Channel, shot: SampleData, seen: Seen) -> bytes | None:
    data = read_bounded(shot.path, MAX_CLOUD_BYTES)
    try:
        fields, point_step, points = _records(shot.path, data) if shot.path.suffix.lower() == ".bin" else _pcd(data)
    except DecodeError as error:
        seen.broken.append(f"{shot.path.name}: {error}")
        return None
    _measure(
        channel.modality,
        PointCloud(shot.stamp_ns, channel.sensor, len(points) // point_step, fields, point_step, False, memoryview(points)),
        seen,
    )
    return encode_points(shot.stamp_ns, channel.sensor, fields, points, point_step=point_step)


def _records(path: Path, data: bytes) -> Cloud:
    dtype = LIDAR_RING if path.name.lower().endswith(".pcd.bin") else LIDAR_OTHER
    if len(data) % dtype.itemsize:
        raise DecodeError(f"{len(data)} bytes are not a whole number of points of {dtype.itemsize} bytes")
    return point_fields(dtype), dtype.itemsize, data


def _pcd(data: bytes) -> Cloud:
    found = read_pcd(data)
    return found.header.fields, found.header.point_step, found.data


def _measure(modality: Modality, cloud: PointCloud, seen: Seen) -> None:
    seen.points += cloud.num_points
    seen.sizes[cloud.num_points] += 1
    if not cloud.num_points:
        return
    if modality is Modality.LIDAR:
        # The dataset's reader tests x and y alone: a square column around the sensor.
        near = (np.abs(cloud.column("x")) < NEAR_M) & (np.abs(cloud.column("y")) < NEAR_M)
        seen.near += int(near.sum())
        return
    seen.digests[hashlib.sha256(cloud.data).digest()] += 1
    seen.nan_first += any(np.isnan(cloud.column(name)[0]).any() for name in cloud.names)
    for flag, kept in FLAGS.items():
        if flag in cloud.names:
            seen.flagged[flag] += int((~np.isin(cloud.column(flag), kept)).sum())
