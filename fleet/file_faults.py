"""Faults of files, applied to a finished drive folder, so that the manifest no longer matches."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from fleet.errors import SpecError
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault, FaultEffect
from lake.documents import Manifest
from lake.landing import MANIFEST, DriveId
from sensors.rig import Rig

STRAY_FILE = "lidar/frames.pkl"
STRAY_BYTES = b"\x80\x04N."  # a pickle of None: harmless even if it is opened


def apply_file_fault(folder: Path, fault: Fault, drive: DriveId, rig: Rig) -> FaultEffect:
    """Apply a fault whose kind is `on_files`, and return what it did.

    Raises:
        SpecError: The sensor has no file (another fault kept it from recording), or the file is already removed.

    """
    match fault.kind:
        case FaultKind.STRAY_FILE:
            stray = folder / STRAY_FILE
            stray.parent.mkdir(parents=True, exist_ok=True)
            stray.write_bytes(STRAY_BYTES)
            return FaultEffect(key=f"{drive}/{STRAY_FILE}", bytes_after=len(STRAY_BYTES))
        case FaultKind.NO_MANIFEST:
            (folder / MANIFEST).unlink(missing_ok=True)
            return FaultEffect(key=drive.manifest_key)
        case FaultKind.WRONG_CHECKSUM | FaultKind.WRONG_COUNT:
            return _wrong_entry(folder, fault, drive)
    path = _first_file(folder, fault, rig)
    size = path.stat().st_size
    effect = FaultEffect(key=f"{drive}/{path.relative_to(folder).as_posix()}", bytes_before=size)
    match fault.kind:
        case FaultKind.TRUNCATE_OBJECT:
            kept = int(size * (1.0 - (fault.share or 0.0)))
            os.truncate(path, kept)
            return structs.replace(effect, bytes_after=kept)
        case FaultKind.EMPTY_OBJECT:
            os.truncate(path, 0)
            return structs.replace(effect, bytes_after=0)
        case FaultKind.ABSENT_OBJECT:
            path.unlink()
            return effect
    raise SpecError(f"fault {fault} is not a fault of files")


def _first_file(folder: Path, fault: Fault, rig: Rig) -> Path:
    sensor = rig[fault.sensor or ""]
    files = sorted((folder / sensor.modality.value / sensor.name).glob("*.mcap"))
    if not files:
        raise SpecError(f"fault {fault}: {sensor.name} recorded no file to apply it to")
    return files[0]


def _wrong_entry(folder: Path, fault: Fault, drive: DriveId) -> FaultEffect:
    path = folder / MANIFEST
    if not path.is_file():
        raise SpecError(f"fault {fault}: the manifest is gone already; name this fault before no_manifest")
    manifest = Manifest.parse(path.read_bytes(), drive)
    for index, entry in enumerate(manifest.objects):
        if entry.sensor == fault.sensor:
            objects = list(manifest.objects)
            flipped = "".join(f"{15 - int(digit, 16):x}" for digit in entry.sha256)
            promised = entry.frame_count + int(fault.size or 0)
            wrong = fault.kind is FaultKind.WRONG_CHECKSUM
            objects[index] = replace(entry, sha256=flipped) if wrong else replace(entry, frame_count=promised)
            path.write_bytes(replace(manifest, objects=tuple(objects)).to_bytes())
            if wrong:
                return FaultEffect(key=entry.key, sha256=entry.sha256, manifest_sha256=flipped)
            return FaultEffect(key=entry.key, manifest_frame_count=promised)
    raise SpecError(f"fault {fault}: {fault.sensor} recorded no file to apply it to")
