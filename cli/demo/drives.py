"""The drives of a demo: three generated ones, one clean and two faulty, or given folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import Progress
from fleet.drive_folder import DriveFolder
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec

VEHICLE = "demo"
DURATION_S, SEGMENT_S = 6.0, 2.0  # several files per sensor, so that a lost file costs a part of the drive only
_STORIES = (
    ("clean", "A clean drive: every frame reaches gold.", ()),
    (
        "bad-frames",
        "Truncated camera frames, lidar sweeps without returns, and a front radar that dies after 3 s.",
        ("cut_jpeg:camera_front:0.1", "nan_points:lidar_top:0.6:7,8,23", "dead_sensor:radar_front:3"),
    ),
    (
        "bad-files",
        "A truncated camera file, and a radar file whose checksum differs from the manifest.",
        ("truncate_object:camera_front_left:0.4", "wrong_checksum:radar_rear"),
    ),
)


@dataclass(frozen=True, slots=True)
class DemoDrive:
    """One drive to send. `make(progress)` returns its folder; `note` describes it."""

    name: str
    note: str
    make: Callable[[Progress], DriveFolder]


def own_drives(folder: Path, run: str) -> tuple[DemoDrive, ...]:
    """The demo's three drives, generated under `folder`; `run` makes their ids unique, so that a demo can be repeated."""
    return tuple(_own(folder, f"{name}-{run}", note, faults, seed) for seed, (name, note, faults) in enumerate(_STORIES))


def given_drives(paths: Sequence[Path]) -> tuple[DemoDrive, ...]:
    """The drives in existing folders; a folder with faults is refused when it is opened."""
    return tuple(_given(path) for path in paths)


def _own(folder: Path, drive: str, note: str, faults: Sequence[str], seed: int) -> DemoDrive:
    parsed = tuple(Fault.parse(text) for text in faults)
    spec = DriveSpec(VEHICLE, drive, seed=seed, duration_s=DURATION_S, segment_s=SEGMENT_S, faults=parsed)
    return DemoDrive(f"{VEHICLE}/{drive}", note, lambda progress: generate(spec, folder / drive, progress))


def _given(path: Path) -> DemoDrive:
    return DemoDrive(path.name, f"The drive folder {path.name}.", lambda progress: DriveFolder.load(path, progress=progress))
