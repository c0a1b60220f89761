"""The index of a RADIATE sensor: which frame was measured when, and which file holds it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import SourceError
from fleet.importers.source import MAX_FRAMES, read_text_lines
from sensors.rig import NS_PER_S

_ROW = re.compile(r"Frame: (?P<frame>[0-9]{1,9}) Time: (?P<seconds>[0-9]{1,10})\.(?P<fraction>[0-9]{1,9})\s*")
GAP_PERIODS = 1.5


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
    """Match the rows of `src/NAME.txt` with the files of `src/NAME/`; whatever has no counterpart is a finding.

    Raises:
        SourceError: There is no index, a row is malformed, or no row has a file.

    """
    text = src / f"{name}.txt"
    rows = _rows(text)
    files = {path.stem: path for path in sorted((src / name).glob(f"*{suffix}"))}
    missing = [frame for frame, _ in rows if frame not in files]
    unindexed = sorted(set(files) - {frame for frame, _ in rows})
    if missing:
        findings.append(f"{name}: {len(missing)} index rows have no file and are left out: {_named(missing)}")
    if unindexed:
        findings.append(f"{name}: {len(unindexed)} files have no index row, so no stamp, and are left out: {_named(unindexed)}")
    frames = tuple(IndexedFrame(stamp_ns, files[frame]) for frame, stamp_ns in rows if frame in files)
    if not frames:
        raise SourceError(f"{src / name} holds no frame that {text.name} names; is this the folder of one RADIATE sequence?")
    findings += _clock_findings(name, [frame.stamp_ns for frame in frames])
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


def _clock_findings(name: str, stamps_ns: list[int]) -> list[str]:
    found = []
    steps = [(after - before, row) for row, (before, after) in enumerate(itertools.pairwise(stamps_ns), start=2)]
    doubled = sum(count - 1 for count in Counter(stamps_ns).values())
    if doubled:
        found.append(f"{name}: {doubled} of {len(stamps_ns)} frames repeat the stamp of another; kept")
    found += [f"{name}: the clock steps back by {-step / 1e6:.1f} ms at row {row}; kept" for step, row in steps if step < 0]
    forward = sorted(step for step, _ in steps if step > 0)
    if forward:
        usual = forward[len(forward) // 2]
        for step, row in steps:
            if step > GAP_PERIODS * usual:
                found.append(f"{name}: {step / 1e6:.1f} ms pass before row {row}, usually {usual / 1e6:.1f} ms")
    return found


def _named(frames: list[str]) -> str:
    shown = ", ".join(frames[:10])
    return shown if len(frames) <= 10 else f"{shown} and {len(frames) - 10} more"
