"""The measurements of a nuScenes scene: the rows of `sample_data`, keyframes and sweeps, each with its sensor.

Inconsistencies are findings: rows without files, links to missing rows, duplicate stamps.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from fleet.errors import SourceError
from fleet.importers.clock_findings import MOST_NAMED, clock_findings, named
from fleet.importers.import_findings import ImportFindings
from fleet.importers.nuscenes.tables import DatasetLayout, NuscenesScene, Row, keyed_rows, text
from fleet.importers.source import MAX_FRAMES, MICROSECONDS, RowFaults, image_size, inside
from sensors.rig import Modality
from sensors.time_units import NS_PER_S

MODALITIES = {kind.value: kind for kind in (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)}
MAX_CHANNELS = 64
NS_PER_US = 1000
GPS_EPOCH_NS = 315_964_800 * NS_PER_S  # 1980-01-06 as a Unix time

_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_NANOSECONDS = re.compile(r"_([0-9]{19})$")


@dataclass(frozen=True, slots=True)
class SampleData:
    """A row of `sample_data`. `size_px`: width and height from the table, None where it has none."""

    token: str
    sample: str
    stamp_ns: int
    path: Path
    is_keyframe: bool
    pose: str
    calibration: str
    previous: str
    next: str
    size_px: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Channel:
    """One sensor of a scene. `rows`: all its shots by stamp; `shots`: those whose files exist."""

    name: str
    modality: Modality
    rows: tuple[SampleData, ...]
    shots: tuple[SampleData, ...]

    @property
    def sensor(self) -> str:
        """The sensor's name in the rig."""
        return self.name.lower()

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps of the shots whose files exist."""
        return [shot.stamp_ns for shot in self.shots]


def read_channels(
    layout: DatasetLayout, scene: NuscenesScene, faults: RowFaults, findings: ImportFindings
) -> tuple[Channel, ...]:
    """The scene's sensors by name, with their shots by stamp. Rows that lack a member or name a file outside of the dataset are
    noted in `faults`.

    Raises:
        SourceError: The scene has no rows, or too many.

    """
    orphans = _Orphans()
    samples, known = _samples(layout, scene, faults, findings)
    by_calibration = _channel_names(layout, faults)
    found: dict[tuple[str, str], list[SampleData]] = defaultdict(list)
    written_as_float: list[Decimal] = []
    count, strangers = 0, 0
    for sample, row in keyed_rows(layout.table("sample_data"), "sample_token", faults):
        if sample not in samples:
            if sample not in known:
                calibration = row.get("calibrated_sensor_token")
                orphans.see(row, sample, by_calibration.get(calibration) if isinstance(calibration, str) else None)
            continue
        count += 1
        if count > MAX_FRAMES:
            raise SourceError(f"{layout.table('sample_data')} has more than {MAX_FRAMES} rows of scene {scene.name}")
        shot = _shot(layout, row, sample, faults)
        if shot is None:
            continue
        channel = by_calibration.get(shot.calibration)
        if channel is None:
            strangers += 1
            continue
        if isinstance(row["timestamp"], Decimal):
            written_as_float.append(row["timestamp"])
        found[channel].append(shot)
    orphans.report(found, findings)
    if not found:
        faults.refuse()
        raise SourceError(f"{layout.table('sample_data')} has no row of scene {scene.name} ({scene.token}) with a known sensor")
    if len({name.lower() for name, _ in found}) < len(found):
        names = named(sorted(f"{name} ({modality})" for name, modality in found))
        raise SourceError(f"{layout.table('sensor')}: the channels {names} cannot stand for one sensor each; rename them")
    if len(found) > MAX_CHANNELS:
        raise SourceError(f"scene {scene.name} has {len(found)} sensors, the limit is {MAX_CHANNELS}")
    if strangers:
        words = f"sample_data: {strangers} rows name a sensor that the tables do not have, and are left out"
        findings.lose(None, strangers, words)
    findings += _precision(written_as_float, count) + _gps_names([shot for shots in found.values() for shot in shots])
    findings += _dangling(layout, found, known)
    return tuple(_channel(name, modality, shots, findings) for (name, modality), shots in sorted(found.items()))


def files_without_rows(layout: DatasetLayout, channels: Iterable[Channel]) -> list[str]:
    """Names of files that no channel names, relative to the root, sorted."""
    shots = [shot for channel in channels for shot in channel.rows]
    named_files = {shot.path for shot in shots}
    beside = {path for folder in {shot.path.parent for shot in shots} if folder.is_dir() for path in folder.iterdir()}
    return sorted(path.relative_to(layout.root).as_posix() for path in beside - named_files)


class _Orphans:
    """Rows of `sample_data` whose sample is in no scene: nobody would ever import them."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str] | None] = Counter()
        self._first: list[str] = []

    def see(self, row: Row, sample: str, channel: tuple[str, str] | None) -> None:
        self._counts[channel] += 1
        if len(self._first) < MOST_NAMED:
            self._first.append(f"{str(row.get('token'))[:64]} (sample_token {sample[:64]!r})")

    def report(self, channels: Collection[tuple[str, str]], findings: ImportFindings) -> None:
        """Add a finding on all, and a loss for each of the scene's `channels` (name, modality) and for the others."""
        count = self._counts.total()
        if not count:
            return
        more = f" and {count - len(self._first)} more" if count > len(self._first) else ""
        words = (
            f"sample_data: {count} rows are of samples that the table sample does not have, and are left out: "
            f"{', '.join(self._first)}{more}"
        )
        findings.append(words)
        lost: Counter[str | None] = Counter()
        for channel, rows in self._counts.items():
            lost[channel[0].lower() if channel in channels and channel is not None else None] += rows
        for sensor, rows in lost.items():
            findings.record_loss(sensor, rows, words)


def _samples(layout: DatasetLayout, scene: NuscenesScene, faults: RowFaults, findings: list[str]) -> tuple[set[str], set[str]]:
    """Tokens of the scene's samples, and of all."""
    path = layout.table("sample")
    links: dict[str, tuple[object, object]] = {}
    known: set[str] = set()
    for token, row in keyed_rows(path, "token", faults):
        known.add(token)
        if row.get("scene_token") == scene.token:
            links[token] = (row.get("prev"), row.get("next"))
    if not links:
        faults.refuse()
        raise SourceError(f"{path} has no sample of scene {scene.name} ({scene.token})")
    if len(links) != scene.samples:
        findings.append(f"sample: scene {scene.name} should have {scene.samples} keyframes, {len(links)} are in the table")
    absent = [which for which in ("first", "last") if getattr(scene, f"{which}_sample_token") not in links]
    if absent:
        findings.append(f"scene: its {' and '.join(absent)} keyframe is not in the table sample")
    loose = sum(1 for pair in links.values() for link in pair if link and str(link) not in links)
    if loose:
        findings.append(f"sample: {loose} links (prev, next) lead to rows that are not there")
    return set(links), known


def _channel_names(layout: DatasetLayout, faults: RowFaults) -> dict[str, tuple[str, str]]:
    """Channel and modality of each row of `calibrated_sensor`."""
    path = layout.table("sensor")
    sensors: dict[str, tuple[str, str]] = {}
    for token, row in keyed_rows(path, "token", faults):
        modality = faults.attempt(text, row, "modality", path)
        channel = faults.attempt(_channel_name, row, path) if modality in MODALITIES else None
        if modality is not None and channel is not None:
            sensors[token] = (channel, modality)
    path = layout.table("calibrated_sensor")
    rows = [(token, faults.attempt(text, row, "sensor_token", path)) for token, row in keyed_rows(path, "token", faults)]
    return {token: sensors[sensor] for token, sensor in rows if sensor in sensors}


def _channel_name(row: Row, path: Path) -> str:
    name = text(row, "channel", path)
    if _CHANNEL.fullmatch(name) is None or name.lower() == "pose":  # it becomes the name of a folder
        raise SourceError(
            f"{path}: the row {str(row.get('token'))[:64]} has channel = {name[:40]!r}, which no sensor can be called"
        )
    return name


def _shot(layout: DatasetLayout, row: Row, sample: str, faults: RowFaults) -> SampleData | None:
    table = layout.table("sample_data")
    token, pose, calibration, filename = (
        faults.attempt(text, row, key, table) for key in ("token", "ego_pose_token", "calibrated_sensor_token", "filename")
    )
    place = f"{table}: row {str(row.get('token'))[:64]}"
    stamp_ns = faults.time_ns(row.get("timestamp"), f"{place}: timestamp", MICROSECONDS)
    path = None if filename is None else faults.attempt(inside, filename, place)
    if token is None or pose is None or calibration is None or stamp_ns is None or path is None:
        return None
    return SampleData(
        token=token,
        sample=sample,
        stamp_ns=stamp_ns,
        path=layout.root / path,
        is_keyframe=row.get("is_key_frame") is True,
        pose=pose,
        calibration=calibration,
        previous=str(row.get("prev") or ""),
        next=str(row.get("next") or ""),
        size_px=image_size(row.get("width"), row.get("height")),
    )


def _channel(name: str, modality: str, rows: Sequence[SampleData], findings: ImportFindings) -> Channel:
    ordered = tuple(sorted(rows, key=lambda shot: (shot.stamp_ns, shot.token)))
    shots = tuple(shot for shot in ordered if shot.path.is_file())
    absent = [shot.path.name for shot in ordered if not shot.path.is_file()]
    if absent:
        words = f"{name}: {len(absent)} of {len(ordered)} rows name a file that is not there: {named(absent)}"
        findings.lose(name.lower() if shots else None, len(absent), words)
    by_token = {shot.token: shot for shot in ordered}
    after = [by_token[shot.next].stamp_ns - shot.stamp_ns for shot in ordered if shot.next in by_token]
    if any(step < 0 for step in after):
        findings.append(f"{name}: {sum(step < 0 for step in after)} rows have a successor with an earlier stamp; put in order")
    doubled = len(ordered) - len({shot.path for shot in ordered})
    if doubled:
        findings.append(f"{name}: {doubled} rows name a file that another row names too; kept")
    findings += clock_findings(name, [shot.stamp_ns for shot in shots])
    return Channel(name, MODALITIES[modality], ordered, shots)


def _precision(written_as_float: Sequence[Decimal], rows: int) -> list[str]:
    if not written_as_float:
        return []
    fractions = sum(value != value.to_integral_value() for value in written_as_float)
    step_ns = math.ulp(float(max(written_as_float))) * 1000
    return [
        f"stamps: {len(written_as_float)} of {rows} are written as float µs, {fractions} with a fraction: a float of this size "
        f"has steps of {step_ns:.0f} ns, so the source has lost the rest; its digits are taken as they are"
    ]


def _gps_names(shots: Sequence[SampleData]) -> list[str]:
    """A finding on file names that end in nanoseconds since the GPS epoch, as Lyft's do: a second, finer clock."""
    apart_ns = []
    for shot in shots:
        match = _NANOSECONDS.search(shot.path.stem)
        if match is not None and abs(shift_ns := int(match[1]) + GPS_EPOCH_NS - shot.stamp_ns) < NS_PER_US:
            apart_ns.append(abs(shift_ns))
    if not apart_ns:
        return []
    return [
        f"stamps: {len(apart_ns)} of {len(shots)} file names end in ns since the GPS epoch (1980-01-06, no leap seconds), up to "
        f"{max(apart_ns)} ns from the table's stamp, which counts"
    ]


def _dangling(
    layout: DatasetLayout, found: Mapping[tuple[str, str], Sequence[SampleData]], samples: Collection[str]
) -> list[str]:
    """Findings on links to rows outside of the scene; the table is read again only if there are such links."""
    here = {shot.token for shots in found.values() for shot in shots}
    links = [link for shots in found.values() for shot in shots for link in (shot.previous, shot.next) if link]
    outside = {link for link in links if link not in here}
    if not outside:
        return []
    table = layout.table("sample_data")
    rows = {token: row.get("sample_token") for token, row in keyed_rows(table, "token", RowFaults()) if token in outside}
    orphans = {token for token, sample in rows.items() if not isinstance(sample, str) or sample not in samples}
    counts = {
        f"of {len(links)} links (prev, next) lead to rows that are not there": sum(
            link in outside and link not in rows for link in links
        ),
        "links (prev, next) lead to rows of samples that the table sample does not have": sum(link in orphans for link in links),
        "links (prev, next) lead into another scene": sum(link in rows and link not in orphans for link in links),
    }
    return [f"sample_data: {count} {words}" for words, count in counts.items() if count]
