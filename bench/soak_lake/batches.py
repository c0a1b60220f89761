"""The files of a drive's revision: scenes in the layout of the build, frames and quarantine records, as a run writes them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.soak_lake.landing import LIDAR, Landed, stamps_ns
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore
from lake.tables.publish import Batch
from lake.tables.rows import PublicationFacts
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import FRAMES, GOLD, QUARANTINED, RECORDS
from scenes.build.scene_file import scene_pieces
from scenes.targets import DriveTargets
from sensors.time_units import NS_PER_S

RULE = "LID001"
POINTS = 64
FIELDS = [{"name": name, "offset": 4 * at, "datatype": 7, "count": 1} for at, name in enumerate(("x", "y", "z", "intensity"))]


def write_batch(store: ObjectStore, settings: Settings, landed: Landed, quarantined: Sequence[int] = ()) -> Batch:
    """Write the files of a revision whose frames of these numbers are in quarantine, with the copies of their payload."""
    drive, revision = landed.drive.id, landed.revision
    targets = DriveTargets(drive, revision, settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket)
    stamps = stamps_ns(landed.drive)
    gold = [stamp for number, stamp in enumerate(stamps) if number not in quarantined]
    kept_out = [stamp for number, stamp in enumerate(stamps) if number in quarantined]
    files: dict[str, list[str]] = {}

    def write(table: str, pieces: Sequence[bytes | memoryview]) -> None:
        target = targets.data_file(table, targets.unique_name("parquet"))
        store.write(target, pieces)
        files[table] = [target.uri]

    write("gold.scenes", scene_pieces([_scene(landed, stamp) for stamp in gold]))
    write("gold.frames", _parquet([_frame(landed, stamp, quarantined=stamp in kept_out) for stamp in stamps], FRAMES))
    if kept_out:
        for stamp in kept_out:
            store.put(targets.quarantined_frame(f"{LIDAR}-{stamp}"), _points(drive, stamp))
        copies = [targets.quarantined_frame(f"{LIDAR}-{stamp}").uri for stamp in kept_out]
        write("quarantine.records", _parquet([_record(landed, *one) for one in zip(kept_out, copies, strict=True)], RECORDS))
    facts = PublicationFacts(
        verdict="publish",
        scenes=len(gold),
        frames=len(stamps),
        records=len(kept_out),
        sensors=(LIDAR,),
        calibration_hash="0" * 64,
        code_version="soak",
        config_hash="0" * 64,
        lock_hash="0" * 64,
    )
    return Batch(drive, revision, landed.generation, files, facts)


def _parquet(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> list[bytes | memoryview]:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), sink, compression="zstd")
    return [sink.getbuffer()]


def _points(drive: DriveId, stamp_ns: int) -> bytes:
    """Points that no other frame has."""
    return hashlib.shake_256(f"{drive} {stamp_ns}".encode()).digest(16 * POINTS)


def _identity(landed: Landed) -> dict[str, Any]:
    drive = landed.drive.id
    return {"vehicle_id": drive.vehicle_id, "drive_id": drive.drive_id, "revision": landed.revision}


def _scene(landed: Landed, stamp_ns: int) -> dict[str, Any]:
    drive = landed.drive.id
    cloud = {
        "sensor": LIDAR,
        "stamp_ns": stamp_ns,
        "offset_ns": 0,
        "residual_ns": 0,
        "sweep": 0,
        "num_points": POINTS,
        "points": memoryview(_points(drive, stamp_ns)),
        "point_layout": "rows",
        "point_step": 16,
        "point_fields": FIELDS,
        "is_bigendian": False,
        "invalid_points": 0,
    }
    return {
        **_identity(landed),
        "scene_id": str(SceneKey(drive, stamp_ns)),
        "day": datetime.fromtimestamp(stamp_ns // NS_PER_S, UTC).date(),
        "anchor_sensor": LIDAR,
        "anchor_ns": stamp_ns,
        "ego_pose": (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
        "complete": True,
        "missing": [],
        "quality_flags": [],
        "lidars": [cloud],
        "cameras": [],
        "radars": [],
        "sources": [{"key": key, "version_id": version, "sha256": sha256} for key, version, sha256 in landed.objects[:1]],
        "calibration": "{}",
        "code_version": "soak",
        "config_hash": "0" * 64,
        "released": [],
    }


def _frame(landed: Landed, stamp_ns: int, *, quarantined: bool) -> dict[str, Any]:
    return {
        **_identity(landed),
        "day": landed.drive.day,
        "sensor": LIDAR,
        "modality": "lidar",
        "stamp_ns": stamp_ns,
        "key": landed.objects[0][0],
        "chunk_offset": 0,
        "message_offset": stamp_ns - landed.drive.start_ns,
        "fate": QUARANTINED if quarantined else GOLD,
        "reason": RULE if quarantined else None,
        "scenes": 0 if quarantined else 1,
    }


def _record(landed: Landed, stamp_ns: int, payload_uri: str) -> dict[str, Any]:
    key, version, _ = landed.objects[0]
    finding = {"rule_id": RULE, "measured": 0.0, "threshold": 1.0, "message": "made for the soak", "sensor": LIDAR}
    return {
        **_identity(landed),
        "record_id": hashlib.sha256(f"{landed.revision} {stamp_ns}".encode()).hexdigest(),
        "level": "scene",
        "sensor": LIDAR,
        "anchor_ns": stamp_ns,
        "stamp_ns": stamp_ns,
        "rule_ids": [RULE],
        "findings": [finding | {"severity": "error"}],
        "source": {"key": key, "version_id": version, "offset": 0},
        "payload_uri": payload_uri,
        "frames": 1,
        "status": QUARANTINED,
        "code_version": "soak",
        "config_hash": "0" * 64,
        "input": landed.revision,
    }
