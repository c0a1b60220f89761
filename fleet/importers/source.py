"""Reading third-party dataset folders: bounded, exact in time, without pickles; poses only within plausible bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from fleet import Progress
from fleet.drive_folder import DriveFolder
from fleet.encode import encode_pose
from fleet.errors import SourceError
from fleet.mcap_writer import RecordedFrame
from sensors.geometry import SE3
from sensors.stamps import MAX_STAMP_NS

MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_FRAMES = 100_000
SECONDS, MICROSECONDS = 9, 3
MAX_DIGITS = 100
PICKLES = (".pkl", ".pickle", ".pkl.gz", ".pickle.gz")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The drive folder that was written and checked, and the findings on the source."""

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
        raise SourceError(f"{path} has {size} bytes, the limit is {limit_bytes}; it is not the file of this format")
    return path.read_bytes()


def read_json(path: Path) -> Any:
    """A JSON document; numbers with a fraction become Decimal, so that stamps keep every digit.

    Raises:
        SourceError: It is missing, too large, or not JSON.

    """
    try:
        return json.loads(read_bounded(path, MAX_TEXT_BYTES), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:  # an exponent beyond Decimal's is an ArithmeticError
        raise SourceError(f"{path} is not JSON: {error}") from error


def read_list(path: Path) -> list[Any]:
    """A JSON document that is an array.

    Raises:
        SourceError: It is missing, too large, not JSON, or not an array.

    """
    document = read_json(path)
    if not isinstance(document, list):
        raise SourceError(f"{path} holds {str(document)[:40]!r} instead of a list")
    return document


def read_text_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        SourceError: It is missing, too large, or not UTF-8.

    """
    try:
        return read_bounded(path, MAX_TEXT_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error}") from error


def exact_ns(time: object, decimals: int = SECONDS) -> int:
    """A time as written, in nanoseconds; digits beyond a nanosecond are truncated.

    `decimals`: the number of decimals that make a nanosecond: `SECONDS` or `MICROSECONDS`.

    Raises:
        SourceError: It is not a number, or not between 1970 and October 2096.

    """
    if isinstance(time, bool) or not isinstance(time, int | Decimal) or not Decimal(time).is_finite():
        raise SourceError(f"{time!r} is not a time: a number was expected")
    if not 0 <= time <= Decimal(MAX_STAMP_NS).scaleb(-decimals):
        raise SourceError(f"the time {str(time)[:40]} is not between 1970 and 2096 if read with 10^{decimals} ns a unit")
    return int(Decimal(time).scaleb(decimals, Context(prec=MAX_DIGITS)))


def refuse_pickles(folder: Path, how_to_convert: str) -> None:
    """Refuse a folder whose data are pickles, without opening any.

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
    """The median of integers; for an even number, the mean of the middle two, rounded down."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def counted(step: str, frames: Iterator[RecordedFrame], total: int, progress: Progress) -> Iterator[RecordedFrame]:
    """The same frames, each reported to `progress`."""
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(step, done, total)


def inside(filename: str, table: Path) -> PurePosixPath:
    """A relative path that stays below the folder it is relative to.

    Raises:
        SourceError: It leaves the folder.

    """
    name = PurePosixPath(filename)
    if not filename or name.is_absolute() or ".." in name.parts or "\0" in filename or "\\" in filename:
        raise SourceError(f"{table} names the file {filename[:80]!r}, which is not below the dataset's root; it is not opened")
    return name


FARTHEST_M = 1e8  # more than twice around the earth; arithmetic on larger values could overflow


def rigid(translation_m: Sequence[float], wxyz: Sequence[float]) -> SE3:
    """The transform of a translation (3,) in metres and a unit quaternion (4,), scalar first.

    Raises:
        ValueError: A value is not finite, the quaternion's length is not 1, or the translation is beyond `FARTHEST_M`.

    """
    transform = SE3.from_wxyz(translation_m, wxyz)
    farthest_m = float(max(abs(transform.translation_m)))
    if farthest_m > FARTHEST_M:
        raise ValueError(f"a coordinate of {farthest_m:.3g} m is beyond {FARTHEST_M:.3g} m; are its units metres?")
    return transform


def pose_frames(poses: Iterable[tuple[int, SE3]], frame_id: str = "odom") -> Iterator[RecordedFrame]:
    """A frame for each stamp (ns) and pose of the ego frame in the frame `frame_id`."""
    for stamp_ns, pose in poses:
        yield RecordedFrame(stamp_ns, stamp_ns, encode_pose(stamp_ns, pose, frame_id))
