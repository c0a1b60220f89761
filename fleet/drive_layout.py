"""The layout of a drive folder."""

from __future__ import annotations

import json
from pathlib import Path

from fleet.errors import DriveFolderError, FleetError, Problem
from lake.documents import check_bounds
from lake.errors import LandingError
from lake.landing import DriveId

GROUND_TRUTH = "ground_truth"
WRITE_AGAIN = "generate, import or record the drive again"


def claim(out: Path) -> None:
    """Claim `out` as the folder to write a drive to.

    Raises:
        FleetError: It is a file, or a folder that is not empty.

    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FleetError(f"{out} exists and is not an empty folder; name a new one, or remove it first")
    out.mkdir(parents=True, exist_ok=True)


def listed_files(folder: Path) -> list[str]:
    """Names (relative, with slashes, sorted) of all files in the folder except the ground truth.

    Raises:
        DriveFolderError: The folder is missing, or holds a link or special file, which is never followed.

    """
    if not folder.is_dir():
        raise DriveFolderError(folder, [Problem(".", "is not a folder", "name the folder of a drive")])
    names: list[str] = []
    odd: list[Problem] = []
    pending = [entry for entry in folder.iterdir() if entry.name != GROUND_TRUTH]
    while pending:
        entry = pending.pop()
        name = entry.relative_to(folder).as_posix()
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            odd.append(Problem(name, "is a link or no plain file", "put the file itself there, or remove it"))
        elif entry.is_dir():
            pending.extend(entry.iterdir())
        else:
            names.append(name)
    if odd:
        raise DriveFolderError(folder, odd)
    return sorted(names)


def manifest_identity(body: bytes) -> DriveId | None:
    """The drive that a manifest (or a generator's `drive.json`) names; None if it names none."""
    try:
        check_bounds(body, "manifest")
        document = json.loads(body)
        return DriveId(document["vehicle_id"], document["drive_id"])
    except (ValueError, RecursionError, LookupError, TypeError, LandingError):
        return None
