"""The quarantine records of a drive, and the copies of what they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lake.drive_input import DriveInput
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.schemas import QUARANTINED
from quality.records import Origin, Position, drive_record, frame_record, object_record, scene_record
from quality.rules.findings import Finding
from scenes.outcome.fates import FAULTY_OBJECT, IN_QUARANTINED_SCENE, Built

Record = dict[str, Any]


def object_records(
    store: ObjectStore, settings: Settings, origin: Origin, inspection: Mapping[str, Any], frames: pa.Table
) -> list[Record]:
    """One record for each quarantined object, with a copy of the object; one that never landed has nothing to copy."""
    kept_out = Counter(
        key
        for key, reason in zip(frames["key"].to_pylist(), frames["reason"].to_pylist(), strict=True)
        if reason == FAULTY_OBJECT
    )
    records = []
    for key in inspection["faulty_keys"]:
        findings = [Finding.from_dict(document) for document in inspection["object_findings"][key]]
        report = inspection["objects"].get(key)
        payload_uri = None
        if report is not None:
            target = ObjectVersion(settings.quarantine_bucket, f"objects/{origin.revision}/{key}")
            store.copy(ObjectVersion(settings.raw_bucket, key, report["version_id"]), target)
            payload_uri = target.uri
        version_id = None if report is None else report["version_id"]
        records.append(
            object_record(
                origin,
                findings,
                sensor=findings[0].sensor,
                position=Position(key, version_id),
                frames=kept_out[key],
                payload_uri=payload_uri,
            )
        )
    return records


def built_records(
    origin: Origin, inspection: Mapping[str, Any], built: Built, anchor_sensor: str, frames: pa.Table
) -> list[Record]:
    """Records of the frames that did not decode and of the scenes that were split off."""
    records = []
    for frame in built.bad_frames:
        version_id = inspection["objects"][frame["key"]]["version_id"]
        records.append(
            frame_record(
                origin,
                [Finding.from_dict(document) for document in frame["findings"]],
                sensor=frame["sensor"],
                stamp_ns=frame["stamp_ns"],
                position=Position(frame["key"], version_id, frame["offset"], frame["message_offset"]),
                payload_uri=frame["payload_uri"],
            )
        )
    reasons = frames["reason"].to_pylist()
    counted: set[int] = set()
    for scene in built.scenes:
        if not scene["quarantined"]:
            continue
        # A frame of several quarantined scenes is kept out once; the first of them counts it.
        own = {frame_id for frame_id in scene["frame_ids"] if reasons[frame_id] == IN_QUARANTINED_SCENE} - counted
        counted |= own
        records.append(
            scene_record(
                origin,
                [Finding.from_dict(document) for document in scene["findings"]],
                anchor_sensor=anchor_sensor,
                anchor_ns=scene["anchor_ns"],
                frames=len(own),
                payload_uri=scene["payload_uri"],
            )
        )
    return records


def whole_drive_record(
    store: ObjectStore,
    settings: Settings,
    origin: Origin,
    drive_input: DriveInput,
    findings: Sequence[Finding],
    frames: pa.Table,
) -> Record:
    """The record of a drive that is quarantined as a whole.

    Its payload is the pinned input: raw objects are never changed and their versions are kept, so a second copy of
    terabytes would hold nothing that the list does not (ADR 0005).
    """
    target = ObjectVersion(settings.quarantine_bucket, f"drives/{origin.drive}/{origin.revision}/input.json")
    store.put(target, json.dumps(json.loads(drive_input.to_bytes()), indent=1, sort_keys=True).encode())
    fates, reasons = frames["fate"].to_pylist(), frames["reason"].to_pylist()
    own = sum(fate == QUARANTINED and reason != FAULTY_OBJECT for fate, reason in zip(fates, reasons, strict=True))
    return drive_record(origin, findings, frames=own, payload_uri=target.uri)
