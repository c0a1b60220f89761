"""What shows why a record is what it is: the frame as it was kept, its neighbours, the scene, measures and their limits."""

from __future__ import annotations

import io
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from lake.errors import LakeError
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.scene_key import SceneKey
from ops.audit import lake_reader
from ops.report import picture
from ops.report.birdseye import birdseye
from ops.report.cloud import Cloud, in_ego_frame
from ops.report.facts import SceneView
from ops.report.motion import EgoMotion, looking_forward
from ops.report.scene import scene_view
from ops.review.listing import drive_of
from sensors.decode.images import decode_pixels
from sensors.decode.messages import decode_points
from sensors.errors import SensorDataError
from sensors.geometry import SE3
from sensors.rig import Rig

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

MAX_PAYLOAD_BYTES = 256 * 1024 * 1024  # a window's file of quarantined scenes is cut at 64 MiB of payload, but for a huge scene
MAX_FRAME_BYTES = 32 * 1024 * 1024
MAX_TICKS = 200
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with what it shows; `body` is None where there is none, and `note` says why."""

    caption: str
    body: bytes | None
    media_type: str = "image/jpeg"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measured value beside its threshold and what the other records of the rule in this drive measured."""

    rule_id: str
    sentence: str
    unit: str
    severity: str
    measured: float | None
    threshold: float | None
    message: str
    others: tuple[float, ...]

    @property
    def top(self) -> float:
        """End of the scale: a little more than anything on it."""
        known = [abs(value) for value in (self.measured, self.threshold, *self.others) if value is not None]
        return max(known, default=1.0) * 1.15 or 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a page shows of a record besides the record."""

    gauges: tuple[Gauge, ...]
    frame: tuple[Picture, ...]
    neighbours: tuple[Picture, ...]
    scene: SceneView | None
    around: tuple[SceneView, ...]
    notes: tuple[str, ...]


def gather(catalog: Catalog, store: ObjectStore, row: Row, all_rows: Sequence[Row]) -> Evidence:
    """Read what shows a record; what cannot be read or drawn is a note. `all_rows`: the records of its drive."""
    notes: list[str] = []
    if row["drive_id"] is None:
        return Evidence(_gauges(row, ()), (), (), None, (), ("Nothing of a refused object is opened.",))
    drive = drive_of(row)
    facts = lake_reader.scene_facts(catalog, drive)
    motion = EgoMotion(facts)
    gauges = _gauges(row, all_rows)
    if row["level"] == "scene":
        scene = _scene(catalog, store, row, motion, notes)
        return Evidence(gauges, (), (), scene, _around(catalog, facts, row["anchor_ns"], motion), tuple(notes))
    if row["stamp_ns"] is None:
        return Evidence(gauges, (), (), None, (), ())
    rig = _rig(catalog, facts)
    neighbours = _neighbours(catalog, drive, row, rig, notes)
    return Evidence(gauges, (_kept_frame(store, row, rig),), neighbours, None, (), tuple(notes))


def _gauges(row: Row, all_rows: Sequence[Row]) -> tuple[Gauge, ...]:
    from quality.rules.catalogue import RULES

    known = {entry.code: entry for entry in RULES}
    gauges = []
    for found in row["findings"]:
        entry = known.get(found["rule_id"])
        others = [
            one["measured"]
            for other in all_rows
            for one in other["findings"]
            if one["rule_id"] == found["rule_id"] and one["measured"] is not None and other["record_id"] != row["record_id"]
        ]
        gauges.append(
            Gauge(
                rule_id=found["rule_id"],
                sentence=entry.sentence if entry else "",
                unit=entry.unit if entry else "",
                severity=found.get("severity") or (entry.severity.value if entry else ""),
                measured=found["measured"],
                threshold=found["threshold"],
                message=found["message"],
                others=tuple(sorted(others)[:MAX_TICKS]),
            )
        )
    return tuple(gauges)


def _scene(catalog: Catalog, store: ObjectStore, row: Row, motion: EgoMotion, notes: list[str]) -> SceneView | None:
    key = SceneKey(drive_of(row), row["anchor_ns"])
    try:
        found = _kept_scene(store, row) if row["payload_uri"] else lake_reader.scene(catalog, str(key))
    except LakeError as error:
        notes.append(f"The copy of the scene cannot be read: {error}")
        return None
    if found is None:
        notes.append("The scene is neither in its copy nor in gold.")
        return None
    return scene_view(found, motion)


def _kept_scene(store: ObjectStore, row: Row) -> dict[str, Any] | None:
    body = store.read(ObjectVersion.from_uri(row["payload_uri"]), limit=MAX_PAYLOAD_BYTES)
    with pq.ParquetFile(io.BytesIO(body)) as file:
        for number in range(file.num_row_groups):
            anchors = file.read_row_group(number, columns=["anchor_ns"])["anchor_ns"].to_pylist()
            if row["anchor_ns"] in anchors:
                place = anchors.index(row["anchor_ns"])
                found: dict[str, Any] = file.read_row_group(number).slice(place, 1).to_pylist()[0]
                return found
    return None


def _around(catalog: Catalog, facts: Sequence[Row], anchor_ns: int, motion: EgoMotion) -> tuple[SceneView, ...]:
    """The gold scenes right before and right after."""
    anchors = [fact["anchor_ns"] for fact in facts]
    place = bisect_left(anchors, anchor_ns)
    wanted = [at for at in (place - 1, place + (place < len(anchors) and anchors[place] == anchor_ns)) if 0 <= at < len(anchors)]
    rows = (lake_reader.scene(catalog, facts[at]["scene_id"]) for at in wanted)
    return tuple(scene_view(row, motion) for row in rows if row is not None)


def _rig(catalog: Catalog, facts: Sequence[Row]) -> Rig | None:
    first = lake_reader.scene(catalog, facts[0]["scene_id"]) if facts else None
    return None if first is None else Rig.from_dict(json.loads(first["calibration"]))


def _kept_frame(store: ObjectStore, row: Row, rig: Rig | None) -> Picture:
    caption = f"{row['sensor']} as it was recorded"
    if row["payload_uri"] is None:
        return Picture(caption, None, note="it was released: it is in the scenes of gold")
    target = ObjectVersion.from_uri(row["payload_uri"])
    try:
        body = store.read(target, limit=MAX_FRAME_BYTES)
    except LakeError as error:
        return Picture(caption, None, note=f"its copy cannot be shown: {error}")
    found = picture.find_image(body)
    if found is None:
        return _points(caption, row["sensor"], body, rig)
    if len(found[0]) > picture.MAX_RAW_BYTES:
        return Picture(caption, None, note=f"{len(found[0])} bytes, more than a page shows")
    return Picture(caption, found[0], found[1], note="a browser shows as much of it as it can decode")


def _points(caption: str, sensor: str, body: bytes, rig: Rig | None) -> Picture:
    try:
        cloud = decode_points(body)
    except SensorDataError as error:
        return Picture(caption, None, note=f"its copy of {len(body)} bytes holds neither an image nor points: {error}")
    valid = ~cloud.invalid()
    extrinsics = rig[sensor].ego_SE3_sensor if rig is not None and sensor in rig else None
    ego_SE3_sensor = extrinsics or SE3.identity()
    ego_m, times_ns = ego_SE3_sensor.apply(cloud.xyz_m()[valid]), np.full(int(valid.sum()), cloud.stamp_ns, dtype=np.int64)
    drawn = Cloud(sensor, ego_m, times_ns, None, ego_SE3_sensor.translation_m, extrinsics is not None)
    note = f"{int(valid.sum())} of {cloud.num_points} points have a position"
    return Picture(caption, _from_above(drawn, rig), "image/png", note)


def _from_above(cloud: Cloud, rig: Rig | None) -> bytes:
    return birdseye([cloud], [], (1, 0) if rig is None else looking_forward(rig))


def _neighbours(catalog: Catalog, drive: DriveId, row: Row, rig: Rig | None, notes: list[str]) -> tuple[Picture, ...]:
    """The same sensor's frames right before and right after, out of gold."""
    sensor, stamp_ns = row["sensor"], row["stamp_ns"]
    found = lake_reader.matches(catalog, drive)
    held = {
        stamp: scene_id
        for name, stamp, scene_id in zip(found.sensor, found.stamp_ns.tolist(), found.scene_id, strict=True)
        if name == sensor and stamp != stamp_ns
    }
    stamps = sorted(held)
    place = bisect_left(stamps, stamp_ns)
    pictures = []
    for at in (place - 1, place):
        entry = _entry(lake_reader.scene(catalog, held[stamps[at]]), sensor, stamps[at]) if 0 <= at < len(stamps) else None
        if entry is not None:
            pictures.append(_drawn(sensor, entry, stamps[at] - stamp_ns, rig))
    if not pictures:
        notes.append(f"Gold holds no other frame of {sensor} in this drive.")
    return tuple(pictures)


def _entry(row: Row | None, sensor: str, stamp_ns: int) -> Row | None:
    entries = [] if row is None else [entry for name in lake_reader.LISTS for entry in row[name]]
    return next((entry for entry in entries if entry["sensor"] == sensor and entry["stamp_ns"] == stamp_ns), None)


def _drawn(sensor: str, entry: Row, distance_ns: int, rig: Rig | None) -> Picture:
    caption = f"{sensor} {abs(distance_ns) / 1e6:.1f} ms {'before' if distance_ns < 0 else 'after'}"
    try:
        if entry.get("image") is not None:
            return Picture(caption, picture.thumbnail(decode_pixels(entry["image"])))
        cloud = None if rig is None else in_ego_frame(entry, rig, entry["reference_ns"])
    except (SensorDataError, ValueError) as error:
        return Picture(caption, None, note=f"cannot be drawn: {error}")
    if cloud is None:
        return Picture(caption, None, note=f"{entry['num_points']} points")
    note = f"{len(cloud.ego_m)} of {entry['num_points']} points have a position"
    return Picture(caption, _from_above(cloud, rig), "image/png", note)
