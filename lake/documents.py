"""The two JSON documents of a drive, bounded and checked before anything of them is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

import jsonschema

from lake.errors import LandingError
from lake.landing import DriveId, SensorKey, parse_raw_key

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024  # 100,000 manifest entries need about 40 MB
MAX_PROBLEMS_NAMED = 5


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """One raw file that the recorder says it wrote."""

    key: str
    size_bytes: int
    sha256: str
    modality: str
    sensor: str
    start_ns: int
    end_ns: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What belongs to a drive, as its recorder says."""

    drive: DriveId
    rig_id: str
    start_ns: int
    end_ns: int
    recorder: str
    recorder_version: str
    calibration_sha256: str
    objects: tuple[ManifestObject, ...]

    @classmethod
    def parse(cls, body: bytes, drive: DriveId) -> Self:
        """Read `manifest.json` of `drive`.

        Raises:
            LandingError: Not JSON, not the schema, another drive's manifest, an object twice or outside the drive, or
                an entry that contradicts its own key.
        """
        document = parse_document(body, "manifest")
        named = DriveId(document["vehicle_id"], document["drive_id"])
        if named != drive:
            raise LandingError(f"manifest under {drive} names the drive {named}")
        objects = tuple(ManifestObject(**entry) for entry in document["objects"])
        _check_objects(objects, drive)
        if document["end_ns"] < document["start_ns"]:
            raise LandingError(f"manifest of {drive} ends ({document['end_ns']} ns) before it starts ({document['start_ns']} ns)")
        return cls(
            drive=drive,
            rig_id=document["rig_id"],
            start_ns=document["start_ns"],
            end_ns=document["end_ns"],
            recorder=document["recorder"],
            recorder_version=document["recorder_version"],
            calibration_sha256=document["calibration_sha256"],
            objects=objects,
        )

    def to_bytes(self) -> bytes:
        """The document as canonical JSON; `Manifest.parse` reads it back to an equal manifest."""
        return canonical_json(
            {
                "schema_version": 1,
                "vehicle_id": self.drive.vehicle_id,
                "drive_id": self.drive.drive_id,
                "rig_id": self.rig_id,
                "start_ns": self.start_ns,
                "end_ns": self.end_ns,
                "recorder": self.recorder,
                "recorder_version": self.recorder_version,
                "calibration_sha256": self.calibration_sha256,
                "objects": [
                    {name: getattr(entry, name) for name in ManifestObject.__dataclass_fields__} for entry in self.objects
                ],
            }
        )


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal documents have equal bytes, and so equal hashes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def parse_document(body: bytes, kind: str) -> dict[str, Any]:
    """Read a `manifest` or `calibration` document and check it against its JSON Schema.

    Raises:
        LandingError: Larger than 64 MiB, not UTF-8 JSON, nested too deep, or not the schema; names up to five problems.
    """
    if len(body) > MAX_DOCUMENT_BYTES:
        raise LandingError(f"{kind} of {len(body)} bytes exceeds {MAX_DOCUMENT_BYTES}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise LandingError(f"{kind} is not JSON: {error}") from error
    validator = jsonschema.Draft202012Validator(_schema(kind))
    problems = []
    for problem in validator.iter_errors(document):
        problems.append(f"{problem.json_path}: {problem.message[:200]}")
        if len(problems) == MAX_PROBLEMS_NAMED:
            break
    if problems:
        raise LandingError(f"{kind} does not follow its schema: " + "; ".join(problems))
    return dict(document)


@cache
def _schema(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files("lake").joinpath("schemas", f"{kind}.json").read_bytes())
    return document


def _check_objects(objects: tuple[ManifestObject, ...], drive: DriveId) -> None:
    seen: set[str] = set()
    for entry in objects:
        key = parse_raw_key(entry.key)
        if not isinstance(key, SensorKey) or key.drive != drive:
            raise LandingError(f"manifest of {drive} names {entry.key!r}, which is no sensor object of that drive")
        if (key.modality, key.sensor, key.start_ns) != (entry.modality, entry.sensor, entry.start_ns):
            raise LandingError(f"manifest entry {entry.key!r} contradicts its own key")
        if entry.key in seen:
            raise LandingError(f"manifest of {drive} names {entry.key!r} twice")
        seen.add(entry.key)
