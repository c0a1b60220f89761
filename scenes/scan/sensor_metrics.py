"""Per-sensor metrics of a drive, from its frame index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lake.documents import Manifest
from lake.landing import SensorKey
from quality.measurements.rule_measures import MEASURES, Bounds
from quality.measurements.sensor_metrics import SensorMetrics, measured
from quality.rules.catalogue import Outcome
from quality.rules.rulebook import RuleBook, rules_of
from scenes.left_out import LeftOut, Why
from sensors.clocks.survey import ClockStream, FrameClocks, survey
from sensors.rig import Modality, Rig
from sensors.stamps import recording_order
from sensors.time_units import NS_PER_S

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DriveClocks:
    """The metrics of every sensor that the rig, the manifest or the data names, by name; the frames that no scene may hold."""

    metrics: tuple[SensorMetrics, ...]
    left_out: LeftOut


def sensor_metrics(index: pa.Table, rig: Rig | None, manifest: Manifest | None) -> tuple[SensorMetrics, ...]:
    """The metrics of `drive_clocks`."""
    return drive_clocks(index, rig, manifest).metrics


def drive_clocks(
    index: pa.Table,
    rig: Rig | None,
    manifest: Manifest | None,
    sound: npt.NDArray[np.bool_] | None = None,
    landed: Iterable[SensorKey] = (),
) -> DriveClocks:
    """Measure the clocks of a drive's sensors; `index` is in (sensor, stamp) order.

    `sound` (N,) is whether a frame can be read and its object is not quarantined; None: all are. `landed`: the objects, whose
    sensors may have no frame.

    A sensor's modality is the recorded one; where several were recorded, one that differs from the rig's.
    """
    kinds = {key.sensor: key.modality for key in landed} | _modalities(index, rig, manifest)
    expected: dict[str, int] = {}
    for entry in manifest.objects if manifest else ():
        expected[entry.sensor] = expected.get(entry.sensor, 0) + entry.frame_count
    rows = _rows(index, kinds)
    orders = {name: as_recorded(table) for name, table in rows.items() if len(table)}
    streams = [_stream(name, kinds[name], rows[name], order, rig) for name, order in orders.items()]
    rules, bounds = rules_of(rig), Bounds.of(manifest, rig)
    clocks = survey(streams, None if rig is None else rig.reference, _within(bounds, rules))
    unusable = Counter(() if sound is None else index["sensor"].filter(pa.array(~sound)).to_pylist())
    metrics = tuple(
        measured(name, kinds[name], clocks.sensors.get(name), rig, manifest, expected.get(name), unusable[name])
        for name in sorted(kinds)
    )
    parts = [
        part
        for entry in metrics
        if entry.sensor in orders and rig is not None and entry.sensor in rig
        for part in _left_out(entry, clocks.frames[entry.sensor], rules, rows[entry.sensor], orders[entry.sensor])
    ]
    return DriveClocks(metrics, LeftOut.from_parts(parts))


def _within(bounds: Bounds, rules: RuleBook) -> tuple[int, int]:
    """Stamps beyond what CLK005 allows do not fit, where they are few."""
    start_ns, end_ns = bounds.span_ns
    leeway_ns = round((rules["CLK005"].threshold or 0) * NS_PER_S)
    return start_ns - leeway_ns, end_ns + leeway_ns


def _left_out(
    entry: SensorMetrics, frames: FrameClocks, rules: RuleBook, rows: pa.Table, order: Ints
) -> Iterator[tuple[Ints, Why, Ints]]:
    """Where the rig's limits let a clock pass, its frames stay."""
    frame_ids, off = rows["frame_id"].to_numpy()[order], frames.line.off
    yield frame_ids[off], Why.OFF_LINE, frames.line.off_ns[off]
    apart = _fails("CLK007", entry, rules)
    why, others = (Why.OTHER_CLOCK, ~off) if apart else (Why.CLOCK_SET, (frames.setting_ns != 0) & ~off)
    if apart or _fails("CLK008", entry, rules):
        yield frame_ids[others], why, entry.domain_offset_ns + frames.setting_ns[others]


def _fails(code: str, entry: SensorMetrics, rules: RuleBook) -> bool:
    measure = next(measure for measure in MEASURES if measure.code == code)
    return rules.judge(code, measure.value(entry, None)) is not Outcome.PASSED


def _rows(index: pa.Table, names: Mapping[str, str]) -> dict[str, pa.Table]:
    owners = pc.value_counts(index["sensor"])  # in the order of the rows
    counts = owners.field("counts").to_numpy()
    places = zip((np.cumsum(counts) - counts).tolist(), counts.tolist(), strict=True)
    found = dict(zip(owners.field("values").to_pylist(), places, strict=True))
    return {name: index.slice(*found.get(name, (0, 0))) for name in sorted(names)}


def as_recorded(rows: pa.Table) -> Ints:
    """The order in which a sensor's frames (N,) were recorded: by log time, ties by position, or by position alone without log
    times. The index's stamp order would hide regressions."""
    stamps_ns, log_ns = rows["stamp_ns"].to_numpy(), rows["log_ns"].to_numpy()
    order = recording_order(log_ns)
    without_log_times = np.array_equal(stamps_ns, log_ns)
    if without_log_times or (np.diff(log_ns[order]) == 0).any():
        _, files = np.unique(rows["key"].to_numpy(), return_inverse=True)
        place = (rows["message_offset"].to_numpy(), rows["chunk_offset"].to_numpy(), files)
        return np.lexsort(place if without_log_times else (*place, log_ns))
    return order


def _stream(name: str, modality: str, rows: pa.Table, order: Ints, rig: Rig | None) -> ClockStream:
    stamps_ns, log_ns = rows["stamp_ns"].to_numpy(), rows["log_ns"].to_numpy()
    sensor = rig[name] if rig is not None and name in rig else None
    return ClockStream(
        sensor=name,
        stamps_ns=stamps_ns[order],
        log_ns=log_ns[order],
        rate_hz=sensor.rate_hz if sensor else None,
        expected_delay_ns=sensor.sync.expected_delay_ns if sensor else None,
        delayed=Modality(modality).in_scene,
        measures_ns=sensor.measures_ns if sensor else 0,
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
