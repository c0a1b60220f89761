"""The evidence for a quarantine record: the quarantined frame, its neighbours, the scene, measured values beside their limits."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from lake.errors import LakeError
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import CameraFrame, CloudFrame, RadarFrame, SceneFields, SceneRow, row_of
from lake.tables.scene_key import SceneKey
from ops.audit import lake_reader
from ops.report import picture
from ops.report.birdseye import birdseye
from ops.report.cloud import Cloud, in_ego_frame
from ops.report.facts import SceneView
from ops.report.motion import EgoMotion, looking_forward
from ops.report.scene import rig_of, scene_view
from ops.review.listing import ReviewRecord
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


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its caption; `body` is None if there is no picture, and `note` says why."""

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
class RecordEvidence:
    """Everything that a page shows about a record, besides the record itself."""

    gauges: tuple[Gauge, ...]
    frame: tuple[Picture, ...]
    neighbours: tuple[Picture, ...]
    scene: SceneView | None
    around: tuple[SceneView, ...]
    notes: tuple[str, ...]


def gather(catalog: Catalog, store: ObjectStore, row: ReviewRecord, all_rows: Sequence[ReviewRecord]) -> RecordEvidence:
    """Collect the evidence for a record; what cannot be read or drawn becomes a note. `all_rows`: the records of its drive."""
    notes: list[str] = []
    drive = row.drive
    if drive is None:
        return RecordEvidence(_gauges(row, ()), (), (), None, (), ("A refused object is never opened.",))
    facts = lake_reader.scene_facts(catalog, drive)
    motion = EgoMotion(facts)
    gauges = _gauges(row, all_rows)
    if row.anchor_ns is not None:
        scene = _scene(catalog, store, SceneKey(drive, row.anchor_ns), row.payload_uri, motion, notes)
        return RecordEvidence(gauges, (), (), scene, _around(catalog, facts, row.anchor_ns, motion), tuple(notes))
    if row.stamp_ns is None or row.sensor is None:
        return RecordEvidence(gauges, (), (), None, (), ())
    rig = rig_of(catalog, facts)
    neighbours = _neighbours(catalog, drive, row.sensor, row.stamp_ns, rig, notes)
    return RecordEvidence(
        gauges, (_quarantined_frame(store, row.sensor, row.payload_uri, rig),), neighbours, None, (), tuple(notes)
    )


def _gauges(row: ReviewRecord, all_rows: Sequence[ReviewRecord]) -> tuple[Gauge, ...]:
    from quality.rules.catalogue import RULES

    known = {entry.code: entry for entry in RULES}
    gauges = []
    for found in row.findings:
        entry = known.get(found.rule_id)
        others = [
            one.measured
            for other in all_rows
            for one in other.findings
            if one.rule_id == found.rule_id and one.measured is not None and other.record_id != row.record_id
        ]
        gauges.append(
            Gauge(
                rule_id=found.rule_id,
                sentence=entry.sentence if entry else "",
                unit=entry.unit if entry else "",
                severity=found.severity or (entry.severity.value if entry else ""),
                measured=found.measured,
                threshold=found.threshold,
                message=found.message,
                others=tuple(sorted(others)[:MAX_TICKS]),
            )
        )
    return tuple(gauges)


def _scene(
    catalog: Catalog, store: ObjectStore, key: SceneKey, payload_uri: str | None, motion: EgoMotion, notes: list[str]
) -> SceneView | None:
    try:
        found = _quarantined_scene(store, payload_uri, key.anchor_ns) if payload_uri else lake_reader.scene(catalog, str(key))
    except LakeError as error:
        notes.append(f"The copy of the scene cannot be read: {error}")
        return None
    if found is None:
        notes.append("The scene is neither in its copy nor in gold.")
        return None
    return scene_view(found, motion)


def _quarantined_scene(store: ObjectStore, payload_uri: str, anchor_ns: int) -> SceneRow | None:
    body = store.read(ObjectVersion.from_uri(payload_uri), limit=MAX_PAYLOAD_BYTES)
    with pq.ParquetFile(io.BytesIO(body)) as file:
        for number in range(file.num_row_groups):
            anchors = file.read_row_group(number, columns=["anchor_ns"])["anchor_ns"].to_pylist()
            if anchor_ns in anchors:
                place = anchors.index(anchor_ns)
                return row_of(SceneRow, file.read_row_group(number).slice(place, 1).to_pylist()[0])
    return None


def _around(catalog: Catalog, facts: Sequence[SceneFields], anchor_ns: int, motion: EgoMotion) -> tuple[SceneView, ...]:
    """The gold scenes right before and right after."""
    anchors = [fact.anchor_ns for fact in facts]
    place = bisect_left(anchors, anchor_ns)
    neighbours = [
        at for at in (place - 1, place + (place < len(anchors) and anchors[place] == anchor_ns)) if 0 <= at < len(anchors)
    ]
    found = (lake_reader.scene(catalog, facts[at].scene_id) for at in neighbours)
    return tuple(scene_view(row, motion) for row in found if row is not None)


def _quarantined_frame(store: ObjectStore, sensor: str, payload_uri: str | None, rig: Rig | None) -> Picture:
    caption = f"{sensor} as recorded"
    if payload_uri is None:
        return Picture(caption, None, note="released: see the scenes of gold")
    try:
        body = store.read(ObjectVersion.from_uri(payload_uri), limit=MAX_FRAME_BYTES)
    except LakeError as error:
        return Picture(caption, None, note=f"its copy cannot be shown: {error}")
    found = picture.find_image(body)
    if found is None:
        return _points(caption, sensor, body, rig)
    if len(found[0]) > picture.MAX_RAW_BYTES:
        return Picture(caption, None, note=f"{len(found[0])} bytes are too many for a page")
    return Picture(caption, found[0], found[1], note="shown as far as the browser can decode it")


def _points(caption: str, sensor: str, body: bytes, rig: Rig | None) -> Picture:
    try:
        cloud = decode_points(body)
    except SensorDataError as error:
        return Picture(caption, None, note=f"its copy of {len(body)} bytes is neither an image nor a point cloud: {error}")
    valid = ~cloud.invalid()
    extrinsics = rig[sensor].ego_SE3_sensor if rig is not None and sensor in rig else None
    ego_SE3_sensor = extrinsics or SE3.identity()
    ego_m, times_ns = ego_SE3_sensor.apply(cloud.xyz_m()[valid]), np.full(int(valid.sum()), cloud.stamp_ns, dtype=np.int64)
    drawn = Cloud(sensor, ego_m, times_ns, None, ego_SE3_sensor.translation_m, extrinsics is not None)
    note = f"{int(valid.sum())} of {cloud.num_points} points are valid"
    return Picture(caption, _from_above(drawn, rig), "image/png", note)


def _from_above(cloud: Cloud, rig: Rig | None) -> bytes:
    return birdseye([cloud], [], (1, 0) if rig is None else looking_forward(rig))


def _neighbours(
    catalog: Catalog, drive: DriveId, sensor: str, stamp_ns: int, rig: Rig | None, notes: list[str]
) -> tuple[Picture, ...]:
    """The same sensor's frames in gold right before and right after."""
    found = lake_reader.matches(catalog, drive)
    scene_ids = {
        stamp: scene_id
        for name, stamp, scene_id in zip(found.sensor, found.stamp_ns.tolist(), found.scene_id, strict=True)
        if name == sensor and stamp != stamp_ns
    }
    stamps = sorted(scene_ids)
    place = bisect_left(stamps, stamp_ns)
    pictures = []
    for at in (place - 1, place):
        row = lake_reader.scene(catalog, scene_ids[stamps[at]]) if 0 <= at < len(stamps) else None
        frames = () if row is None else row.frames
        frame = next((one for one in frames if one.sensor == sensor and one.stamp_ns == stamps[at]), None)
        if frame is not None:
            pictures.append(_drawn(frame, frame.stamp_ns - stamp_ns, rig))
    if not pictures:
        notes.append(f"Gold holds no other frame of {sensor} in this drive.")
    return tuple(pictures)


def _drawn(frame: CloudFrame | CameraFrame | RadarFrame, distance_ns: int, rig: Rig | None) -> Picture:
    caption = f"{frame.sensor} {abs(distance_ns) / 1e6:.1f} ms {'before' if distance_ns < 0 else 'after'}"
    try:
        if isinstance(frame, CameraFrame | RadarFrame) and frame.image is not None:
            return Picture(caption, picture.thumbnail(decode_pixels(frame.image)))
        if isinstance(frame, CameraFrame):
            return Picture(caption, None, note="no image")
        cloud = None if rig is None else in_ego_frame(frame, rig, frame.reference_ns)
    except (SensorDataError, ValueError) as error:
        return Picture(caption, None, note=f"cannot be drawn: {error}")
    if cloud is None:
        return Picture(caption, None, note=f"{frame.num_points} points")
    note = f"{len(cloud.ego_m)} of {frame.num_points} points are valid"
    return Picture(caption, _from_above(cloud, rig), "image/png", note)
