"""Per-sensor metrics of a drive, from its frame index."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.documents import Manifest
from quality.measurements.sensor_metrics import SensorMetrics, measured
from sensors.clocks.survey import ClockStream, survey
from sensors.rig import Modality, Rig
from sensors.stamps import recording_order


def sensor_metrics(index: pa.Table, rig: Rig | None, manifest: Manifest | None) -> tuple[SensorMetrics, ...]:
    """One row for every sensor that the rig, the manifest or the data names, by name.

    A sensor's modality is the recorded one; where several were recorded, one that differs from the rig's. `index` is in
    (sensor, stamp) order.
    """
    kinds = _modalities(index, rig, manifest)
    expected: dict[str, int] = {}
    for entry in manifest.objects if manifest else ():
        expected[entry.sensor] = expected.get(entry.sensor, 0) + entry.frame_count
    streams = {name: _stream(name, kinds[name], rows, rig) for name, rows in _rows(index, kinds).items()}
    clocks = survey([stream for stream in streams.values() if stream.stamps_ns.size], None if rig is None else rig.reference)
    return tuple(
        measured(name, kinds[name], clocks.sensors.get(name), rig, manifest, expected.get(name)) for name in sorted(kinds)
    )


def _rows(index: pa.Table, names: Mapping[str, str]) -> dict[str, pa.Table]:
    owners = pc.value_counts(index["sensor"])  # in the order of the rows
    counts = owners.field("counts").to_numpy()
    places = zip((np.cumsum(counts) - counts).tolist(), counts.tolist(), strict=True)
    found = dict(zip(owners.field("values").to_pylist(), places, strict=True))
    return {name: index.slice(*found.get(name, (0, 0))) for name in sorted(names)}


def _stream(name: str, modality: str, rows: pa.Table, rig: Rig | None) -> ClockStream:
    """A sensor's frames in recorded order: by log time, ties by position, or by position alone without log times. The index's
    stamp order would hide regressions.
    """
    stamps_ns, log_ns = rows["stamp_ns"].to_numpy(), rows["log_ns"].to_numpy()
    order = recording_order(log_ns)
    without_log_times = np.array_equal(stamps_ns, log_ns)
    if without_log_times or (np.diff(log_ns[order]) == 0).any():
        _, files = np.unique(rows["key"].to_numpy(), return_inverse=True)
        place = (rows["message_offset"].to_numpy(), rows["chunk_offset"].to_numpy(), files)
        order = np.lexsort(place if without_log_times else (*place, log_ns))
    sensor = rig[name] if rig is not None and name in rig else None
    return ClockStream(
        sensor=name,
        stamps_ns=stamps_ns[order],
        log_ns=log_ns[order],
        rate_hz=sensor.rate_hz if sensor else None,
        expected_delay_ns=sensor.sync.expected_delay_ns if sensor else None,
        delayed=Modality(modality).in_scene,
    )


def _modalities(index: pa.Table, rig: Rig | None, manifest: Manifest | None) -> dict[str, str]:
    """Modalities as recorded, not as the rig declares: otherwise a recording could never contradict the rig."""
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
