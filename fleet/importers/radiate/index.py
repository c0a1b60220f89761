"""The index of a RADIATE sensor: the stamp and file of each frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, named
from fleet.importers.import_findings import ImportFindings
from fleet.importers.source import MAX_FRAMES, RowFaults, read_text_lines
from sensors.stamps import MAX_STAMP_NS
from sensors.time_units import NS_PER_S

_ROW = re.compile(r"Frame: (?P<frame>[0-9]{1,9}) Time: (?P<seconds>[0-9]{1,10})\.(?P<fraction>[0-9]{1,9})\s*")


@dataclass(frozen=True, slots=True)
class IndexedFrame:
    """A frame that has both an index row and a file."""

    stamp_ns: int
    path: Path


@dataclass(frozen=True, slots=True)
class Index:
    """The frames of a sensor, in the order of its index."""

    frames: tuple[IndexedFrame, ...]


def read_index(src: Path, name: str, sensor: str | None, suffix: str, findings: ImportFindings, faults: RowFaults) -> Index:
    """Match the rows of `src/NAME.txt` with the files of `src/NAME/`; items without a counterpart are lost frames of `sensor`.

    A missing index, malformed rows, and an index of which no row has a file are noted in `faults`.

    Raises:
        SourceError: There are too many rows.

    """
    text = src / f"{name}.txt"
    rows = _rows(text, faults)
    files = {path.stem: path for path in sorted((src / name).glob(f"*{suffix}"))}
    missing = [frame for frame, _ in rows if frame not in files]
    unindexed = sorted(set(files) - {frame for frame, _ in rows})
    if missing:
        words = f"{name}: {len(missing)} index rows have no file and are left out: {named(missing)}"
        findings.lose(sensor, len(missing), words)
    if unindexed:
        words = f"{name}: {len(unindexed)} files have no index row, so no stamp, and are left out: {named(unindexed)}"
        findings.lose(sensor, len(unindexed), words)
    frames = tuple(IndexedFrame(stamp_ns, files[frame]) for frame, stamp_ns in rows if frame in files)
    if not frames and not faults:
        faults.add(f"{src / name} holds no frame that {text.name} names; is this the folder of one RADIATE sequence?")
    findings += clock_findings(name, [frame.stamp_ns for frame in frames])
    return Index(frames)


def _rows(path: Path, faults: RowFaults) -> list[tuple[str, int]]:
    lines = faults.attempt(read_text_lines, path) or []
    if len(lines) > MAX_FRAMES:
        raise SourceError(f"{path} has {len(lines)} rows, the limit is {MAX_FRAMES}")
    rows = [faults.attempt(_row, line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    return [row for row in rows if row is not None]


def _row(line: str, place: str) -> tuple[str, int]:
    match = _ROW.fullmatch(line)
    if match is None:
        raise SourceError(f"{place}: {line[:80]!r} is not 'Frame: NNNNNN Time: SECONDS.FRACTION'")
    stamp_ns = int(match["seconds"]) * NS_PER_S + int(match["fraction"].ljust(9, "0"))
    if stamp_ns > MAX_STAMP_NS:
        raise SourceError(f"{place}: Time: {match['seconds']} s is not a time between 1970 and 2096")
    return match["frame"], stamp_ns
