"""Per-sensor metrics of a drive, from its frame index."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lake.documents import Manifest
from quality.metrics import SensorMetrics, coverage
from sensors.clock import clock_report
from sensors.rig import Rig


def sensor_metrics(index: pa.Table, rig: Rig | None, manifest: Manifest | None) -> tuple[SensorMetrics, ...]:
    """One row for every sensor that the rig, the manifest or the data names, by name.

    A sensor's modality is the one that it was recorded as; where it was recorded as several, one that is not the rig's.
    `index` is in (sensor, stamp) order.
    """
    kinds = _modalities(index, rig, manifest)
    expected: dict[str, int] = {}
    for entry in manifest.objects if manifest else ():
        expected[entry.sensor] = expected.get(entry.sensor, 0) + entry.frame_count
    owners = index["sensor"].to_numpy()
    stamps_ns, log_ns = index["stamp_ns"].to_numpy(), index["log_ns"].to_numpy()
    names, starts, counts = np.unique(owners, return_index=True, return_counts=True)
    of_sensor = {name: slice(start, start + count) for name, start, count in zip(names, starts, counts, strict=True)}
    nothing = slice(0, 0)
    return tuple(
        _metrics(
            name,
            kinds[name],
            stamps_ns[of_sensor.get(name, nothing)],
            log_ns[of_sensor.get(name, nothing)],
            rig,
            manifest,
            expected.get(name),
        )
        for name in sorted(kinds)
    )


def _modalities(index: pa.Table, rig: Rig | None, manifest: Manifest | None) -> dict[str, str]:
    """So that a recording that contradicts the rig is seen: were the rig's word taken, nothing could."""
    declared = {} if rig is None else {sensor.name: sensor.modality.value for sensor in rig.sensors}
    recorded: dict[str, set[str]] = {}
    pairs = {(row["sensor"], row["modality"]) for row in index.group_by(["sensor", "modality"]).aggregate([]).to_pylist()}
    pairs |= {(entry.sensor, entry.modality) for entry in (manifest.objects if manifest else ())}
    for name, modality in pairs:
        recorded.setdefault(name, set()).add(modality)
    kinds = dict(declared)
    for name, modalities in recorded.items():
        kinds[name] = min(modalities - {declared.get(name)} or modalities)
    return kinds


def _metrics(
    name: str,
    modality: str,
    stamps_ns: np.ndarray[tuple[int], np.dtype[np.int64]],
    log_ns: np.ndarray[tuple[int], np.dtype[np.int64]],
    rig: Rig | None,
    manifest: Manifest | None,
    expected: int | None,
) -> SensorMetrics:
    sensor = rig[name] if rig is not None and name in rig else None
    order = np.argsort(log_ns, kind="stable")  # as recorded: the index is in stamp order, which hides regressions
    clock = clock_report(stamps_ns[order], log_ns[order], sensor.rate_hz if sensor else None)
    covered = None
    if manifest is not None and sensor is not None and clock.first_ns is not None and clock.last_ns is not None:
        covered = coverage(clock.first_ns, clock.last_ns, sensor.period_ns, manifest.start_ns, manifest.end_ns)
    elif clock.frames == 0:
        covered = 0.0
    return SensorMetrics(
        sensor=name,
        modality=modality,
        required=sensor is not None and sensor.sync.required,
        reference=rig is not None and name == rig.reference,
        frames_expected=expected,
        frames_read=clock.frames,
        nominal_rate_hz=sensor.rate_hz if sensor else None,
        measured_rate_hz=clock.measured_rate_hz,
        first_ns=clock.first_ns,
        last_ns=clock.last_ns,
        coverage=covered,
        max_gap_ns=clock.max_gap_ns,
        gaps=clock.gaps,
        duplicates=clock.duplicates,
        regressions=clock.regressions,
        jitter_p95_ns=clock.jitter_p95_ns,
        log_offset_p50_ns=clock.log_offset_p50_ns,
    )
