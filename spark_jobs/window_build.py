"""Build the scenes of one window in a worker: fetch, decode, judge, split, and write both halves as Parquet."""

from __future__ import annotations

import datetime
import io
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables import OPAQUE_LEAVES, SCENES
from quality.catalogue import Severity
from quality.findings import rule_ids
from quality.scene_rules import SceneVerdict, evaluate_scene
from sensors.rig import Modality, Rig
from spark_jobs.payloads import Frame, Row, decode, fetch
from spark_jobs.work_area import WorkArea

ROW_GROUP_BYTES = 8 * 1024 * 1024
DAY_ZERO = datetime.date(1970, 1, 1)
POSE_FIELDS = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
_COLUMN = {Modality.LIDAR: "lidars", Modality.CAMERA: "cameras", Modality.RADAR: "radars"}
_PAYLOADS = ("points", "image")


@dataclass(frozen=True, slots=True)
class DriveContext:
    """What all scenes of a drive share. `sources` maps a raw key to its (version id, SHA-256)."""

    drive: DriveId
    revision: str
    rig: Rig
    calibration: str
    sources: Mapping[str, tuple[str, str]]
    raw_bucket: str
    lake_bucket: str
    quarantine_bucket: str
    code_version: str
    config_hash: str

    @property
    def versions(self) -> dict[str, str]:
        """Version id of each raw key."""
        return {key: version for key, (version, _) in self.sources.items()}


def build_window(store: ObjectStore, area: WorkArea, context: DriveContext, number: int, day: int) -> str:
    """Build one window and leave `built/NNNNN-….json` in the work area; returns its name.

    Files get names of their own for each attempt, so a task that Spark runs twice overwrites nothing; only the names
    that the driver reads back are ever published.
    """
    rows = area.read_table(f"plan/{number:05d}.parquet").to_pylist()
    matched = [row for row in rows if row["frame_id"] is not None]
    frames = {row["frame_id"]: decode(row, cdr) for row, cdr in fetch(store, context.raw_bucket, context.versions, matched)}
    gold: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    scenes: list[dict[str, Any]] = []
    for _, of_scene in groupby(rows, key=lambda row: row["scene"]):
        scene_rows = list(of_scene)
        scene, verdict = _scene(context, day, scene_rows, frames)
        (quarantined if verdict.quarantined else gold).append(scene)
        scenes.append(_account(scene, verdict, scene_rows, frames))
    name = f"{context.drive}/{context.revision[:16]}-{number:05d}-{uuid.uuid4().hex}.parquet"
    gold_target = ObjectVersion(context.lake_bucket, f"warehouse/gold/scenes/data/{name}")
    payload_target = ObjectVersion(context.quarantine_bucket, f"scenes/{name}")
    for scene in scenes:
        scene["payload_uri"] = payload_target.uri if scene["quarantined"] else None
    report = {
        "number": number,
        "scenes": scenes,
        "gold": _write(store, gold_target, gold),
        "quarantined": _write(store, payload_target, quarantined),
        "bad_frames": _keep_bad(store, context, matched, frames),
    }
    built = f"built/{number:05d}-{uuid.uuid4().hex}.json"
    area.write_json(built, report)
    return built


def _scene(
    context: DriveContext, day: int, rows: Sequence[Row], frames: Mapping[int, Frame]
) -> tuple[dict[str, Any], SceneVerdict]:
    sound = _sound(rows, frames)
    missing = {row["plan_sensor"]: row["missing"] for row in rows if row["missing"] is not None}
    missing |= {
        row["plan_sensor"]: rule_ids(frames[row["frame_id"]].findings, Severity.ERROR)[0]
        for row in rows
        if row["frame_id"] is not None and frames[row["frame_id"]].bad
    }
    pose, anchor_ns = rows[0]["pose"], rows[0]["anchor_ns"]
    verdict = evaluate_scene(
        context.rig,
        missing=missing,
        residuals={row["plan_sensor"]: row["residual_ns"] for row in sound},
        has_pose=pose is not None,
        motion_compensated=False,
        payload_findings=tuple(found for row in sound for found in frames[row["frame_id"]].findings),
    )
    lists: dict[str, list[dict[str, Any]]] = {column: [] for column in _COLUMN.values()}
    for row in sound:
        match = {
            "sensor": row["plan_sensor"],
            "stamp_ns": row["stamp_ns"],
            "offset_ns": row["offset_ns"],
            "residual_ns": row["residual_ns"],
            "sweep": row["sweep"],
            "ego_pose": None if row["frame_pose"] is None else dict(zip(POSE_FIELDS, row["frame_pose"], strict=True)),
        }
        lists[_COLUMN[Modality(row["modality"])]].append(match | dict(frames[row["frame_id"]].columns))
    keys = sorted({*(row["key"] for row in sound), *(rows[0]["pose_keys"] or ())})
    scene = {
        "scene_id": f"{context.drive.vehicle_id}.{context.drive.drive_id}.{anchor_ns}",
        "vehicle_id": context.drive.vehicle_id,
        "drive_id": context.drive.drive_id,
        "revision": context.revision,
        "day": DAY_ZERO + datetime.timedelta(days=day),
        "anchor_sensor": context.rig.reference,
        "anchor_ns": anchor_ns,
        "ego_pose": None if pose is None else dict(zip(POSE_FIELDS, pose, strict=True)),
        "complete": not missing,
        "missing": [{"sensor": sensor, "reason": reason} for sensor, reason in sorted(missing.items())],
        "quality_flags": list(verdict.flags),
        **lists,
        "sources": [{"key": key, "version_id": context.sources[key][0], "sha256": context.sources[key][1]} for key in keys],
        "calibration": context.calibration,
        "code_version": context.code_version,
        "config_hash": context.config_hash,
    }
    return scene, verdict


def _account(scene: Mapping[str, Any], verdict: SceneVerdict, rows: Sequence[Row], frames: Mapping[int, Frame]) -> dict[str, Any]:
    used = _sound(rows, frames)
    return {
        "scene_id": scene["scene_id"],
        "scene": rows[0]["scene"],
        "anchor_ns": scene["anchor_ns"],
        "quarantined": verdict.quarantined,
        "complete": scene["complete"],
        "findings": [found.to_dict() for found in verdict.findings],
        "frame_ids": [row["frame_id"] for row in used],
        "residuals_ns": {row["plan_sensor"]: row["residual_ns"] for row in used},
    }


def _sound(rows: Sequence[Row], frames: Mapping[int, Frame]) -> list[Row]:
    return [row for row in rows if row["frame_id"] is not None and not frames[row["frame_id"]].bad]


def _keep_bad(
    store: ObjectStore, context: DriveContext, rows: Iterable[Row], frames: Mapping[int, Frame]
) -> list[dict[str, Any]]:
    """Copy what did not decode to the quarantine bucket, byte for byte, under a name that a repetition writes again."""
    kept = []
    for row in sorted({row["frame_id"]: row for row in rows}.values(), key=lambda row: int(row["frame_id"])):
        frame = frames[row["frame_id"]]
        if not frame.bad:
            continue
        name = f"{row['sensor']}/{row['stamp_ns']:019d}-{row['chunk_offset']}-{row['message_offset']}.cdr"
        target = ObjectVersion(context.quarantine_bucket, f"frames/{context.drive}/{context.revision}/{name}")
        store.put(target, frame.raw)
        kept.append(
            {
                "frame_id": row["frame_id"],
                "sensor": row["sensor"],
                "stamp_ns": row["stamp_ns"],
                "key": row["key"],
                "offset": row["chunk_offset"],
                "message_offset": row["message_offset"],
                "payload_uri": target.uri,
                "findings": [found.to_dict() for found in frame.findings],
            }
        )
    return kept


def _write(store: ObjectStore, target: ObjectVersion, scenes: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not scenes:
        return None
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer,
        SCENES,
        compression=_COMPRESSION,
        use_dictionary=False,
        write_statistics=_STATISTICS,
    ) as writer:
        for group in _row_groups(scenes):
            writer.write_table(pa.Table.from_pylist(group, schema=SCENES))
    body = buffer.getvalue()
    store.put(target, body)
    return {"uri": target.uri, "scenes": len(scenes), "bytes": len(body)}


def _row_groups(scenes: Sequence[Mapping[str, Any]]) -> Iterable[list[Mapping[str, Any]]]:
    """Few enough scenes a group that one can be fetched alone."""
    group: list[Mapping[str, Any]] = []
    held = 0
    for scene in scenes:
        size = len(scene["calibration"])
        size += sum(len(entry.get(name) or b"") for column in _COLUMN.values() for entry in scene[column] for name in _PAYLOADS)
        if group and held + size > ROW_GROUP_BYTES:
            yield group
            group, held = [], 0
        group.append(scene)
        held += size
    if group:
        yield group


def _leaves(kind: pa.DataType, path: str) -> Iterable[str]:
    if pa.types.is_list(kind):
        yield from _leaves(kind.value_type, f"{path}.list.element")
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(field.type, f"{path}.{field.name}")
    else:
        yield path


_LEAVES = [leaf for field in SCENES for leaf in _leaves(field.type, field.name)]
# JPEG does not shrink again; points do, and cheaply.
_COMPRESSION = {leaf: "none" if leaf.endswith(".image") else "zstd" for leaf in _LEAVES}
_STATISTICS = [leaf for leaf in _LEAVES if leaf.replace(".list.", ".") not in OPAQUE_LEAVES]
