"""Finds all problems of a drive folder before any of it is sent.

It checks what the landing contract requires of files: names, the two documents, sizes, checksums, intact containers, known
message types. The receiver judges the content of messages.
"""

from __future__ import annotations

from pathlib import Path

from fleet import Progress, silent
from fleet.drive_layout import GROUND_TRUTH, WRITE_AGAIN, listed_files, manifest_identity
from fleet.errors import DriveFolderError, Problem
from fleet.object_summary import sha256_of, summarize
from lake.documents import MAX_DOCUMENT_BYTES, Manifest, ManifestObject, parse_document
from lake.errors import LandingError
from lake.landing import CALIBRATION, MANIFEST, DriveId, SensorKey, parse_raw_key
from sensors.decode.messages import MESSAGE_TYPES
from sensors.errors import RigError
from sensors.rig import Modality, Rig

PICKLES = (".pkl", ".pickle", ".pkl.gz", ".pickle.gz", ".joblib")
ANY_DRIVE = DriveId("vehicle", "drive")  # placeholder where no manifest names the drive: only the rest of a key is checked
SEND_ANYWAY = "or skip the check to send a knowingly faulty drive"


def problems_of(folder: Path, drive: DriveId | None = None, progress: Progress = silent) -> list[Problem]:
    """All problems, in the order: names, calibration, manifest, objects. An empty list means that the folder may be sent.

    `drive`: the drive that the manifest must name; None accepts any. A file is opened only if its name belongs to the
    layout; a pickle is refused by its name.
    """
    try:
        names = listed_files(folder)
    except DriveFolderError as error:
        return list(error.problems)
    problems = _misplaced(names)
    rig = _calibration(folder, problems)
    manifest = _manifest(folder, drive, problems)
    if manifest is None:
        return problems
    problems += _disagreements(folder, manifest, rig, names)
    for done, entry in enumerate(manifest.objects, start=1):
        problems += _object_problems(folder, manifest.drive, entry)
        progress("check", done, len(manifest.objects))
    return problems


def _misplaced(names: list[str]) -> list[Problem]:
    problems = []
    for name in names:
        if name.lower().endswith(PICKLES):
            cause = "is a pickle: opening one runs code that is in it, so it is never opened"
            problems.append(Problem(name, cause, "remove it; convert what it holds where you trust it"))
            continue
        try:
            parse_raw_key(f"{ANY_DRIVE}/{name}")
        except LandingError:
            cause = "does not belong to the landing layout MODALITY/SENSOR/START_NS.mcap"
            problems.append(Problem(name, cause, f"remove it, rename it, or move it to {GROUND_TRUTH}/"))
    return problems


def _calibration(folder: Path, problems: list[Problem]) -> Rig | None:
    body = _document(folder, CALIBRATION, "missing", problems)
    try:
        return None if body is None else Rig.from_dict(parse_document(body, "calibration"))
    except (LandingError, RigError) as error:
        problems.append(Problem(CALIBRATION, str(error), "correct it, then make the manifest again"))
        return None


def _manifest(folder: Path, drive: DriveId | None, problems: list[Problem]) -> Manifest | None:
    body = _document(folder, MANIFEST, "missing: the recording did not finish", problems)
    try:
        return None if body is None else Manifest.parse(body, drive or manifest_identity(body) or ANY_DRIVE)
    except LandingError as error:
        problems.append(Problem(MANIFEST, str(error), WRITE_AGAIN))
        return None


def _document(folder: Path, name: str, missing: str, problems: list[Problem]) -> bytes | None:
    path = folder / name
    if not path.is_file():
        problems.append(Problem(name, missing, WRITE_AGAIN))
        return None
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        problems.append(Problem(name, f"of {path.stat().st_size} bytes exceeds {MAX_DOCUMENT_BYTES}", WRITE_AGAIN))
        return None
    return path.read_bytes()


def _disagreements(folder: Path, manifest: Manifest, rig: Rig | None, names: list[str]) -> list[Problem]:
    """The contradictions between manifest, calibration and the files present."""
    problems = []
    calibration = folder / CALIBRATION
    if calibration.is_file() and sha256_of(calibration) != manifest.calibration_sha256:
        cause = f"its SHA-256 is not the {manifest.calibration_sha256} of the manifest"
        problems.append(Problem(CALIBRATION, cause, "restore it, or make the manifest again"))
    if rig is not None and rig.rig_id != manifest.rig_id:
        cause = f"names the rig {manifest.rig_id!r}, {CALIBRATION} the rig {rig.rig_id!r}"
        problems.append(Problem(MANIFEST, cause, "make the manifest again"))
    known = {entry.key for entry in manifest.objects}
    for name in names:
        key = f"{manifest.drive}/{name}"
        if name not in (CALIBRATION, MANIFEST) and key not in known and _is_sensor_key(key):
            problems.append(Problem(name, "is not named by the manifest", "remove it, or make the manifest again"))
    if rig is not None:
        for sensor, modality in sorted({(entry.sensor, entry.modality) for entry in manifest.objects}):
            if sensor not in rig or rig[sensor].modality != modality:
                cause = f"the rig has no {modality} called {sensor!r}"
                problems.append(Problem(CALIBRATION, cause, "add the sensor to the calibration, or leave its files out"))
    return problems


def _is_sensor_key(key: str) -> bool:
    try:
        return isinstance(parse_raw_key(key), SensorKey)
    except LandingError:
        return False


def _object_problems(folder: Path, drive: DriveId, entry: ManifestObject) -> list[Problem]:
    name = entry.key.removeprefix(drive.prefix)
    path = folder / name
    if not path.is_file():
        return [Problem(name, "named by the manifest, but not there", f"restore it, or make the manifest again, {SEND_ANYWAY}")]
    size = path.stat().st_size
    if size == 0:
        return [Problem(name, f"is empty; the manifest says {entry.size_bytes} bytes", f"restore it, {SEND_ANYWAY}")]
    problems = []
    if size != entry.size_bytes:
        cause = f"has {size} bytes, the manifest says {entry.size_bytes}"
        problems.append(Problem(name, cause, f"restore it, {SEND_ANYWAY}"))
    elif (found := sha256_of(path)) != entry.sha256:
        cause = f"its SHA-256 is {found}, the manifest says {entry.sha256}"
        problems.append(Problem(name, cause, f"restore it, or make the manifest again, {SEND_ANYWAY}"))
    return problems + _content_problems(path, name, entry)


def _content_problems(path: Path, name: str, entry: ManifestObject) -> list[Problem]:
    summary = summarize(path)
    if summary.flaw is not None:
        return [Problem(name, f"is not a whole MCAP file: {summary.flaw}", f"restore it, {SEND_ANYWAY}")]
    problems = []
    if summary.frame_count != entry.frame_count:
        cause = f"holds {summary.frame_count} frames, the manifest says {entry.frame_count}"
        problems.append(Problem(name, cause, "make the manifest again"))
    known = MESSAGE_TYPES[Modality(entry.modality)]
    unknown = [message_type for message_type in summary.message_types if message_type not in known]
    if unknown:
        cause = f"holds messages of the type {', '.join(unknown)}; a {entry.modality} object holds {' or '.join(known)}"
        problems.append(Problem(name, cause, f"record it as a known type, {SEND_ANYWAY}"))
    return problems
