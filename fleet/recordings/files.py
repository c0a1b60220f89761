"""The files of a recording, opened by content, not by name.

one file          an MCAP file, a ROS 1 bag or a ROS 2 SQLite bag
a folder          a ROS 2 bag: `metadata.yaml` and the files that it names, in that order; without it, all files with a
                  recording's suffix, by number
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from fleet.errors import SourceError
from sensors.container.mcap import recorded_mcap
from sensors.container.recorded import (
    DETECTION_BYTES,
    ContainerFault,
    ContainerFaultKind,
    Recorded,
    RecordingKind,
    recording_kind,
)
from sensors.container.rosbag1 import scan_bag
from sensors.container.rosbag2_sqlite import HEAD_BYTES, cut_page_bytes, scan_sqlite_bag
from sensors.errors import UnknownKindError

METADATA = "metadata.yaml"
SUFFIXES = (".mcap", ".bag", ".db3")
MAX_METADATA_BYTES = 4 * 1024 * 1024  # PyYAML reads less than 1 MB per second
MAX_FILES = 10_000
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """One file of a recording and its container."""

    path: Path
    kind: RecordingKind
    size_bytes: int

    def read(self) -> Iterator[Recorded | ContainerFault]:
        """Every readable message in file order, and every flaw. The file is open during the iteration; memory is bounded."""
        if self.kind is RecordingKind.SQLITE:
            yield from self._rows()
            return
        with self.path.open("rb") as stream:
            yield from (recorded_mcap if self.kind is RecordingKind.MCAP else scan_bag)(stream)

    def _rows(self) -> Iterator[Recorded | ContainerFault]:
        journal = self.path.with_name(self.path.name + "-wal")
        if journal.is_file() and journal.stat().st_size:
            problem = f"{journal.name} beside it holds messages that are not read; open and close the bag once with sqlite3"
            yield ContainerFault(0, ContainerFaultKind.TRUNCATED, problem)
        # immutable: no lock, no journal, nothing written beside a file that may be the only copy.
        address = f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1"
        with self.path.open("rb") as stream:
            cut = cut_page_bytes(stream.read(HEAD_BYTES), self.size_bytes)
        with closing(sqlite3.connect(address, uri=True)) as connection:
            yield from scan_sqlite_bag(connection, cut_page_bytes=cut)


def recording_files(path: Path) -> tuple[tuple[RecordingFile, ...], tuple[str, ...]]:
    """The files of a recording in the order of recording, and notes on files that are absent or left out.

    Raises:
        SourceError: The path is missing, holds no recording, or one of its files has an unsupported format.
    """
    if not path.exists():
        raise SourceError(f"{path} is missing; name an MCAP file, a .bag, a .db3 or the folder of a ROS 2 bag")
    if path.is_dir():
        paths, notes = _folder(path)
    else:
        paths, notes = [path], []
    return tuple(_opened(file) for file in paths), tuple(notes)


def _opened(path: Path) -> RecordingFile:
    if not path.is_file():
        raise SourceError(f"{path} is not a plain file; name an MCAP file, a .bag, a .db3 or the folder of a ROS 2 bag")
    with path.open("rb") as stream:
        head = stream.read(DETECTION_BYTES)
    try:
        return RecordingFile(path, recording_kind(head), path.stat().st_size)
    except UnknownKindError as error:
        raise SourceError(f"{path} {error}") from error


def _folder(folder: Path) -> tuple[list[Path], list[str]]:
    there = {path.name: path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()}
    if not (folder / METADATA).is_file():
        if not there:
            raise SourceError(f"{folder} holds neither {METADATA} nor a file *{', *'.join(SUFFIXES)}: it is not a ROS 2 bag")
        return [there[name] for name in sorted(there, key=_by_number)], [f"{METADATA} is missing; files taken by number"]
    named = _named_files(folder / METADATA)
    there |= {name: folder / name for name in named if (folder / name).is_file()}  # also files compressed as a whole
    notes = [f"{METADATA} names {name}, which is missing; its messages are missing too" for name in named if name not in there]
    notes += [f"{name} is not named by {METADATA} and is left out" for name in sorted(set(there) - set(named))]
    found = [there[name] for name in named if name in there]
    if not found:
        raise SourceError(f"{folder}: none of the files that {METADATA} names is there: {', '.join(named[:10])}")
    return found, notes


def _named_files(path: Path) -> list[str]:
    if path.stat().st_size > MAX_METADATA_BYTES:
        raise SourceError(
            f"{path} has {path.stat().st_size} bytes, the limit is {MAX_METADATA_BYTES}; it is not a bag's metadata"
        )
    try:
        document: Any = yaml.safe_load(path.read_bytes())
        names = document["rosbag2_bagfile_information"]["relative_file_paths"]
        # Some versions prefixed the folder's name; only the file's own name is used, so it cannot lead elsewhere.
        files = [Path(name).name for name in names]
    except (yaml.YAMLError, RecursionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise SourceError(f"{path} is not metadata of a ROS 2 bag ({error}); name its files one by one instead") from error
    if any(len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for name in files):
        raise SourceError(f"{path} names a file by more than {MAX_NAME_BYTES} bytes, which no file system allows")
    if not 0 < len(files) <= MAX_FILES or len(set(files)) != len(files):
        raise SourceError(
            f"{path} names {len(files)} files ({len(set(files))} different), 1 to {MAX_FILES} different ones are read"
        )
    return files


def _by_number(name: str) -> tuple[str, int, str]:
    """`drive_10.db3` behind `drive_9.db3`."""
    stem, _, number = Path(name).stem.rpartition("_")
    return (stem, int(number), name) if re.fullmatch(r"[0-9]{1,18}", number) else (Path(name).stem, -1, name)
