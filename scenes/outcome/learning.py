"""Learn a vehicle's baseline from the statistics of earlier drives: medians over drives, each of which counts once.

Equal drives give equal bytes, whatever their order. A dead sensor teaches nothing: neither one that a rule found, nor one that
differs from the median of the others so much that it would fail against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lake.errors import LandingError
from lake.vehicle_baseline import (
    LEAST_DRIVES,
    BaselineStatistic,
    CalibrationHistory,
    LearnedFrom,
    SensorBaseline,
    VehicleBaseline,
)
from quality.evaluators.departure import COMPARISONS, departs
from quality.evaluators.signal_findings import LEAST_FRAMES
from quality.measurements.signal_statistics import FRAMES
from quality.rules.rulebook import DEFAULT_RULES
from scenes.documents import DriveStatistics, SensorStatistics
from sensors.calibration.result import CalibrationVerdict
from sensors.measure.baseline import Baseline
from sensors.rig import Modality

DEPARTURES = frozenset(one.code for comparisons in COMPARISONS.values() for one in comparisons)


@dataclass(frozen=True, slots=True)
class NotLearned:
    """A sensor of a drive that taught nothing, and why; without a drive: a sensor that was not learned at all."""

    drive_id: str | None
    sensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """A baseline, and what it was not learned from."""

    baseline: VehicleBaseline
    left_out: tuple[NotLearned, ...]


Entry = tuple[DriveStatistics, SensorStatistics]


def learn(vehicle_id: str, drives: Sequence[DriveStatistics], code_version: str, *, departed: bool = False) -> Lesson:
    """The baseline of a vehicle from drives of it, in any order; `departed`: also from sensors that departed from an earlier one.

    Raises:
        LandingError: No sensor was sound in at least `LEAST_DRIVES` of the drives.
    """
    ordered = sorted(drives, key=lambda drive: (drive.first_ns, drive.drive_id))
    left_out: list[NotLearned] = []
    sound: dict[str, list[Entry]] = {}
    for drive in ordered:
        for entry in drive.sensors:
            reason = _why_not(entry, departed=departed)
            if reason is None:
                sound.setdefault(entry.sensor, []).append((drive, entry))
            else:
                left_out.append(NotLearned(drive.drive_id, entry.sensor, reason))
    sensors = [_sensor(name, entries, left_out) for name, entries in sorted(sound.items())]
    learned = [one for one in sensors if one is not None]
    if not learned:
        raise LandingError(
            f"{vehicle_id}: {len(ordered)} drives are not enough: no sensor was sound in {LEAST_DRIVES} of them",
            "publish more drives; `scenelake vehicle baseline learn --json --dry-run` lists what was left out, and why",
        )
    used = {drive_id for _, drive_ids in learned for drive_id in drive_ids}
    sources = tuple(
        LearnedFrom(drive.drive_id, drive.revision, drive.provenance.code_version) for drive in ordered if drive.drive_id in used
    )
    baseline = VehicleBaseline(vehicle_id, code_version, sources, tuple(sensor for sensor, _ in learned))
    return Lesson(baseline, tuple(left_out))


def _why_not(entry: SensorStatistics, *, departed: bool) -> str | None:
    suspect = [code for code in entry.suspect if not (departed and code in DEPARTURES)]
    if suspect:
        return f"failed {', '.join(suspect)}"
    frames = entry.values.get(FRAMES, 0)
    if frames < LEAST_FRAMES:
        return f"{frames:.0f} frames were measured, fewer than {LEAST_FRAMES}"
    return None


def _sensor(name: str, entries: list[Entry], left_out: list[NotLearned]) -> tuple[SensorBaseline, frozenset[str]] | None:
    """One sensor, and the drives that it was learned from; oldest drive first."""
    modality = entries[-1][1].modality  # a sensor that was replaced by another kind begins anew
    kept = [entry for entry in entries if entry[1].modality == modality]
    if len(kept) >= LEAST_DRIVES:
        first = _baseline(name, modality, kept)
        alike = [one for one in kept if not departs(Modality(modality), one[1].values, first, DEFAULT_RULES)]
        odd = [drive.drive_id for drive, entry in kept if (drive, entry) not in alike]
        left_out += [NotLearned(drive_id, name, "differs from the other drives") for drive_id in odd]
        kept = alike
    if len(kept) < LEAST_DRIVES:
        left_out.append(NotLearned(None, name, f"{len(kept)} sound drives, fewer than {LEAST_DRIVES}"))
        return None
    return _baseline(name, modality, kept), frozenset(drive.drive_id for drive, _ in kept)


def _baseline(name: str, modality: str, entries: Sequence[Entry]) -> SensorBaseline:
    names = sorted(set.intersection(*({*entry.values} for _, entry in entries)))
    statistics = tuple(_statistic(one, [entry.values[one] for _, entry in entries]) for one in names)
    return SensorBaseline(name, modality, len(entries), statistics, _calibration(name, [drive for drive, _ in entries]))


def _statistic(name: str, values: Sequence[float]) -> BaselineStatistic:
    """`values`: oldest drive first."""
    array = np.asarray(values, dtype=np.float64)
    usual, half = Baseline.of(array), len(array) // 2
    assert usual is not None
    halves = (float(np.median(array[:half])), float(np.median(array[-half:])))
    return BaselineStatistic(name, usual.median, usual.spread, float(array.min()), float(array.max()), *halves)


def _calibration(sensor: str, drives: Sequence[DriveStatistics]) -> tuple[CalibrationHistory, ...]:
    found: dict[str, list[float | None]] = {}
    for drive in drives:
        for row in drive.calibration:
            if row.sensor == sensor:
                seen = row.verdict != CalibrationVerdict.NOT_OBSERVABLE.value
                found.setdefault(row.quantity, []).append(row.error if seen else None)
    return tuple(_history(quantity, errors) for quantity, errors in sorted(found.items()))


def _history(quantity: str, errors: Sequence[float | None]) -> CalibrationHistory:
    observed = np.asarray([error for error in errors if error is not None], dtype=np.float64)
    usual = Baseline.of(observed)
    return CalibrationHistory(
        quantity, len(errors), len(observed), None if usual is None else usual.median, None if usual is None else usual.spread
    )
