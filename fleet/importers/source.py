"""Reading third-party dataset folders: bounded, exact in time, without pickles; poses only within plausible bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path, PurePosixPath
from typing import Any, ParamSpec, TypeVar

from fleet import Progress
from fleet.drive_folder import DriveFolder
from fleet.encode import encode_pose
from fleet.errors import SourceError
from fleet.mcap_writer import RecordedFrame
from sensors.geometry import SE3
from sensors.rig import Intrinsics
from sensors.stamps import MAX_STAMP_NS, plausible

MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_FRAMES = 100_000
MAX_PIXELS = 65536  # of a side of an image
SECONDS, MICROSECONDS = 9, 3
UNITS = {9: "seconds", 6: "milliseconds", 3: "microseconds", 0: "nanoseconds"}
MAX_FAULTS_LISTED = 20
MAX_DIGITS = 100
Args = ParamSpec("Args")
Value = TypeVar("Value")
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


def exact_ns(time: object, decimals: int = SECONDS, place: str = "") -> int:
    """A time as written, in nanoseconds; digits beyond a nanosecond are truncated.

    `decimals`: the number of decimals that make a nanosecond: `SECONDS` or `MICROSECONDS`. `place`: file, row and field.

    Raises:
        SourceError: It is not a number, or not between 1970 and October 2096; begins with the place.

    """
    begin = f"{place}: " if place else ""
    if isinstance(time, bool) or not isinstance(time, int | Decimal) or not Decimal(time).is_finite():
        raise SourceError(f"{begin}{repr(time)[:40]} is not a time: a number was expected")
    if not 0 <= time <= Decimal(MAX_STAMP_NS).scaleb(-decimals):
        raise SourceError(
            f"{begin}{_digits(time)} {UNITS[decimals]} is not a time between 1970 and 2096{_other_unit(time, decimals)}"
        )
    return int(Decimal(time).scaleb(decimals, Context(prec=MAX_DIGITS)))


def _digits(time: float | Decimal) -> str:
    try:
        return str(time)[:40]
    except ValueError:  # an integer with more digits than Python writes
        return "a number of thousands of digits"


def _other_unit(time: int | Decimal, decimals: int) -> str:
    for other, name in UNITS.items():
        scaled = Decimal(time) * Decimal(10) ** other if -MAX_STAMP_NS < time < MAX_STAMP_NS else None
        if other != decimals and scaled is not None and plausible(float(scaled)):
            return f"; it would be if it counted {name}"
    return ""


def read_times(path: Path, faults: RowFaults) -> list[int | None]:
    """A JSON array of seconds, in nanoseconds; None for what is no time, and no entry where it cannot be read: both are noted."""
    rows = faults.attempt(read_list, path) or []
    return [faults.time_ns(time, f"{path}: entry {number}") for number, time in enumerate(rows)]


class RowFaults:
    """What is wrong with rows of a source, so that its user is told all of it at once; the first are listed, the rest counted."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._more = 0

    def add(self, problem: str) -> None:
        """Take note of a problem, which begins with its place."""
        if len(self._words) < MAX_FAULTS_LISTED:
            self._words.append(problem)
        else:
            self._more += 1

    def time_ns(self, time: object, place: str, decimals: int = SECONDS) -> int | None:
        """As `exact_ns`; None for what is no time, which is noted."""
        return self.attempt(exact_ns, time, decimals, place)

    def attempt(self, read: Callable[Args, Value], *args: Args.args, **options: Args.kwargs) -> Value | None:
        """What `read` returns; None where it raises SourceError, which is noted."""
        try:
            return read(*args, **options)
        except SourceError as error:
            self.add(str(error))
            return None

    def __bool__(self) -> bool:
        """Whether anything was noted."""
        return bool(self._words)

    def refuse(self) -> None:
        """Do nothing if nothing was noted.

        Raises:
            SourceError: Something was.

        """
        if self._words:
            raise SourceError("\n".join([*self._words, *([f"and {self._more} more rows"] if self._more else [])]))


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


def finite(value: object) -> float:
    """A number of a JSON document.

    Raises:
        ValueError: It is something else, such as text, or no finite float.

    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{repr(value)[:40]} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{_digits(value)} is not finite")
    return number


def number_in(entry: object, *keys: str) -> float:
    """The finite number at these keys of nested JSON objects.

    Raises:
        ValueError: There is none; begins with the keys.

    """
    for key in keys:
        if not isinstance(entry, Mapping) or key not in entry:
            raise ValueError(f"{'.'.join(keys)} is missing")
        entry = entry[key]
    try:
        return finite(entry)
    except ValueError as error:
        raise ValueError(f"{'.'.join(keys)}: {error}") from error


def median_ns(values: Sequence[int]) -> int:
    """The median of integers; for an even number, the mean of the middle two, rounded down."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def counted(step: str, frames: Iterator[RecordedFrame], total: int, progress: Progress) -> Iterator[RecordedFrame]:
    """The same frames, each reported to `progress`."""
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress(step, done, total)


def inside(filename: str, place: Path | str) -> PurePosixPath:
    """A relative path that stays below the folder it is relative to. `place`: the file, or file and row, that names it.

    Raises:
        SourceError: It leaves the folder.

    """
    name = PurePosixPath(filename)
    if not filename or name.is_absolute() or ".." in name.parts or "\0" in filename or "\\" in filename:
        raise SourceError(f"{place} names the file {filename[:80]!r}, which is not below the dataset's root; it is not opened")
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


def image_size(width_px: object, height_px: object) -> tuple[int, int] | None:
    """Width and height as a source states them; None where they are no size of an image."""
    if not isinstance(width_px, int) or not isinstance(height_px, int):
        return None
    return (width_px, height_px) if 0 < width_px <= MAX_PIXELS and 0 < height_px <= MAX_PIXELS else None


def pinhole(size_px: tuple[int, int], terms_px: Sequence[float], distortion: tuple[float, ...] = ()) -> Intrinsics:
    """The lens of images of this width and height, with finite fx, fy, cx, cy (4,) in pixels.

    Raises:
        ValueError: A focal length is not positive, or the principal point is outside the image.

    """
    (width_px, height_px), (fx_px, fy_px, cx_px, cy_px) = size_px, terms_px
    if not (fx_px > 0 and fy_px > 0 and 0 <= cx_px <= width_px and 0 <= cy_px <= height_px):
        raise ValueError(f"fx, fy, cx, cy of {', '.join(f'{term:g}' for term in terms_px)} do not fit {width_px}x{height_px} px")
    return Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px, distortion)


def position(latitude_deg: float, longitude_deg: float, altitude_m: float) -> tuple[float, float, float]:
    """The same finite numbers, which are a place on the earth or near it.

    Raises:
        ValueError: They are not.

    """
    for name, value, limit in (("latitude", latitude_deg, 90.0), ("longitude", longitude_deg, 180.0)):
        if abs(value) > limit:
            raise ValueError(f"the {name} {value:.10g} is beyond {limit:g} degrees")
    if abs(altitude_m) > FARTHEST_M:
        raise ValueError(f"the altitude {altitude_m:.3g} m is beyond {FARTHEST_M:.3g} m; are its units metres?")
    return latitude_deg, longitude_deg, altitude_m


def pose_frames(poses: Iterable[tuple[int, SE3]], frame_id: str = "odom") -> Iterator[RecordedFrame]:
    """A frame for each stamp (ns) and pose of the ego frame in the frame `frame_id`."""
    for stamp_ns, pose in poses:
        yield RecordedFrame(stamp_ns, stamp_ns, encode_pose(stamp_ns, pose, frame_id))
