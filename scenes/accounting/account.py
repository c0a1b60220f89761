"""The accounting of a drive (promise P1): the fate of every frame, sensor by sensor."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake.tables.schemas import FATES, GOLD, QUARANTINED, UNMATCHED
from quality.measurements.residuals import Residuals
from sensors.stamps import Nanoseconds

SCENE_MODALITIES = ("lidar", "camera", "radar")
_ORDER = (*SCENE_MODALITIES, "pose", "imu", "gnss")


@dataclass(frozen=True, slots=True)
class Frames:
    """The number of frames of one sensor in one drive revision that had one fate for one reason."""

    drive: str
    revision: str
    sensor: str
    modality: str
    fate: str
    reason: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """One sensor's line of the accounting; `lost` frames have no known fate or no reason for it."""

    drive: str
    revision: str
    sensor: str
    modality: str
    read: int
    gold: int
    quarantined: int
    unmatched: int
    lost: int
    reasons: tuple[tuple[str, int], ...]
    residuals: Residuals | None

    @property
    def in_scene(self) -> bool:
        """Whether scenes store the sensor's frames; pose, IMU and GNSS only support them."""
        return self.modality in SCENE_MODALITIES

    @property
    def balanced(self) -> bool:
        """Whether every frame read is accounted for."""
        return self.lost == 0 and self.read == self.gold + self.quarantined + self.unmatched


def account(frames: Iterable[Frames], residuals_ns: Mapping[tuple[str, str], Nanoseconds]) -> tuple[Line, ...]:
    """One line for each drive revision and sensor, ordered by drive, then as a rig is read: lidar, camera, radar, others.

    Args:
        frames: Counts from `gold.frames`.
        residuals_ns: Signed residuals of the matches in `gold.scenes`, by (drive, sensor).
    """
    groups: dict[tuple[str, str, str, str], list[Frames]] = defaultdict(list)
    for entry in frames:
        groups[entry.drive, entry.revision, entry.modality, entry.sensor].append(entry)
    lines = [_line(entries, residuals_ns.get((key[0], key[3]))) for key, entries in groups.items()]
    return tuple(sorted(lines, key=lambda line: (line.drive, line.revision, _rank(line.modality), line.sensor)))


def _line(entries: list[Frames], residuals_ns: Nanoseconds | None) -> Line:
    first = entries[0]
    by_fate: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    lost = 0
    for entry in entries:
        by_fate[entry.fate] += entry.count
        if entry.fate not in FATES or (entry.fate != GOLD and not entry.reason):
            lost += entry.count
        elif entry.fate != GOLD:
            reasons[str(entry.reason)] += entry.count
    return Line(
        drive=first.drive,
        revision=first.revision,
        sensor=first.sensor,
        modality=first.modality,
        read=by_fate.total(),
        gold=by_fate[GOLD],
        quarantined=by_fate[QUARANTINED],
        unmatched=by_fate[UNMATCHED],
        lost=lost,
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        residuals=None if residuals_ns is None else Residuals.of(residuals_ns),
    )


def why(line: Line) -> str:
    """The reasons of a line with their counts, as text."""
    parts = [f"{reason} ×{count}" for reason, count in line.reasons]
    if line.lost:
        parts.append(f"no reason given ×{line.lost}")
    return ", ".join(parts)


def _rank(modality: str) -> int:
    return _ORDER.index(modality) if modality in _ORDER else len(_ORDER)
