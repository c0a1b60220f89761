"""The pinned input of a drive, its manifest and its calibration."""

from __future__ import annotations

import hashlib

from lake.documents import Manifest, parse_document
from lake.drive_input import DriveInput, InputObject, input_key
from lake.errors import LakeError, LandingError
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from sensors.rig import Rig


def read_input(store: ObjectStore, settings: Settings, drive: DriveId, revision: str) -> DriveInput:
    """What `revision` of `drive` consists of.

    Raises:
        LakeError: The lake holds no such revision, or its document was altered.
    """
    return DriveInput.parse(store.read(ObjectVersion(settings.lake_bucket, input_key(drive, revision))), revision)


def read_manifest(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> Manifest:
    """The drive's manifest.

    Raises:
        LandingError: It has not landed, or breaks its contract.
    """
    return Manifest.parse(_body(store, settings, drive_input, drive_input.manifest, "manifest.json"), drive_input.drive)


def read_calibration(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> Rig:
    """The drive's rig.

    Raises:
        LandingError: The calibration has not landed, breaks its schema, or is not the one that the manifest declares.
        RigError: It contradicts itself.
    """
    return Rig.from_dict(parse_document(calibration_bytes(store, settings, drive_input), "calibration"))


def calibration_bytes(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> bytes:
    """The pinned `calibration.json` as it landed.

    Raises:
        LandingError: It has not landed, or is not the one that the manifest declares.
    """
    body = _body(store, settings, drive_input, drive_input.calibration, "calibration.json")
    declared = drive_input.calibration.sha256 if drive_input.calibration is not None else ""
    found = hashlib.sha256(body).hexdigest()
    if declared and declared != found:
        raise LandingError(f"calibration.json of {drive_input.drive} hashes to {found}, the manifest says {declared}")
    return body


def _body(store: ObjectStore, settings: Settings, drive_input: DriveInput, entry: InputObject | None, name: str) -> bytes:
    if entry is None:
        raise LandingError(f"{name} of {drive_input.drive} has not landed")
    try:
        return store.read(ObjectVersion(settings.raw_bucket, entry.key, entry.version_id))
    except LakeError as error:
        raise LandingError(f"{name} of {drive_input.drive}: {error}") from error
