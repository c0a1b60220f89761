"""Stamps of every sensor from what people have: a drive folder, a recording, or a table `sensor,stamp_ns[,log_ns]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fleet import Progress, silent
from fleet.recordings import stamp_streams
from lake.documents import parse_document
from lake.landing import CALIBRATION, MODALITIES
from ops.errors import InputError
from ops.sync.stream import Stream
from ops.sync.timeline_table import DEFAULT_LAYOUT, TableLayout, read_table
from sensors.container.mcap import scan
from sensors.container.recorded import ContainerFault
from sensors.decode.messages import MESSAGE_TYPES, peek_stamp_ns
from sensors.errors import DecodeError
from sensors.rig import Modality, Rig

MAX_NOTES = 20
TABLES = (".csv", ".parquet")
RECORDINGS = (".mcap", ".bag", ".db3")
_KNOWN_TYPES = frozenset(name for names in MESSAGE_TYPES.values() for name in names)
_EXPECTED = "name a drive folder, a recording (.mcap, .bag, .db3), or a .csv or .parquet with sensor,stamp_ns"


@dataclass(frozen=True, slots=True)
class Timeline:
    """What was read: the streams, the rig if the input holds one or one was given, and what was wrong with the input."""

    streams: tuple[Stream, ...]
    rig: Rig | None
    notes: tuple[str, ...]


def read_timeline(
    path: Path, progress: Progress = silent, rig: Rig | None = None, layout: TableLayout = DEFAULT_LAYOUT
) -> Timeline:
    """Read a drive folder, a recording or a table. `rig` goes before a folder's own, and names a recording's topics.

    Raises:
        InputError: None of these, or a table that does not have its columns.
        LakeError, RigError: The folder's calibration cannot be believed.
        FleetError: A recording that holds nothing of use.
    """
    if path.is_dir() and any(_sensor_files(path)):
        return _drive_folder(path, progress, rig)
    if path.is_dir() and any(file.suffix in RECORDINGS for file in path.iterdir()):
        return _recording(path, rig)  # a ROS 2 bag is a folder
    if path.is_dir():
        raise InputError(
            f"{path} holds no MODALITY/SENSOR/START_NS.mcap", "`scenelake drive import` makes a drive folder of other data"
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist", _EXPECTED)
    kind = path.suffix.lower()
    if kind in RECORDINGS:
        return _recording(path, rig)
    if kind in TABLES:
        return Timeline(_known(read_table(path, layout), rig), rig, ())
    raise InputError(f"{path} is no recording or timeline", _EXPECTED)


def read_rig(path: Path) -> Rig:
    """A rig from a `calibration.json`.

    Raises:
        LakeError, RigError: It cannot be believed.
    """
    return Rig.from_dict(parse_document(path.read_bytes(), "calibration"))


def _known(streams: Sequence[Stream], rig: Rig | None) -> tuple[Stream, ...]:
    """The same streams, with the modality that the rig gives them."""
    if rig is None:
        return tuple(streams)
    return tuple(
        Stream(one.sensor, rig[one.sensor].modality if one.sensor in rig else one.modality, one.stamps_ns, one.log_ns)
        for one in streams
    )


def _recording(path: Path, rig: Rig | None) -> Timeline:
    found, notes = stamp_streams(path, rig)
    streams = tuple(Stream(one.sensor, one.modality, one.stamps_ns, one.log_ns) for one in found)
    return Timeline(streams, rig, tuple(notes))


def _sensor_files(folder: Path) -> list[Path]:
    return sorted(file for modality in MODALITIES for file in folder.glob(f"{modality}/*/*.mcap"))


def _drive_folder(folder: Path, progress: Progress, rig: Rig | None) -> Timeline:
    stamps: dict[tuple[str, str], list[int]] = {}
    logs: dict[tuple[str, str], list[int]] = {}
    notes: list[str] = []
    files = _sensor_files(folder)
    for done, file in enumerate(files):
        progress(folder.name, done, len(files))
        owner = (file.parent.name, file.parent.parent.name)
        _read_file(file, stamps.setdefault(owner, []), logs.setdefault(owner, []), notes)
    progress(folder.name, len(files), len(files))
    calibration = folder / CALIBRATION
    if rig is None and calibration.is_file():
        rig = read_rig(calibration)
    streams = tuple(
        Stream(owner[0], Modality(owner[1]), np.array(stamps[owner], dtype=np.int64), np.array(logs[owner], dtype=np.int64))
        for owner in sorted(stamps)
        if stamps[owner]
    )
    more = [f"{len(notes) - MAX_NOTES} more notes of this kind"] if len(notes) > MAX_NOTES else []
    return Timeline(streams, rig, (*notes[:MAX_NOTES], *more))


def _read_file(file: Path, stamps: list[int], logs: list[int], notes: list[str]) -> None:
    with file.open("rb") as stream:
        for item in scan(stream):
            if isinstance(item, ContainerFault):
                notes.append(f"{file.name}: {item.kind} at byte {item.offset}: {item.message}")
            elif item.message_type in _KNOWN_TYPES:
                try:
                    stamp_ns = peek_stamp_ns(item.data)
                except DecodeError as error:
                    notes.append(f"{file.name}: a {item.message_type} without a stamp: {error}")
                    continue
                stamps.append(stamp_ns)
                logs.append(item.log_ns)
