"""Reading recorded drives back, for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fleet.drive_folder import DriveFolder
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage


def messages(folder: DriveFolder | Path, sensor: str) -> list[StoredMessage]:
    """All messages of a sensor, file by file; a flaw fails the test."""
    root = folder.path if isinstance(folder, DriveFolder) else folder
    found: list[StoredMessage] = []
    for path in sorted(root.glob(f"*/{sensor}/*.mcap")):
        with path.open("rb") as stream:
            for item in scan(stream):
                assert isinstance(item, StoredMessage), item
                found.append(item)
    return found


def truth_frames(folder: DriveFolder, sensor: str) -> list[dict[str, Any]]:
    """The rows of ground_truth/frames.parquet of a sensor."""
    rows = pq.read_table(folder.path / "ground_truth" / "frames.parquet").to_pylist()
    return [row for row in rows if row["sensor"] == sensor]


def truth_faults(folder: DriveFolder) -> list[dict[str, Any]]:
    """ground_truth/faults.json."""
    entries: list[dict[str, Any]] = json.loads((folder.path / "ground_truth" / "faults.json").read_text())
    return entries
