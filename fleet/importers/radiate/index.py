"""The index of a RADIATE sensor: the stamp and file of each frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, named
from fleet.importers.source import MAX_FRAMES, read_text_lines
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


def read_index(src: Path, name: str, suffix: str, findings: list[str]) -> Index:
    """Match the rows of `src/NAME.txt` with the files of `src/NAME/`; items without a counterpart are findings.

    Raises:
        SourceError: There is no index, a row is malformed, or no row has a file.

    """
    text = src / f"{name}.txt"
    rows = _rows(text)
    files = {path.stem: path for path in sorted((src / name).glob(f"*{suffix}"))}
    missing = [frame for frame, _ in rows if frame not in files]
    unindexed = sorted(set(files) - {frame for frame, _ in rows})
    if missing:
        findings.append(f"{name}: {len(missing)} index rows have no file and are left out: {named(missing)}")
    if unindexed:
        findings.append(f"{name}: {len(unindexed)} files have no index row, so no stamp, and are left out: {named(unindexed)}")
    frames = tuple(IndexedFrame(stamp_ns, files[frame]) for frame, stamp_ns in rows if frame in files)
    if not frames:
        raise SourceError(f"{src / name} holds no frame that {text.name} names; is this the folder of one RADIATE sequence?")
    findings += clock_findings(name, [frame.stamp_ns for frame in frames])
    return Index(frames)


def _rows(path: Path) -> list[tuple[str, int]]:
    rows = []
    for number, line in enumerate(read_text_lines(path), start=1):
        if not line.strip():
            continue
        match = _ROW.fullmatch(line)
        if match is None:
            raise SourceError(f"{path}, line {number}: {line[:80]!r} is not 'Frame: NNNNNN Time: SECONDS.FRACTION'")
        rows.append((match["frame"], int(match["seconds"]) * NS_PER_S + int(match["fraction"].ljust(9, "0"))))
    if len(rows) > MAX_FRAMES:
        raise SourceError(f"{path} has {len(rows)} rows, the limit is {MAX_FRAMES}")
    return rows
