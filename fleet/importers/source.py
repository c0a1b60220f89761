"""Reading dataset folders that others made: bounded, exact in time, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fleet.drive_folder import DriveFolder
from fleet.errors import SourceError
from fleet.progress import Progress
from fleet.recording import Frame

MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_FRAMES = 100_000
PICKLES = (".pkl", ".pickle", ".pkl.gz", ".pickle.gz")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The drive folder that was written, checked, and what its user should know about the source."""

    folder: DriveFolder
    findings: tuple[str, ...]


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """The bytes of a file.

    Raises:
        SourceError: It is missing, or larger than `limit_bytes`.

    """
    if not path.is_file():
        raise SourceError(f"{path} is missing; is this the folder of one drive?")
    size = path.stat().st_size
    if size > limit_bytes:
        raise SourceError(f"{path} has {size} bytes, the limit is {limit_bytes}; it is not what this format keeps there")
    return path.read_bytes()


def read_json(path: Path) -> Any:
    """A JSON document; numbers with a fraction become Decimal, so that stamps keep every digit.

    Raises:
        SourceError: It is missing, too large, or no JSON.

    """
    try:
        return json.loads(read_bounded(path, MAX_TEXT_BYTES), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}") from error


def read_text_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        SourceError: It is missing, too large, or not UTF-8.

    """
    try:
        return read_bounded(path, MAX_TEXT_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error}") from error


def exact_ns(seconds: Decimal | int) -> int:
    """Seconds as written, in nanoseconds; digits beyond the ninth decimal are cut off."""
    return int(Decimal(seconds).scaleb(9))


def refuse_pickles(folder: Path, how_to_convert: str) -> None:
    """Refuse a folder whose data are pickles; none is opened.

    Raises:
        SourceError: Names the first one, why it is refused and how to convert it.

    """
    pickles = sorted(path.name for path in folder.iterdir() if path.name.endswith(PICKLES)) if folder.is_dir() else []
    if pickles:
        raise SourceError(
            f"{folder / pickles[0]} (one of {len(pickles)}) is a pickle: opening one runs code that is in it, so it is never "
            f"opened here; {how_to_convert}"
        )


def median_ns(values: Sequence[int]) -> int:
    """The middle of integers; of an even number, the mean of the middle two, rounded down."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def counted(step: str, frames: Iterator[Frame], total: int, progress: Progress) -> Iterator[Frame]:
    """The same frames, each reported to `progress`."""
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(step, done, total)
