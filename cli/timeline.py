"""Stamps of every sensor from what people have: a drive folder, one MCAP file, or a table `sensor,stamp_ns`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cli.errors import InputError
from cli.sync_report import Stream, streams_of
from fleet.progress import Progress, silent
from lake.documents import parse_document
from lake.landing import CALIBRATION, MODALITIES
from sensors.container import ContainerFault, scan
from sensors.errors import DecodeError
from sensors.messages import MESSAGE_TYPES, peek_stamp_ns
from sensors.rig import Rig

MAX_TABLE_BYTES = 2 * 1024**3
MAX_SENSORS = 1024
COLUMNS = {"sensor": pa.string(), "stamp_ns": pa.int64()}
_KNOWN_TYPES = frozenset(name for names in MESSAGE_TYPES.values() for name in names)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What was read: the streams, the rig if the input holds one, and what was wrong with the input."""

    streams: tuple[Stream, ...]
    rig: Rig | None
    notes: tuple[str, ...]


def read_timeline(path: Path, progress: Progress = silent) -> Timeline:
    """Read a drive folder, an `.mcap`, a `.csv` or a `.parquet`.

    Raises:
        InputError: None of these, or a table without the columns `sensor` and `stamp_ns`.
        LakeError, RigError: The folder's calibration cannot be believed.
    """
    if path.is_dir():
        return _drive_folder(path, progress)
    if not path.is_file():
        raise InputError(f"{path} does not exist", "name a drive folder, an .mcap, or a .csv or .parquet with sensor,stamp_ns")
    kind = path.suffix.lower()
    if kind == ".mcap":
        return _recording([path], progress, by_file=False)
    if kind in (".csv", ".parquet"):
        return Timeline(streams_of(_table(path, kind)), None, ())
    raise InputError(
        f"{path} is no recording or timeline", "name a drive folder, an .mcap, or a .csv or .parquet with sensor,stamp_ns"
    )


def read_rig(path: Path) -> Rig:
    """A rig from a `calibration.json`.

    Raises:
        LakeError, RigError: It cannot be believed.
    """
    return Rig.from_dict(parse_document(path.read_bytes(), "calibration"))


def _drive_folder(folder: Path, progress: Progress) -> Timeline:
    files = sorted(file for modality in MODALITIES for file in folder.glob(f"{modality}/*/*.mcap"))
    if not files:
        raise InputError(
            f"{folder} holds no MODALITY/SENSOR/START_NS.mcap", "`scenelake drive import` makes a drive folder of other data"
        )
    found = _recording(files, progress, by_file=True)
    calibration = folder / CALIBRATION
    rig = read_rig(calibration) if calibration.is_file() else None
    return Timeline(found.streams, rig, found.notes)


def _recording(files: Iterable[Path], progress: Progress, *, by_file: bool) -> Timeline:
    stamps: dict[str, list[int]] = {}
    logs: dict[str, list[int]] = {}
    notes: list[str] = []
    listed = list(files)
    for done, file in enumerate(listed):
        progress(file.name, done, len(listed))
        with file.open("rb") as stream:
            for item in scan(stream):
                if isinstance(item, ContainerFault):
                    notes.append(f"{file.name}: {item.kind} at byte {item.offset}: {item.message}")
                elif item.message_type in _KNOWN_TYPES:
                    name = file.parent.name if by_file else item.topic
                    try:
                        stamp_ns = peek_stamp_ns(item.data)
                    except DecodeError as error:
                        notes.append(f"{file.name}: a {item.message_type} without a stamp: {error}")
                        continue
                    stamps.setdefault(name, []).append(stamp_ns)
                    logs.setdefault(name, []).append(item.log_ns)
    progress("read", len(listed), len(listed))
    streams = tuple(
        Stream(name, np.array(stamps[name], dtype=np.int64), np.array(logs[name], dtype=np.int64)) for name in sorted(stamps)
    )
    return Timeline(streams, None, tuple(notes))


def _table(path: Path, kind: str) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes, more than {MAX_TABLE_BYTES}", "cut it into shorter timelines")
    try:
        table = _read_csv(path) if kind == ".csv" else _read_parquet(path)
    except (pa.ArrowException, KeyError) as error:
        raise InputError(
            f"{path} is no timeline: {str(error).splitlines()[0]}",
            "it needs the columns sensor (text) and stamp_ns (integer nanoseconds)",
        ) from error
    if table["stamp_ns"].null_count or table["sensor"].null_count:
        raise InputError(f"{path} has rows without a sensor or a stamp", "remove them: every row is one frame")
    names = pc.unique(table["sensor"]).to_pylist()
    if len(names) > MAX_SENSORS:
        raise InputError(f"{path} names {len(names)} sensors, more than {MAX_SENSORS}", "the first column is the sensor's name")
    return {name: table.filter(pc.equal(table["sensor"], name))["stamp_ns"].to_numpy() for name in names}


def _read_csv(path: Path) -> pa.Table:
    from pyarrow import csv

    # Types are told, not guessed: a stamp that is read as a float has lost its nanoseconds.
    options = csv.ConvertOptions(column_types=COLUMNS, include_columns=list(COLUMNS))
    return csv.read_csv(path, convert_options=options)


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    table = parquet.read_table(path, columns=list(COLUMNS))
    if not pa.types.is_integer(table.schema.field("stamp_ns").type):
        raise InputError(
            f"{path}: stamp_ns is {table.schema.field('stamp_ns').type}", "stamps are integer nanoseconds: a float has lost them"
        )
    return table.cast(pa.schema(list(COLUMNS.items())))


def rig_for(found: Timeline, rig: Path | None) -> Rig | None:
    """The rig of `--rig`, else that of the input."""
    if rig is None:
        return found.rig
    return read_rig(rig)
