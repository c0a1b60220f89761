"""A DGP scene file: the data (datums) that it names, with their times as written, files and poses.

Format: `dgp/proto/{scene,sample,image,point_cloud,geometry,identifiers}.proto`, as proto3 JSON: a number that is left out
is 0.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fleet.encode import MAX_SEC
from fleet.errors import SourceError
from fleet.importers.clock_findings import named
from fleet.importers.import_findings import ImportFindings
from fleet.importers.source import MAX_FRAMES, RowFaults, image_size, inside, median_ns, read_json, rigid
from sensors.geometry import SE3
from sensors.rig import Modality
from sensors.stamps import PLAUSIBLE_START_NS
from sensors.time_units import NS_PER_S, NS_PER_US

KINDS = {"image": Modality.CAMERA, "point_cloud": Modality.LIDAR}
SUFFIXES = {Modality.CAMERA: (".jpg", ".jpeg", ".png"), Modality.LIDAR: (".npz", ".ply")}
MAX_CHANNELS = 64
MAX_COLUMNS = 32
MAX_TEXT_CHARS = 512

_UTC = re.compile(r"(?P<second>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?Z")
_SENSOR = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Datum:
    """One measurement. `name`: its sensor in the source, `sensor`: in the rig. `world_SE3_sensor` is its own pose.

    `columns`: the names of a point cloud's columns. `size_px`: width and height as declared by the scene.
    """

    key: str
    name: str
    modality: Modality
    written: str
    written_ns: int
    path: Path
    world_SE3_sensor: SE3
    previous: str
    next: str
    columns: tuple[str, ...] = ()
    size_px: tuple[int, int] | None = None

    @property
    def sensor(self) -> str:
        """The sensor's name in the rig."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class DgpScene:
    """A scene: its data whose files exist, in the order of the scene file; samples as groups of their keys."""

    path: Path
    data: tuple[Datum, ...]
    samples: tuple[tuple[str, ...], ...]
    calibrations: tuple[Path, ...]


def read_scene(src: Path, faults: RowFaults, findings: ImportFindings) -> DgpScene:
    """Read the one `scene_*.json` of a folder. Data and samples with a member that is missing, of the wrong type, or the name of
    a file outside the folder are noted in `faults`.

    Raises:
        SourceError: There is none, or there are several; it is no scene; or no datum's file exists.

    """
    paths = sorted(src.glob("scene_*.json")) if src.is_dir() else []
    if len(paths) != 1:
        problem = "is missing" if not paths else f"is there {len(paths)} times"
        raise SourceError(f"{src / 'scene_*.json'} {problem}; name the folder of one DGP scene")
    path = paths[0]
    document = _object(path, read_json(path), "the document")
    entries, samples = _list(path, document, "data"), _list(path, document, "samples")
    if max(len(entries), len(samples)) > MAX_FRAMES:
        raise SourceError(f"{path} names {max(len(entries), len(samples))} data, the limit is {MAX_FRAMES}")
    named_data, unread = _data(src, path, entries, faults, findings)
    data = tuple(datum for datum in named_data if _is_there(datum.path))
    if not data:
        faults.refuse()
        raise SourceError(f"{path} names no image and no point cloud that is there")
    _lost_files(named_data, {datum.sensor for datum in data}, findings)
    read = [faults.attempt(_sample, sample, f"{path}: samples entry {number}") for number, sample in enumerate(samples)]
    groups = tuple(sample.keys for sample in read if sample is not None)
    _links(named_data, groups, unread, findings)
    calibrations = dict.fromkeys(sample.calibration for sample in read if sample is not None)
    paths_there = (src / inside(f"calibration/{key}.json", path) for key in calibrations)
    return DgpScene(path, data, groups, tuple(paths_there))


@dataclass(frozen=True, slots=True)
class _Sample:
    keys: tuple[str, ...]
    calibration: str


def _sample(entry: Any, place: str) -> _Sample:
    keys = tuple(_text(place, key, "a datum key") for key in _list(place, entry, "datum_keys"))
    return _Sample(keys, _text(place, entry.get("calibration_key"), "a key"))


def _lost_files(data: Sequence[Datum], sensors: Collection[str], findings: ImportFindings) -> None:
    """Report data whose files are not there, and files beside those of the data that no datum names. `sensors`: the rig's."""
    by_name: dict[str, list[Datum]] = {}
    by_folder: dict[Path, set[tuple[str, Modality]]] = {}
    for datum in data:
        by_name.setdefault(datum.name, []).append(datum)
        by_folder.setdefault(datum.path.parent, set()).add((datum.sensor, datum.modality))
    for name, own in by_name.items():
        absent = [datum.path.name for datum in own if not _is_there(datum.path)]
        if absent:
            words = f"{name}: {len(absent)} of {len(own)} data name a file that is not there: {named(absent)}"
            findings.lose(own[0].sensor if own[0].sensor in sensors else None, len(absent), words)
    known = {datum.path for datum in data}
    for folder, owners in by_folder.items():
        suffixes = {suffix for _, modality in owners for suffix in SUFFIXES[modality]}
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        extra = [path.name for path in files if path not in known and path.suffix.lower() in suffixes]
        if extra:
            sensor = next(iter(owners))[0] if len(owners) == 1 else None
            words = f"{folder.name}: {len(extra)} files are named by no datum, so have no stamp, and are left out: {named(extra)}"
            findings.lose(sensor if sensor in sensors else None, len(extra), words)


def pose_of(place: str, entry: Any) -> SE3:
    """A `Pose` message: translation {x, y, z} in metres, rotation {qw, qx, qy, qz}. `place`: file and row, for errors.

    Raises:
        SourceError: It is not a pose.

    """
    entry = _object(place, entry, "a pose")
    translation, rotation = (_object(place, entry.get(part), f"a {part}") for part in ("translation", "rotation"))
    try:
        return rigid(
            [number(place, translation, axis) for axis in "xyz"], [number(place, rotation, f"q{part}") for part in "wxyz"]
        )
    except ValueError as error:
        raise SourceError(f"{place}: {str(entry)[:200]} is not a pose: {error}") from error


def number(place: str, entry: Mapping[str, Any], key: str) -> float:
    """A numeric member of a message; 0 where it is omitted.

    Raises:
        SourceError: It is something else.

    """
    value = entry.get(key, 0)
    try:
        if isinstance(value, str | bool):
            raise TypeError("no number")
        return float(value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise SourceError(f"{place}: {key} is {str(value)[:40]!r} instead of a number") from error


def _data(src: Path, path: Path, entries: list[Any], faults: RowFaults, findings: ImportFindings) -> tuple[list[Datum], set[str]]:
    """The data, and the keys of those whose kind is not read."""
    read, others, unread = [], Counter[str](), set()
    for number, entry in enumerate(entries):
        place = f"{path}: data entry {number}"
        value = faults.attempt(_value, place, entry)
        kind = next((kind for kind in KINDS if value is not None and kind in value), None)
        if kind is not None:
            read.append(faults.attempt(_datum, src, place, entry, kind, faults))
        elif value is not None:
            others[named(sorted(value))] += 1
            unread.add(str(entry.get("key")))
    for kind, count in others.items():
        findings.lose(None, count, f"data: {count} of kind {kind or 'unknown'} are not read and left out")
    data = [datum for datum in read if datum is not None]
    for sensor, names in _spellings(data).items():
        if len(names) > 1 or sensor == "pose":
            raise SourceError(f"{path}: the names {', '.join(names)} cannot stand for one sensor each; rename them")
    twice = [key for key, count in Counter(datum.key for datum in data).items() if count > 1]
    if twice:
        raise SourceError(f"{path} has a key twice, so samples and links are ambiguous: {named(twice)}")
    return data, unread


def _value(place: str, entry: Any) -> Mapping[str, Any]:
    return _object(place, _object(place, entry, "a datum").get("datum"), "a datum's value")


def _datum(src: Path, place: str, entry: Mapping[str, Any], kind: str, faults: RowFaults) -> Datum | None:
    value = _object(place, entry["datum"][kind], f"a datum's {kind}")
    identity = _object(place, entry.get("id"), "a datum's id")
    written_ns = faults.attempt(_written_ns, place, identity.get("timestamp"))
    pose = faults.attempt(pose_of, place, value.get("pose"))
    name = _text(place, identity.get("name"), "a datum's name")
    if _SENSOR.fullmatch(name.lower()) is None:
        raise SourceError(f"{place}: no sensor can be called {name[:80]!r}; rename it to match {_SENSOR.pattern}")
    columns = (
        [_text(place, column, "a column") for column in _list(place, value, "point_format")] if kind == "point_cloud" else []
    )
    if len(columns) > MAX_COLUMNS:
        raise SourceError(f"{place}: a point cloud has {len(columns)} columns, the limit is {MAX_COLUMNS}")
    key = _text(place, entry.get("key"), "a datum's key")
    filename = inside(_text(place, value.get("filename"), "a file name"), place)
    if written_ns is None or pose is None:
        return None
    return Datum(
        key=key,
        name=name,
        modality=KINDS[kind],
        written=identity["timestamp"],
        written_ns=written_ns,
        path=src / filename,
        world_SE3_sensor=pose,
        previous=str(entry.get("prev_key") or ""),
        next=str(entry.get("next_key") or ""),
        columns=tuple(columns),
        size_px=image_size(value.get("width"), value.get("height")),
    )


def _written_ns(place: str, timestamp: Any) -> int:
    written = _text(place, timestamp, "a datum's timestamp")
    found = _UTC.fullmatch(written)
    try:
        if found is None:
            raise ValueError("it is not like 2019-05-03T21:39:53.820375Z")
        since = datetime.fromisoformat(found["second"]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        if since.days < 0:
            raise ValueError("it is before 1970, which no stamp can be")
    except ValueError as error:
        raise SourceError(f"{place}: timestamp {written[:80]!r} is not a time: {error}") from error
    return (since.days * 86_400 + since.seconds) * NS_PER_S + int((found["fraction"] or "0").ljust(9, "0"))


def _spellings(data: list[Datum]) -> Mapping[str, list[str]]:
    """Names in the source by sensor of the rig; a name used by two kinds makes two sensors."""
    found: dict[str, set[str]] = {}
    for datum in data:
        found.setdefault(datum.sensor, set()).add(f"{datum.name} ({datum.modality})")
    if len(found) > MAX_CHANNELS:
        raise SourceError(f"the scene has {len(found)} sensors, the limit is {MAX_CHANNELS}")
    return MappingProxyType({sensor: sorted(names) for sensor, names in found.items()})


def _links(data: list[Datum], samples: tuple[tuple[str, ...], ...], unread: Collection[str], findings: ImportFindings) -> None:
    by_key = {datum.key: datum for datum in data}
    loose = {"prev_key": [datum.previous for datum in data], "next_key": [datum.next for datum in data]}
    dangling = {which: sum(bool(key) and key not in by_key for key in keys) for which, keys in loose.items()}
    if any(dangling.values()):
        counts = " and ".join(f"{count} {which}" for which, count in dangling.items())
        findings.append(f"links: {counts} lead to data that are not in the scene")
    kept = [(datum, by_key[key]) for datum in data for key in (datum.previous, datum.next) if key in by_key]
    astray = sum(here.name != there.name for here, there in kept)
    if astray:
        findings.append(
            f"links: {astray} of the {len(kept)} that lead to data of the scene lead to another sensor; none is followed"
        )
    grouped = {key for keys in samples for key in keys}
    if lost := len(grouped - set(by_key) - set(unread)):
        findings.lose(None, lost, f"samples: {lost} of {len(grouped)} keys name no datum of the scene")
    if alone := len(set(by_key) - grouped):
        findings.append(f"samples: {alone} of {len(by_key)} data are in no sample; imported all the same")


def _object(place: Path | str, value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(f"{place}: {what} is {str(value)[:40]!r} instead of an object")
    return value


def _list(place: Path | str, entry: Any, key: str) -> list[Any]:
    value = _object(place, entry, f"what holds {key}").get(key, [])
    if not isinstance(value, list):
        raise SourceError(f"{place}: {key} is {str(value)[:40]!r} instead of a list")
    return value


def _text(place: Path | str, value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or not value.isprintable():
        raise SourceError(f"{place}: {what} is {str(value)[:40]!r} instead of a text of at most {MAX_TEXT_CHARS} characters")
    return value


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a name that no file system accepts
        raise SourceError(f"{str(path)[-200:]} cannot be accessed: {error.strerror}") from error


LAST_STAMP_NS = (MAX_SEC + 1) * NS_PER_S - 1
TICKS = 10  # a microsecond as written that is a tick of 100 ns


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """The divisor for a scene's times as written: 1, or 10 for ticks of 100 ns written as microseconds."""

    divisor: int

    def stamp_ns(self, datum: Datum) -> int:
        """When the datum was measured; exact, since a tick is a whole number of nanoseconds."""
        return datum.written_ns // self.divisor


def find_unit(data: Sequence[Datum], findings: list[str]) -> TimeUnit:
    """The unit of all times of the scene; a unit other than the one written is a finding.

    Raises:
        SourceError: A time is later than a stamp can be, and the scene's file names do not show that it is in ticks.

    """
    late = [datum for datum in data if datum.written_ns > LAST_STAMP_NS]
    if not late:
        return TimeUnit(1)
    for datum in data:
        micros, rest = divmod(datum.written_ns, NS_PER_US)
        if rest or datum.path.stem != str(micros):
            raise SourceError(
                f"{datum.path} has the time {datum.written} ({micros} µs after 1970) but is not named by it; times of this scene "
                f"reach {max(late, key=lambda one: one.written_ns).written}, later than a stamp can be, so their unit is wrong, "
                "but the file names do not show which it is: correct them at the source"
            )
        if not PLAUSIBLE_START_NS <= datum.written_ns // TICKS <= LAST_STAMP_NS:
            raise SourceError(f"{datum.path} has the time {datum.written}, no drive's, in microseconds or in ticks of 100 ns")
    findings.append(_tick_note(data))
    return TimeUnit(TICKS)


def _tick_note(data: Sequence[Datum]) -> str:
    first = min(data, key=lambda datum: datum.written_ns)
    by_sensor: dict[str, list[int]] = {}
    for datum in data:
        by_sensor.setdefault(datum.name, []).append(datum.written_ns)
    name, times = next(iter(by_sensor.items()))
    steps = [after - before for before, after in itertools.pairwise(times)]
    usual = ""
    if steps:
        step_ns = median_ns(steps)
        usual = f"; the usual step of {name}, written as {step_ns / 1e6:.1f} ms, is {step_ns / TICKS / 1e6:.2f} ms"
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first.written_ns // TICKS // NS_PER_US)
    return (
        f"stamps: written from {first.written} on, later than any stamp can be; all {len(data)} files are named by the same "
        f"digits, which are ticks of 100 ns written as microseconds. Read as ticks: from {date:%Y-%m-%dT%H:%M:%S.%fZ} on{usual}"
    )
