"""The pinned input of a drive, its manifest, its calibration, and the baseline of its vehicle."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from lake.documents import Manifest, max_bytes, parse_document
from lake.drive_input import DriveInput, InputObject, input_key
from lake.errors import AbsentError, LakeError, LandingError, OversizeError
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.vehicle_baseline import VehicleBaseline, parse_baseline
from sensors.rig import Rig


def read_input(store: ObjectStore, settings: Settings, drive: DriveId, revision: str) -> DriveInput:
    """The pinned input of `revision` of `drive`.

    Raises:
        LakeError: The lake holds no such revision, or its document was altered or is another drive's.
    """
    body = store.read(ObjectVersion(settings.lake_bucket, input_key(drive, revision)))
    drive_input = DriveInput.parse(body, revision)
    if drive_input.drive != drive:
        raise LandingError(f"revision {revision} is one of {drive_input.drive}, not of {drive}")
    return drive_input


def read_manifest(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> Manifest:
    """The drive's manifest.

    Raises:
        LandingError: It has not landed, or breaks its contract.
        LakeError: It could not be read; the drive is not at fault.
    """
    return Manifest.parse(_body(store, settings, drive_input, drive_input.manifest, "manifest"), drive_input.drive)


def read_calibration(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> Rig:
    """The drive's rig.

    Raises:
        LandingError: The calibration has not landed, breaks its schema, or is not the one that the manifest declares.
        RigError: It contradicts itself.
        LakeError: It could not be read; the drive is not at fault.
    """
    return parse_rig(calibration_bytes(store, settings, drive_input))


@lru_cache(maxsize=8)  # a process needs the rig of one drive again and again, and validating a schema takes time
def parse_rig(calibration: bytes) -> Rig:
    """The rig that a `calibration.json` describes.

    Raises:
        LandingError: It breaks its schema.
        RigError: It contradicts itself.
    """
    return Rig.from_dict(parse_document(calibration, "calibration"))


def calibration_bytes(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> bytes:
    """The pinned `calibration.json` as it landed.

    Raises:
        LandingError: It has not landed, is too large, or is not the one that the manifest declares.
        LakeError: It could not be read; the drive is not at fault.
    """
    body = _body(store, settings, drive_input, drive_input.calibration, "calibration")
    declared = drive_input.calibration.sha256 if drive_input.calibration is not None else ""
    found = hashlib.sha256(body).hexdigest()
    if declared and declared != found:
        raise LandingError(f"calibration.json of {drive_input.drive} hashes to {found}, the manifest says {declared}")
    return body


def read_baseline(store: ObjectStore, settings: Settings, drive_input: DriveInput) -> VehicleBaseline | None:
    """The baseline that the drive's input pins; None if it pins none.

    Raises:
        LakeError: It could not be read, or is not the one that was pinned; the drive is not at fault.
    """
    entry = drive_input.baseline
    if entry is None:
        return None
    body = store.read(ObjectVersion(settings.lake_bucket, entry.key, entry.version_id), limit=max_bytes("baseline"))
    found = hashlib.sha256(body).hexdigest()
    if found != entry.sha256:
        raise LakeError(f"{entry.key} (version {entry.version_id}) hashes to {found}, the drive's input says {entry.sha256}")
    return parse_baseline(body, drive_input.drive.vehicle_id)


def _body(store: ObjectStore, settings: Settings, drive_input: DriveInput, entry: InputObject | None, kind: str) -> bytes:
    if entry is None:
        raise LandingError(f"{kind}.json of {drive_input.drive} has not landed")
    try:
        return store.read(ObjectVersion(settings.raw_bucket, entry.key, entry.version_id), limit=max_bytes(kind))
    except (AbsentError, OversizeError) as error:
        # Any other read failure lies with the platform: it must fail the job, not quarantine the drive.
        raise LandingError(f"{kind}.json of {drive_input.drive}: {error}") from error
