"""All drives together, as few numbers as can be labelled: never one a drive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ops.metrics.drive_facts import Amount, DriveFacts
from quality.measurements.residuals import in_tolerances
from quality.rules.catalogue import RULES
from quality.rules.rule import Outcome
from sensors.stamps import Nanoseconds, percentile

MAX_SENSORS = 64  # names come from vehicles: a fleet has tens, a mistake may have any number
OTHER = "(other)"
_CODES = frozenset(rule.code for rule in RULES)


@dataclass(frozen=True, slots=True)
class ResidualSizes:
    """Sizes of a sensor's residuals, nearest percentile, in ns. `tolerances`: the largest in units of its drive's tolerance, None
    where no rig states one; infinite where one of 0 is exceeded."""

    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int
    tolerances: float | None


@dataclass(frozen=True, slots=True)
class LakeSummary:
    """The lake, and of its newest `recent_drives` drives what tells of now; keys as in `DriveFacts`.

    `rules`: drives by (rule, outcome); `checks`: drives by (check, whether it holds). `publications` and
    `published_scenes` count everything that was ever committed.
    """

    publications: int
    published_scenes: int
    objects: Mapping[str, Amount]
    frames: Mapping[tuple[str, str, str], int]
    scenes: int
    records: Mapping[tuple[str, str], int]
    checks: Mapping[tuple[str, bool], int]
    unbalanced_drives: int
    recent_drives: int
    recent_frames: Mapping[tuple[str, str, str], int]
    rules: Mapping[tuple[str, Outcome], int]
    residuals: Mapping[str, ResidualSizes]


def summarise(
    drives: Collection[DriveFacts],
    recent: Sequence[DriveFacts],
    refused: Amount,
    publications: int,
    published_scenes: int,
) -> LakeSummary:
    """Add everything up.

    Args:
        drives: Of every drive.
        recent: Of the newest ones, read whole; they are among `drives`.
        refused: Objects that belong to no drive.
        publications: Commits of drives so far.
        published_scenes: Scenes that they added.
    """
    objects = {"refused": refused}
    records: Counter[tuple[str, str]] = Counter()
    checks: Counter[tuple[str, bool]] = Counter()
    for drive in drives:
        for state, amount in drive.objects.items():
            objects[state] = objects.get(state, Amount()) + amount
        for (code, level), count in drive.records.items():
            records[_known(code), level] += count
        checks.update(drive.checks.items())
    return LakeSummary(
        publications=publications,
        published_scenes=published_scenes,
        objects=objects,
        frames=_frames(drives),
        scenes=sum(drive.scenes for drive in drives),
        records=dict(records),
        checks=dict(checks),
        unbalanced_drives=sum(not drive.balanced for drive in drives),
        recent_drives=len(recent),
        recent_frames=_frames(recent),
        rules=dict(Counter((_known(code), outcome) for drive in recent for code, outcome in drive.outcomes.items())),
        residuals=_residuals(recent),
    )


def _known(code: str) -> str:
    return code if code in _CODES else OTHER


def _frames(drives: Collection[DriveFacts]) -> dict[tuple[str, str, str], int]:
    """Frames of the sensors that have most; those of all further ones under one name."""
    found: Counter[tuple[str, str, str]] = Counter()
    by_sensor: Counter[str] = Counter()
    for drive in drives:
        for key, count in drive.frames.items():
            found[key] += count
            by_sensor[key[0]] += count
    named = _named(by_sensor)
    bounded: Counter[tuple[str, str, str]] = Counter()
    for (sensor, modality, fate), count in found.items():
        bounded[sensor if sensor in named else OTHER, modality, fate] += count
    return dict(bounded)


def _named(by_sensor: Mapping[str, int]) -> frozenset[str]:
    ordered = sorted(by_sensor, key=lambda sensor: (-by_sensor[sensor], sensor))
    return frozenset(ordered[:MAX_SENSORS])


def _residuals(drives: Sequence[DriveFacts]) -> dict[str, ResidualSizes]:
    sizes: dict[str, list[Nanoseconds]] = {}
    excess: dict[str, list[float]] = {}
    matches = Counter({sensor: 0 for drive in drives for sensor in drive.residuals_ns})
    for drive in drives:
        for sensor, values in drive.residuals_ns.items():
            matches[sensor] += len(values)
    named = _named(matches)
    for drive in drives:
        for sensor, values in drive.residuals_ns.items():
            label = sensor if sensor in named else OTHER
            sizes.setdefault(label, []).append(values)
            if sensor in drive.tolerances_ns:
                excess.setdefault(label, []).append(in_tolerances(int(values[-1]), drive.tolerances_ns[sensor]))
    return {sensor: _sizes(np.sort(np.concatenate(many)), excess.get(sensor)) for sensor, many in sorted(sizes.items())}


def _sizes(ascending: Nanoseconds, excess: list[float] | None) -> ResidualSizes:
    return ResidualSizes(
        percentile(ascending, 50),
        percentile(ascending, 95),
        percentile(ascending, 99),
        int(ascending[-1]),
        max(excess) if excess else None,
    )
