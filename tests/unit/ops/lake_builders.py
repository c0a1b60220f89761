"""Hand-made rows of the lake's tables, and a catalog in a folder that holds them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from PIL import Image
from pyiceberg.catalog import Catalog

from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.rows import DriveRow, PublicationFacts, RecordRow, SceneRow, row_of
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import DRIVES, FRAMES, PUBLISHED, RECORDS, SCENES
from lake.tables.summaries import summary_of

EPOCH_NS = 1_780_000_000_000_000_000
PERIOD_NS = 100_000_000
REVISION_A = "a" * 64
DRIVE_A = DriveId("veh-1", "drive-a")

LIDAR_FIELDS = [{"name": name, "offset": 4 * i, "datatype": 7, "count": 1} for i, name in enumerate(("x", "y", "z", "intensity"))]
RADAR_FIELDS = [
    {"name": name, "offset": 4 * i, "datatype": 7, "count": 1} for i, name in enumerate(("x", "y", "z", "range_rate"))
]

NO_IMAGE: dict[str, Any] = dict.fromkeys(("width_px", "height_px", "encoding", "image"))

# Camera looking along +x of the ego frame: its z is ego x, its x is ego -y, its y is ego -z.
FRONT_WXYZ = (0.5, -0.5, 0.5, -0.5)


def calibration(drive: DriveId = DRIVE_A) -> dict[str, Any]:
    """A rig with one lidar, one front camera with distortion and one radar."""

    def sensor(
        name: str, modality: str, rate_hz: float, translation: Sequence[float], rotation: Sequence[float], **more: Any
    ) -> dict[str, Any]:
        return {
            "name": name,
            "modality": modality,
            "rate_hz": rate_hz,
            "sync": {"stamp": "middle", "expected_delay_ns": 0, "tolerance_ns": 40_000_000, "required": True},
            "ego_SE3_sensor": {"translation_m": list(translation), "rotation_wxyz": list(rotation)},
            **more,
        }

    intrinsics = {
        "width_px": 640,
        "height_px": 400,
        "fx_px": 420.0,
        "fy_px": 420.0,
        "cx_px": 320.0,
        "cy_px": 200.0,
        "distortion": [-0.05, 0.01, 0.0, 0.0, 0.0],
    }
    return {
        "schema_version": 1,
        "rig_id": "rig-1",
        "reference": "lidar_top",
        "sensors": [
            sensor("lidar_top", "lidar", 10.0, (0.0, 0.0, 1.8), (1, 0, 0, 0)),
            sensor("cam_front", "camera", 10.0, (1.5, 0.0, 1.5), FRONT_WXYZ, intrinsics=intrinsics),
            sensor("radar_front", "radar", 10.0, (3.5, 0.0, 0.5), (1, 0, 0, 0)),
        ],
    }


def jpeg(width_px: int = 640, height_px: int = 400, hue: int = 0) -> bytes:
    """A street-like picture: sky, road, a box."""
    rows = np.linspace(0, 1, height_px)[:, None]
    picture = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    picture[...] = (150 + 60 * (1 - rows))[..., None] * np.array([0.8, 0.95, 1.0])
    picture[height_px // 2 :] = 90
    picture[height_px // 2 - 60 : height_px // 2 + 30, 240 + hue : 330 + hue] = (180, 60, 50)
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "JPEG", quality=85)
    return body.getvalue()


def lidar_points(seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Rings on the ground and one box, (N, 4) float32 x y z intensity in the lidar's frame, 1.8 m above the ground."""
    random = np.random.default_rng(seed)
    azimuth = np.tile(np.linspace(-np.pi, np.pi, 600, endpoint=False), 24)
    reach = np.repeat(1.8 / np.tan(np.radians(np.linspace(2.4, 24, 24))), 600)
    ground = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), np.full_like(reach, -1.8)], axis=1)
    box = np.stack([np.full(1500, 12.0), random.uniform(0.0, 2.0, 1500), random.uniform(-1.8, 0.0, 1500)], axis=1)
    wall = np.stack([random.uniform(-40, 40, 3000), np.full(3000, 15.0), random.uniform(-1.8, 4.0, 3000)], axis=1)
    xyz = np.concatenate([ground, box, wall]) + random.normal(0, 0.02, (14400 + 4500, 3))
    return np.column_stack([xyz, random.uniform(0, 1, len(xyz))]).astype(np.float32)


def points_entry(sensor: str, stamp_ns: int, anchor_ns: int, fields: list[dict[str, Any]], points: Any) -> dict[str, Any]:
    """One element of `lidars` or `radars`."""
    return {
        **match(sensor, stamp_ns, anchor_ns),
        "num_points": len(points),
        "points": np.ascontiguousarray(points, dtype=np.float32).tobytes(),
        "point_step": 4 * len(fields),
        "point_fields": fields,
        "is_bigendian": False,
        "invalid_points": 0,
        **(NO_IMAGE if sensor.startswith("radar") else {}),
    }


def match(sensor: str, stamp_ns: int, anchor_ns: int) -> dict[str, Any]:
    """The match columns, for an expected delay of zero."""
    offset_ns = stamp_ns - anchor_ns
    return {"sensor": sensor, "stamp_ns": stamp_ns, "offset_ns": offset_ns, "residual_ns": offset_ns, "sweep": 0}


def scene(
    index: int = 0, drive: DriveId = DRIVE_A, revision: str = REVISION_A, camera_late_ns: int = 3_000_000, radar: bool = True
) -> dict[str, Any]:
    """Scene number `index` of a drive: one lidar, one camera, one radar (unless it is dead)."""
    anchor_ns = EPOCH_NS + index * PERIOD_NS
    detections = np.array([[12.0, 1.0, 0.4, -4.0], [22.0, -6.0, 0.4, 3.0], [30.0, 4.0, 0.4, 0.0]], dtype=np.float32)
    image = jpeg(hue=4 * index)
    return {
        "scene_id": str(SceneKey(drive, anchor_ns)),
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": datetime.fromtimestamp(anchor_ns // 10**9, UTC).date(),
        "anchor_sensor": "lidar_top",
        "anchor_ns": anchor_ns,
        "ego_pose": {"x_m": 1.0 * index, "y_m": 0.0, "z_m": 0.0, "qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0},
        "complete": radar,
        "missing": [] if radar else [{"sensor": "radar_front", "reason": "no frame within tolerance"}],
        "quality_flags": [] if radar else ["SYN002"],
        "lidars": [points_entry("lidar_top", anchor_ns, anchor_ns, LIDAR_FIELDS, lidar_points(index))],
        "cameras": [
            {
                **match("cam_front", anchor_ns + camera_late_ns, anchor_ns),
                "width_px": 640,
                "height_px": 400,
                "encoding": "jpeg",
                "image": image,
            }
        ],
        "radars": [points_entry("radar_front", anchor_ns - 12_000_000, anchor_ns, RADAR_FIELDS, detections)] if radar else [],
        "sources": [
            {"key": f"{drive}/lidar/lidar_top/{EPOCH_NS}.mcap", "version_id": "v1", "sha256": hashlib.sha256(b"raw").hexdigest()}
        ],
        "calibration": json.dumps(calibration(drive)),
        "code_version": "0123456789abcdef",
        "config_hash": "f" * 64,
    }


def frame(
    sensor: str,
    modality: str,
    stamp_ns: int,
    fate: str = "gold",
    reason: str | None = None,
    drive: DriveId = DRIVE_A,
    revision: str = REVISION_A,
) -> dict[str, Any]:
    """One row of `gold.frames`."""
    return {
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": datetime.fromtimestamp(EPOCH_NS // 10**9, UTC).date(),
        "sensor": sensor,
        "modality": modality,
        "stamp_ns": stamp_ns,
        "key": f"{drive}/{modality}/{sensor}/{EPOCH_NS}.mcap",
        "chunk_offset": 0,
        "message_offset": stamp_ns - EPOCH_NS,
        "fate": fate,
        "reason": reason,
        "scenes": 1 if fate == "gold" else 0,
    }


def record(
    record_id: str, rule_ids: Sequence[str], drive: DriveId = DRIVE_A, revision: str = REVISION_A, **more: Any
) -> dict[str, Any]:
    """One row of `quarantine.records`."""
    row: dict[str, Any] = {
        "record_id": record_id,
        "level": "object",
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "sensor": "cam_front",
        "anchor_ns": None,
        "stamp_ns": EPOCH_NS,
        "rule_ids": list(rule_ids),
        "findings": [{"rule_id": rule, "measured": 1.0, "threshold": 0.0, "message": f"{rule} fired"} for rule in rule_ids],
        "source": {"key": f"{drive}/camera/cam_front/{EPOCH_NS}.mcap", "version_id": "v1", "offset": 128},
        "payload_uri": f"s3://quarantine/{record_id}",
        "frames": 1,
        "status": "quarantined",
        "code_version": "0123456789abcdef",
        "config_hash": "f" * 64,
    }
    return {**row, **more}


def scene_row(*args: Any, **more: Any) -> SceneRow:
    return row_of(SceneRow, scene(*args, **more))


def record_row(*args: Any, **more: Any) -> RecordRow:
    return row_of(RecordRow, record(*args, **more))


def scenes_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCENES)


def frames_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=FRAMES)


def records_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=RECORDS)


def catalog_of(folder: Path) -> LakeCatalog:
    """An empty catalog whose warehouse is a folder: the real schemas, unpartitioned, no S3."""
    catalog = LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    for name, schema in PUBLISHED.items():
        catalog.create_namespace_if_not_exists(name.split(".")[0])
        catalog.create_table(name, schema)
    return catalog


def fill(
    catalog: Catalog,
    scenes: Sequence[Mapping[str, Any]] = (),
    frames: Sequence[Mapping[str, Any]] = (),
    records: Sequence[Mapping[str, Any]] = (),
    drive: DriveId = DRIVE_A,
    revision: str = REVISION_A,
    generation: int = 1,
) -> None:
    """Append rows as one publication would, and the row of `gold.drives` that says so."""
    facts = PublicationFacts(verdict="publish", scenes=len(scenes), frames=len(frames), records=len(records))
    identity = summary_of(drive, revision, generation)
    for name, made in (
        ("gold.scenes", scenes_table(scenes)),
        ("gold.frames", frames_table(frames)),
        ("quarantine.records", records_table(records)),
    ):
        catalog.load_table(name).append(made, snapshot_properties=identity)
    snapshot = catalog.load_table("gold.scenes").current_snapshot()
    assert snapshot is not None
    row = publication(drive, revision, generation, snapshot.snapshot_id, snapshot.timestamp_ms * 10**6, facts)
    table = pa.Table.from_pylist([msgspec.to_builtins(row)], schema=DRIVES)
    catalog.load_table("gold.drives").append(table, snapshot_properties=identity)


def publication(
    drive: DriveId = DRIVE_A,
    revision: str = REVISION_A,
    generation: int = 1,
    snapshot_id: int = 1,
    committed_ns: int = EPOCH_NS,
    facts: PublicationFacts | None = None,
) -> DriveRow:
    """A row of `gold.drives`."""
    return DriveRow(
        **msgspec.structs.asdict(facts or PublicationFacts(verdict="publish", scenes=1, frames=1, records=0)),
        vehicle_id=drive.vehicle_id,
        drive_id=drive.drive_id,
        revision=revision,
        generation=generation,
        committed_ns=committed_ns,
        scenes_snapshot_id=snapshot_id,
    )
