"""The measurements of a nuScenes scene: the rows of `sample_data`, keyframes and sweeps, each with its sensor.

Inconsistencies are findings: rows without files, links to missing rows, duplicate stamps.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, named
from fleet.importers.nuscenes.tables import DatasetLayout, NuscenesScene, Row, read_rows, text
from fleet.importers.source import MAX_FRAMES, MICROSECONDS, exact_ns, inside
from sensors.rig import Modality
from sensors.time_units import NS_PER_S

MODALITIES = {kind.value: kind for kind in (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)}
MAX_CHANNELS = 64
NS_PER_US = 1000
GPS_EPOCH_NS = 315_964_800 * NS_PER_S  # 1980-01-06 as a Unix time

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


def read_channels(layout: DatasetLayout, scene: NuscenesScene, findings: list[str]) -> tuple[Channel, ...]:
    """The scene's sensors by name, with their shots by stamp.

    Raises:
        SourceError: The scene has no rows, too many, or one that lacks a member or names a file outside of the dataset.

    """
    samples = _samples(layout, scene, findings)
    by_calibration = _channel_names(layout)
    found: dict[tuple[str, str], list[SampleData]] = defaultdict(list)
    written_as_float: list[Decimal] = []
    count, strangers = 0, 0
    for row in read_rows(layout.table("sample_data")):
        if row.get("sample_token") not in samples:
            continue
        count += 1
        if count > MAX_FRAMES:
            raise SourceError(f"{layout.table('sample_data')} has more than {MAX_FRAMES} rows of scene {scene.name}")
        shot = _shot(layout, row)
        channel = by_calibration.get(shot.calibration)
        if channel is None:
            strangers += 1
            continue
        if isinstance(row["timestamp"], Decimal):
            written_as_float.append(row["timestamp"])
        found[channel].append(shot)
    if not found:
        raise SourceError(f"{layout.table('sample_data')} has no row of scene {scene.name} ({scene.token}) with a known sensor")
    if len(found) > MAX_CHANNELS:
        raise SourceError(f"scene {scene.name} has {len(found)} sensors, the limit is {MAX_CHANNELS}")
    if strangers:
        findings.append(f"sample_data: {strangers} rows name a sensor that the tables do not have, and are left out")
    findings += _precision(written_as_float, count) + _gps_names([shot for shots in found.values() for shot in shots])
    findings += _dangling(layout, found)
    return tuple(_channel(name, modality, shots, findings) for (name, modality), shots in sorted(found.items()))


def files_without_rows(layout: DatasetLayout, channels: Iterable[Channel]) -> list[str]:
    """Names of files that no channel names, relative to the root, sorted."""
    shots = [shot for channel in channels for shot in channel.rows]
    named_files = {shot.path for shot in shots}
    beside = {path for folder in {shot.path.parent for shot in shots} if folder.is_dir() for path in folder.iterdir()}
    return sorted(path.relative_to(layout.root).as_posix() for path in beside - named_files)


def _samples(layout: DatasetLayout, scene: NuscenesScene, findings: list[str]) -> set[str]:
    path = layout.table("sample")
    links: dict[str, tuple[object, object]] = {}
    for row in read_rows(path):
        if row.get("scene_token") == scene.token:
            links[text(row, "token", path)] = (row.get("prev"), row.get("next"))
    if not links:
        raise SourceError(f"{path} has no sample of scene {scene.name} ({scene.token})")
    if len(links) != scene.samples:
        findings.append(f"sample: scene {scene.name} should have {scene.samples} keyframes, {len(links)} are in the table")
    absent = [which for which in ("first", "last") if getattr(scene, f"{which}_sample_token") not in links]
    if absent:
        findings.append(f"scene: its {' and '.join(absent)} keyframe is not in the table sample")
    loose = sum(1 for pair in links.values() for link in pair if link and link not in links)
    if loose:
        findings.append(f"sample: {loose} links (prev, next) lead to rows that are not there")
    return set(links)


def _channel_names(layout: DatasetLayout) -> dict[str, tuple[str, str]]:
    """Channel and modality of each row of `calibrated_sensor`."""
    path = layout.table("sensor")
    sensors: dict[str, tuple[str, str]] = {}
    for row in read_rows(path):
        if row.get("modality") in MODALITIES:
            sensors[text(row, "token", path)] = (text(row, "channel", path), str(row["modality"]))
    path = layout.table("calibrated_sensor")
    return {
        text(row, "token", path): sensors[row["sensor_token"]] for row in read_rows(path) if row.get("sensor_token") in sensors
    }


def _shot(layout: DatasetLayout, row: Row) -> SampleData:
    table = layout.table("sample_data")
    return SampleData(
        token=text(row, "token", table),
        sample=text(row, "sample_token", table),
        stamp_ns=exact_ns(row.get("timestamp"), MICROSECONDS),
        path=layout.root / inside(text(row, "filename", table), table),
        is_keyframe=row.get("is_key_frame") is True,
        pose=text(row, "ego_pose_token", table),
        calibration=text(row, "calibrated_sensor_token", table),
        previous=str(row.get("prev") or ""),
        next=str(row.get("next") or ""),
        size_px=_size_px(row.get("width"), row.get("height")),
    )


def _size_px(width_px: object, height_px: object) -> tuple[int, int] | None:
    if isinstance(width_px, int) and isinstance(height_px, int) and width_px > 0 and height_px > 0:
        return width_px, height_px
    return None


def _channel(name: str, modality: str, rows: Sequence[SampleData], findings: list[str]) -> Channel:
    ordered = tuple(sorted(rows, key=lambda shot: (shot.stamp_ns, shot.token)))
    shots = tuple(shot for shot in ordered if shot.path.is_file())
    absent = [shot.path.name for shot in ordered if not shot.path.is_file()]
    if absent:
        findings.append(f"{name}: {len(absent)} of {len(ordered)} rows name a file that is not there: {named(absent)}")
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


def _dangling(layout: DatasetLayout, found: Mapping[tuple[str, str], Sequence[SampleData]]) -> list[str]:
    """Findings on links to rows that do not exist; the table is read again only if some links leave the scene."""
    here = {shot.token for shots in found.values() for shot in shots}
    links = [link for shots in found.values() for shot in shots for link in (shot.previous, shot.next) if link]
    outside = {link for link in links if link not in here}
    if not outside:
        return []
    elsewhere = {row["token"] for row in read_rows(layout.table("sample_data")) if row.get("token") in outside}
    loose = sum(link in outside and link not in elsewhere for link in links)
    others = sum(link in elsewhere for link in links)
    notes = [f"sample_data: {loose} of {len(links)} links (prev, next) lead to rows that are not there"] if loose else []
    return notes + ([f"sample_data: {others} links (prev, next) lead into another scene"] if others else [])
