"""The exact input of a run: the pinned versions of a drive's objects, and the revision that they hash to.

The revision is the SHA-256 of the input document, and the document is stored in the lake under that name: given a revision,
exactly the object versions that it means can be fetched and verified. An object that is overwritten while a run is under way
changes nothing in that run: it makes a new revision.
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


@dataclass(frozen=True, slots=True, order=True)
class InputObject:
    """One pinned object version; `sha256` is what the manifest declares, empty where it declares nothing."""

    key: str
    version_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DriveInput:
    """Everything that makes up a revision of a drive. Objects and overrides may come in any order.

    `manifest` and `calibration` are None while they have not landed; `objects` holds the sensor objects only. `overrides`
    are the reviewers' decisions (`lake.overrides`); empty for a drive that was never reviewed.

    Raises:
        LandingError: Two versions of one object.
    """

    drive: DriveId
    objects: frozenset[InputObject]
    manifest: InputObject | None
    calibration: InputObject | None
    overrides: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len({entry.key for entry in self.objects}) < len(self.objects):
            raise LandingError(f"the input of {self.drive} holds two versions of one object")

    def to_bytes(self) -> bytes:
        """The input document as canonical JSON; its SHA-256 is `revision`."""
        return canonical_json(
            {
                "schema_version": SCHEMA_VERSION,
                "vehicle_id": self.drive.vehicle_id,
                "drive_id": self.drive.drive_id,
                "objects": [_listed(entry) for entry in sorted(self.objects)],
                "manifest": None if self.manifest is None else _listed(self.manifest),
                "calibration": None if self.calibration is None else _listed(self.calibration),
                "overrides": sorted(self.overrides),
            }
        )

    @property
    def revision(self) -> str:
        """SHA-256 (hex) of `to_bytes()`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def base(self) -> str:
        """The revision of the same objects without any override: it identifies the data, independent of decisions about it."""
        return replace(self, overrides=frozenset()).revision

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
        if document["schema_version"] != SCHEMA_VERSION:
            raise LandingError(
                f"input document has schema version {document['schema_version']!r}, this code reads {SCHEMA_VERSION}"
            )
        drive_input = cls(
            drive=DriveId(document["vehicle_id"], document["drive_id"]),
            objects=frozenset(InputObject(*entry) for entry in document["objects"]),
            manifest=None if document["manifest"] is None else InputObject(*document["manifest"]),
            calibration=None if document["calibration"] is None else InputObject(*document["calibration"]),
            overrides=frozenset(document["overrides"]),
        )
        for entry in drive_input.objects:
            key = parse_raw_key(entry.key)
            if not isinstance(key, SensorKey) or key.drive != drive_input.drive:
                raise LandingError(f"input of {drive_input.drive} names {entry.key!r}, which is no sensor object of that drive")
        return drive_input


def input_key(drive: DriveId, revision: str) -> str:
    """Key of a revision's input document in the lake bucket."""
    return f"inputs/{drive}/{revision}.json"


def _listed(entry: InputObject) -> list[str]:
    return [entry.key, entry.version_id, entry.sha256]
