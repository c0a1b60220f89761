"""The exact input of a run: the pinned versions of a drive's objects, and the revision that they hash to.

The revision is the SHA-256 of the input document, and the document is stored in the lake under that name: given a revision,
exactly the object versions that it means can be fetched and verified. An object that is overwritten while a run is under way
changes nothing in that run: it makes a new revision.

The *base* of an input is its content: the hash of the same document without overrides and version ids. An uploader that puts
the same bytes again makes another version, another revision, and the same base, so reviewers' decisions still apply.

The vehicle's baseline (`lake.vehicle_baseline`), where it has one, is pinned when the drive is first queued, and again when it
is reprocessed on purpose (ADR 0035). It is part of the revision and not of the base: a decision is about the drive's own data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Self

from lake.documents import canonical_json
from lake.errors import LandingError
from lake.landing import DriveId, SensorKey, parse_raw_key

SCHEMA_VERSION = 1
WITH_BASELINE = 2  # schema version of a document that pins a baseline: code that does not know one must not ignore it


@dataclass(frozen=True, slots=True, order=True)
class InputObject:
    """One pinned object version; `sha256` is what the manifest declares, empty where it declares nothing.

    `etag` is what S3 says of the bytes of this version; empty in documents that were written before it was kept. It is the
    same for the same bytes put in the same way, unless they are encrypted with a key of KMS: then no two puts are the same.
    """

    key: str
    version_id: str
    sha256: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class DriveInput:
    """Everything that makes up a revision of a drive. Objects and overrides may come in any order.

    `manifest` and `calibration` are None while they have not landed; `objects` holds the sensor objects only. `overrides`
    are the reviewers' decisions (`lake.overrides`); empty for a drive that was never reviewed. `baseline` is the version of
    the vehicle's baseline in the lake bucket; None if the vehicle had none.

    Raises:
        LandingError: Two versions of one object, or another vehicle's baseline.
    """

    drive: DriveId
    objects: frozenset[InputObject]
    manifest: InputObject | None
    calibration: InputObject | None
    overrides: frozenset[str] = frozenset()
    baseline: InputObject | None = None

    def __post_init__(self) -> None:
        if len({entry.key for entry in self.objects}) < len(self.objects):
            raise LandingError(f"the input of {self.drive} holds two versions of one object")
        if self.baseline is not None and self.baseline.key != baseline_key(self.drive.vehicle_id):
            raise LandingError(f"the input of {self.drive} pins {self.baseline.key!r}, which is not its vehicle's baseline")

    def to_bytes(self) -> bytes:
        """The input document as canonical JSON; its SHA-256 is `revision`."""
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "vehicle_id": self.drive.vehicle_id,
            "drive_id": self.drive.drive_id,
            "objects": [_listed(entry) for entry in sorted(self.objects)],
            "manifest": None if self.manifest is None else _listed(self.manifest),
            "calibration": None if self.calibration is None else _listed(self.calibration),
            "overrides": sorted(self.overrides),
        }
        if self.baseline is not None:
            document |= {"schema_version": WITH_BASELINE, "baseline": _listed(self.baseline)}
        return canonical_json(document)

    @property
    def revision(self) -> str:
        """SHA-256 (hex) of `to_bytes()`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def base(self) -> str:
        """SHA-256 (hex) of the content that was judged, whatever was decided about it, whatever it was compared with, and
        however often it was put.

        Without ETags, the revision of the same objects without any override.
        """
        if not any(entry.etag for entry in self._entries):
            return self._bare
        content = replace(self, overrides=frozenset(), baseline=None)
        document = json.loads(content.to_bytes()) | dict.fromkeys(("objects", "manifest", "calibration"))
        listed = sorted([entry.key, entry.sha256, entry.etag or entry.version_id] for entry in self._entries)
        return hashlib.sha256(canonical_json(document | {"content": listed})).hexdigest()

    @property
    def bases(self) -> frozenset[str]:
        """`base`, and what it was for the same versions before ETags were kept: decisions of that time hold, too."""
        return frozenset({self.base, self._bare})

    @property
    def _bare(self) -> str:
        def plain(entry: InputObject | None) -> InputObject | None:
            return None if entry is None else replace(entry, etag="")

        objects = frozenset(replace(entry, etag="") for entry in self.objects)
        manifest, calibration = plain(self.manifest), plain(self.calibration)
        return DriveInput(self.drive, objects, manifest, calibration).revision

    @property
    def _entries(self) -> list[InputObject]:
        documents = (entry for entry in (self.manifest, self.calibration) if entry is not None)
        return [*self.objects, *documents]

    @classmethod
    def parse(cls, body: bytes, revision: str) -> Self:
        """Read the input document of `revision`.

        Raises:
            LandingError: The bytes are not those of `revision`, or of another schema version, or name an object outside
                the drive.
        """
        found = hashlib.sha256(body).hexdigest()
        if found != revision:
            raise LandingError(f"input document of revision {revision} has the hash {found}: it was altered or is another one")
        document: dict[str, Any] = json.loads(body)
        version = document["schema_version"]
        if version != (WITH_BASELINE if "baseline" in document else SCHEMA_VERSION):
            raise LandingError(
                f"input document has schema version {version!r}; this code reads {SCHEMA_VERSION}, or {WITH_BASELINE} with a "
                "baseline"
            )
        drive_input = cls(
            drive=DriveId(document["vehicle_id"], document["drive_id"]),
            objects=frozenset(InputObject(*entry) for entry in document["objects"]),
            manifest=None if document["manifest"] is None else InputObject(*document["manifest"]),
            calibration=None if document["calibration"] is None else InputObject(*document["calibration"]),
            overrides=frozenset(document["overrides"]),
            baseline=InputObject(*document["baseline"]) if version == WITH_BASELINE else None,
        )
        for entry in drive_input.objects:
            key = parse_raw_key(entry.key)
            if not isinstance(key, SensorKey) or key.drive != drive_input.drive:
                raise LandingError(f"input of {drive_input.drive} names {entry.key!r}, which is no sensor object of that drive")
        return drive_input


def input_key(drive: DriveId, revision: str) -> str:
    """Key of a revision's input document in the lake bucket."""
    return f"inputs/{drive}/{revision}.json"


def baseline_key(vehicle_id: str) -> str:
    """Key of a vehicle's baseline in the (versioned) lake bucket."""
    return f"baselines/{vehicle_id}.json"


def _listed(entry: InputObject) -> list[str]:
    return [entry.key, entry.version_id, entry.sha256, *([entry.etag] if entry.etag else [])]
