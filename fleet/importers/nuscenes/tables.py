"""The tables of a dataset in the nuScenes layout: found, streamed row by row, and one scene chosen.

A table is a JSON array of flat objects. The full dataset's largest has more than a gigabyte, so rows are read one at a
time and only those of the chosen scene are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from fleet.errors import SourceError
from fleet.importers.clock_findings import named
from fleet.importers.source import RowFaults

MAX_TABLE_BYTES = 8 * 1024**3
MAX_ROW_CHARS = 1024 * 1024
READ_CHARS = 1024 * 1024
KEYFRAME_DOCUMENT = "calibration_and_pose.json"
NEEDED = ("scene", "sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """The location of a dataset. `root`: base of the file names in the tables. `version`: the name of `tables`."""

    root: Path
    tables: Path

    @property
    def version(self) -> str:
        """Such as `v1.0-mini`."""
        return self.tables.name

    def table(self, name: str) -> Path:
        """The file of a table."""
        return self.tables / f"{name}.json"


@dataclass(frozen=True, slots=True)
class NuscenesScene:
    """A row of the table `scene`, with data of its log."""

    token: str
    name: str
    first_sample_token: str
    last_sample_token: str
    samples: int
    log: str


def find_layout(src: Path) -> DatasetLayout:
    """Find the tables in `src`, which is the dataset's root or the folder of its tables.

    Raises:
        SourceError: There are none, there are several versions, or one lacks a table.

    """
    if (src / "sample_data.json").is_file():
        doubled = src.parent.name == src.name  # as some archives unpack: v1.01-train/v1.01-train
        layout = DatasetLayout(src.parent.parent if doubled else src.parent, src)
    else:
        tables = [f"{name}.json" for name in NEEDED]
        found = sorted({path.parent for depth in ("v*", "v*/v*") for name in tables for path in src.glob(f"{depth}/{name}")})
        if not found and any((src / name).is_file() for name in tables):
            found = [src]
        if not found:
            raise SourceError(
                f"{src} holds neither the tables of a nuScenes-like dataset ({', '.join(tables)}, in a folder such as v1.0-mini) "
                f"nor {KEYFRAME_DOCUMENT}, which describes a single keyframe"
            )
        if len(found) > 1:
            versions = ", ".join(path.relative_to(src).as_posix() for path in found)
            raise SourceError(f"{src} holds {len(found)} versions ({versions}); name the folder of one of them instead")
        layout = DatasetLayout(src.parent if found[0] == src else src, found[0])
    absent = [name for name in NEEDED if not layout.table(name).is_file()]
    if absent:
        raise SourceError(f"{layout.tables} lacks the tables {', '.join(absent)}")
    return layout


def choose_scene(layout: DatasetLayout, requested: str | None) -> NuscenesScene:
    """The scene with this name or token; the first of the table if None.

    Raises:
        SourceError: There is no such scene; lists the existing ones.

    """
    path = layout.table("scene")
    names = []
    for row in read_rows(path):
        if requested is None or requested in (row.get("token"), row.get("name")):
            return NuscenesScene(
                token=text(row, "token", path),
                name=text(row, "name", path),
                first_sample_token=text(row, "first_sample_token", path),
                last_sample_token=text(row, "last_sample_token", path),
                samples=row["nbr_samples"] if isinstance(row.get("nbr_samples"), int) else 0,
                log=_log(layout, row),
            )
        names.append(str(row.get("name")))
    if requested is None:
        raise SourceError(f"{path} has no scene")
    raise SourceError(f"{path} has no scene called {requested!r}; it has {named(names)}")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, one at a time; numbers with a fraction become Decimal.

    Raises:
        SourceError: It is missing or too large, a row is not an object or has more than a million characters, or it is not a JSON
            array.

    """
    if not path.is_file():
        raise SourceError(f"{path} is missing")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise SourceError(f"{path} has {path.stat().st_size} bytes, the limit is {MAX_TABLE_BYTES}")
    try:
        yield from _rows(path)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SourceError(f"{path} is not a JSON array of objects: {error or type(error).__name__}") from error


def text(row: Row, key: str, path: Path) -> str:
    """A member that must be a string.

    Raises:
        SourceError: The row lacks it, or it is something else.

    """
    value = row.get(key)
    if not isinstance(value, str):
        raise SourceError(f"{path}: the row {str(row.get('token'))[:64]} has {key} = {str(value)[:40]!r} instead of a text")
    return value


def keyed_rows(path: Path, key: str, faults: RowFaults) -> Iterator[tuple[str, Row]]:
    """The rows of a table, each with its member `key`; rows in which that is not a text are noted and left out.

    Raises:
        SourceError: As `read_rows`.

    """
    for row in read_rows(path):
        value = faults.attempt(text, row, key, path)
        if value is not None:
            yield value, row


def _rows(path: Path) -> Iterator[Row]:
    decoder = json.JSONDecoder(parse_float=Decimal)
    with path.open(encoding="utf-8") as stream:
        window = _Window(stream)
        if window.skip() != "[":
            raise ValueError("it does not begin with '['")
        window.at += 1
        while window.skip() != "]":
            row = window.value(decoder)
            if not isinstance(row, dict):
                raise ValueError(f"it holds {str(row)[:40]!r}")
            yield row
            behind = window.skip()
            if behind == ",":
                window.at += 1
            elif behind != "]":
                raise ValueError("two rows have no comma between them" if behind else "it ends before its ']'")


class _Window:
    """The part of a text that is in memory, and a position in it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self.at = 0

    def skip(self) -> str:
        """Skip white space; the character at the new position, empty at the end of the text."""
        while True:
            while self.at < len(self._text) and self._text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._read_on():
                return ""

    def value(self, decoder: json.JSONDecoder) -> Any:
        """Decode the value at the position and move past it."""
        while True:
            try:
                found, self.at = decoder.raw_decode(self._text, self.at)
            except json.JSONDecodeError:
                # Either the row continues beyond the window or it is broken: rows have a size limit, so both cases end.
                if len(self._text) - self.at > MAX_ROW_CHARS or not self._read_on():
                    raise
            else:
                return found

    def _read_on(self) -> bool:
        chunk = self._stream.read(READ_CHARS)
        self._text, self.at = self._text[self.at :] + chunk, 0
        return bool(chunk)


def _log(layout: DatasetLayout, scene: Row) -> str:
    path = layout.table("log")
    for row in read_rows(path) if path.is_file() else ():
        if row.get("token") == scene.get("log_token"):
            return ", ".join(str(row[key]) for key in ("logfile", "vehicle", "date_captured", "location") if row.get(key))
    return ""
