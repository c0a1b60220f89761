"""A drive on disk: exactly the landing layout.

    DIR/{modality}/{sensor}/{start_ns}.mcap     start_ns: the stamp of the file's first frame, 19 digits DIR/calibration.json
    DIR/manifest.json                           written last DIR/ground_truth/                           written by the
    generator; never uploaded

In the manifest an object's `start_ns` and `end_ns` are its first frame's stamp and its latest stamp, both inclusive. Those of the
drive are the first and the last stamp that fits the time line of its sensor: one wild stamp must not stretch a drive over years.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from fleet import Progress, silent
from fleet.drive_layout import GROUND_TRUTH, WRITE_AGAIN, listed_files, manifest_identity
from fleet.errors import DriveFolderError, Problem
from fleet.folder_check import problems_of
from fleet.object_summary import ObjectSummary, sha256_of, summarize
from lake.documents import MAX_CALIBRATION_BYTES, MAX_DOCUMENT_BYTES, Manifest, ManifestObject, SourceLoss, canonical_json
from lake.errors import LandingError
from lake.landing import CALIBRATION, MANIFEST, DriveId, SensorKey, parse_raw_key
from sensors.clocks.time_line import time_line

_LAST = {CALIBRATION: 1, MANIFEST: 2}


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file of the folder, the key it is uploaded to, and its size."""

    path: Path
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DriveFolder:
    """A drive folder. `manifest` is None where it is absent or unreadable (possible only if loaded without the check)."""

    path: Path
    drive: DriveId
    manifest: Manifest | None

    @classmethod
    def load(cls, path: Path, *, check: bool = True, drive: DriveId | None = None, progress: Progress | None = None) -> Self:
        """Open a drive folder, by default only if all of it may be uploaded.

        `check=False` opens a knowingly faulty folder, to test the receiving side. `drive` is needed only where no manifest
        names the drive (a generated folder names it in its ground truth).

        Raises:
            DriveFolderError: Lists every problem; without the check, only that the folder or its identity is missing, or
                that it holds a link.

        """
        if check:
            problems = problems_of(path, drive, progress or silent)
            if problems:
                raise DriveFolderError(path, problems)
        drive = drive or _identity(path)
        listed_files(path)
        return cls(path, drive, read_manifest(path, drive))

    def files(self) -> tuple[DriveFile, ...]:
        """Everything to upload, in order: objects (and strays) by key, then the calibration, the manifest last."""
        names = sorted(listed_files(self.path), key=lambda name: (_LAST.get(name, 0), name))
        return tuple(DriveFile(self.path / name, f"{self.drive}/{name}", (self.path / name).stat().st_size) for name in names)


def write_calibration(folder: Path, document: Mapping[str, Any]) -> None:
    """Write `calibration.json`; `document` is that of `Rig.to_dict`."""
    (folder / CALIBRATION).write_bytes(canonical_json(document))


def write_manifest(
    folder: Path, drive: DriveId, recorder: str, recorder_version: str, losses: Sequence[SourceLoss] = ()
) -> Manifest:
    """Make `manifest.json` from the sensor files and the calibration in the folder.

    Raises:
        DriveFolderError: There is no calibration or no sensor file, or a file is damaged or misnamed; lists all.

    """
    problems: list[Problem] = []
    objects: list[ManifestObject] = []
    spans = _Spans()
    for name in listed_files(folder):
        if name not in (CALIBRATION, MANIFEST):
            entry = _described(folder, name, drive, spans)
            if isinstance(entry, Problem):
                problems.append(entry)
            else:
                objects.append(entry)
    calibration = folder / CALIBRATION
    rig_id = _rig_id(calibration)
    if rig_id is None:
        problems.append(Problem(CALIBRATION, "missing, or names no rig", "write the calibration before the manifest"))
    if not objects:
        problems.append(Problem(".", "holds no sensor file", WRITE_AGAIN))
    if problems or rig_id is None:
        raise DriveFolderError(folder, problems)
    start_ns, end_ns = spans.drive_ns()
    manifest = Manifest(
        drive=drive,
        rig_id=rig_id,
        start_ns=start_ns,
        end_ns=end_ns,
        recorder=recorder,
        recorder_version=recorder_version,
        calibration_sha256=sha256_of(calibration),
        objects=tuple(objects),
        losses=tuple(losses),
    )
    (folder / MANIFEST).write_bytes(manifest.to_bytes())
    return manifest


def read_manifest(folder: Path, drive: DriveId) -> Manifest | None:
    """The folder's manifest; None if it is absent or does not parse."""
    path = folder / MANIFEST
    if not path.is_file() or path.stat().st_size > MAX_DOCUMENT_BYTES:
        return None
    try:
        return Manifest.parse(path.read_bytes(), drive)
    except LandingError:
        return None


def _identity(folder: Path) -> DriveId:
    for path in (folder / MANIFEST, folder / GROUND_TRUTH / "drive.json"):
        if path.is_file() and path.stat().st_size <= MAX_DOCUMENT_BYTES:
            drive = manifest_identity(path.read_bytes())
            if drive is not None:
                return drive
    raise DriveFolderError(folder, [Problem(MANIFEST, "no manifest names the drive", "say which vehicle and drive this is")])


def _rig_id(calibration: Path) -> str | None:
    if not calibration.is_file() or calibration.stat().st_size > MAX_CALIBRATION_BYTES:
        return None
    try:
        document = json.loads(calibration.read_bytes())
    except (ValueError, RecursionError):
        return None
    rig_id = document.get("rig_id") if isinstance(document, dict) else None
    return rig_id if isinstance(rig_id, str) else None


class _Spans:
    """The stamps and log times of a folder's frames, by sensor."""

    def __init__(self) -> None:
        self._of: dict[str, list[ObjectSummary]] = {}

    def add(self, sensor: str, summary: ObjectSummary) -> None:
        self._of.setdefault(sensor, []).append(summary)

    def drive_ns(self) -> tuple[int, int]:
        """The first and the last stamp that fits the others of its sensor."""
        spans = []
        for summaries in self._of.values():
            stamps_ns, log_ns = (np.concatenate([getattr(one, name) for one in summaries]) for name in ("stamps_ns", "log_ns"))
            order = np.argsort(log_ns, kind="stable")
            kept = stamps_ns[order][~time_line(stamps_ns[order], log_ns[order]).off]
            spans.append((int(kept.min()), int(kept.max())))
        return min(start for start, _ in spans), max(end for _, end in spans)


def _described(folder: Path, name: str, drive: DriveId, spans: _Spans) -> ManifestObject | Problem:
    path = folder / name
    try:
        key = parse_raw_key(f"{drive}/{name}")
    except LandingError as error:
        return Problem(name, str(error), "remove or rename it")
    if not isinstance(key, SensorKey):
        return Problem(name, "is not a sensor file", "remove it")
    summary = summarize(path)
    if summary.flaw is not None or summary.start_ns is None or summary.end_ns is None:
        return Problem(name, summary.flaw or "holds no frame", WRITE_AGAIN)
    if summary.start_ns != key.start_ns:
        return Problem(name, f"its first frame has the stamp {summary.start_ns} ns", f"name it {summary.start_ns:019d}.mcap")
    spans.add(key.sensor, summary)
    return ManifestObject(
        key=str(key),
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        modality=key.modality,
        sensor=key.sensor,
        start_ns=key.start_ns,
        end_ns=summary.end_ns,
        frame_count=summary.frame_count,
    )
