"""What a published drive says of its vehicle's sensors, and of which of them a baseline may be learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from lake.drive_input import DriveInput
from quality.measurements.sensor_metrics import SensorMetrics
from quality.measurements.signal_statistics import FRAMES, RATE
from quality.rules.catalogue import Level, Outcome, rule
from quality.rules.findings import Finding
from scenes.documents import CalibrationRow, DriveStatistics, Inspection, SensorStatistics
from scenes.outcome.fates import Built
from sensors.rig import Rig

FEW = 0.05  # share of the scenes in which a finding on single frames, or a missing frame, says nothing about the sensor
_MISSING = "SYN001"
_NO_FAULT_OF_A_SENSOR = frozenset({"CAL011"})  # a parking garage shows little of a calibration


def drive_statistics(
    drive_input: DriveInput,
    rig: Rig,
    inspection: Inspection,
    built: Built,
    metrics: Iterable[SensorMetrics],
    signals: Mapping[str, Mapping[str, float]],
    findings: Sequence[Finding],
    calibration: pa.Table,
) -> DriveStatistics:
    """The statistics of a drive that is to be published.

    Args:
        drive_input: Its pinned input.
        rig: Its rig; sensors that are not in it are left out.
        inspection: What was found in its objects.
        built: Its scenes.
        metrics: The inspection's measurements.
        signals: The statistics of each sensor's signals, by name.
        findings: All findings on the drive.
        calibration: Rows of `quality.tables.calibration.CALIBRATION_CHECKS`.
    """
    measured = {entry.sensor: entry for entry in metrics}
    suspects = _suspects(inspection, built, findings)
    sensors = []
    for sensor in sorted(rig.sensors, key=lambda sensor: sensor.name):
        found = measured.get(sensor.name)
        values = dict(signals.get(sensor.name, {}))
        if found is not None and found.measured_rate_hz is not None:
            values[RATE] = found.measured_rate_hz
        if found is not None and not sensor.modality.in_scene:
            values[FRAMES] = float(found.frames_read)
        suspect = tuple(sorted(suspects.get(sensor.name, set())))
        sensors.append(SensorStatistics(sensor=sensor.name, modality=sensor.modality.value, values=values, suspect=suspect))
    starts = [entry.first_ns for entry in measured.values() if entry.first_ns is not None]
    return DriveStatistics(
        vehicle_id=drive_input.drive.vehicle_id,
        drive_id=drive_input.drive.drive_id,
        revision=drive_input.revision,
        first_ns=min((scene.anchor_ns for scene in built.scenes), default=min(starts, default=0)),
        baseline=drive_input.baseline.sha256 if drive_input.baseline else None,
        provenance=inspection.provenance,
        sensors=tuple(sensors),
        calibration=tuple(CalibrationRow(**row) for row in calibration.to_pylist()),
    )


def _suspects(inspection: Inspection, built: Built, findings: Sequence[Finding]) -> dict[str, set[str]]:
    """By sensor, the rules that it failed as a whole, with an object, or in more than a few scenes."""
    suspects: dict[str, set[str]] = {}
    for found in findings:
        if found.sensor is not None and found.outcome is Outcome.FAILED and found.rule_id not in _NO_FAULT_OF_A_SENSOR:
            suspects.setdefault(found.sensor, set()).add(found.rule_id)
    for key, report in inspection.objects.items():
        codes = {found.rule_id for found in inspection.object_findings.get(key, ()) if found.outcome is Outcome.FAILED}
        suspects.setdefault(report.sensor, set()).update(codes)
    for (sensor, code), scenes in _scenes_with(inspection, built).items():
        if scenes > FEW * max(len(built.scenes), 1):
            suspects.setdefault(sensor, set()).add(code)
    return suspects


def _scenes_with(inspection: Inspection, built: Built) -> Counter[tuple[str, str]]:
    """In how many scenes a sensor failed a rule on frames, or was missing; a frame that is in none counts as one."""
    counted: Counter[tuple[str, str]] = Counter()
    for scene in built.scenes:
        counted.update((name, _MISSING) for name in scene.missing)
        on_frames = {(found.sensor, found.rule_id) for found in scene.findings if _on_frame(found)}
        counted.update((sensor, code) for sensor, code in on_frames if sensor is not None)
    for frame in built.quarantined_frames:
        counted.update({(frame.sensor, found.rule_id) for found in frame.findings if _on_frame(found)})
    counted.update((found.sensor, found.rule_id) for found in inspection.frame_findings if found.sensor is not None)
    return counted


def _on_frame(found: Finding) -> bool:
    return found.outcome is Outcome.FAILED and rule(found.rule_id).level is Level.OBJECT
