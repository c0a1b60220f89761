"""Sensor metrics from what a survey of the clocks found."""

from __future__ import annotations

from typing import Any

from lake.documents import Manifest
from quality.measurements.metrics import SensorMetrics, coverage
from sensors.clocks.clock import clock_report
from sensors.clocks.survey import SensorClock
from sensors.rig import Rig


def measured(
    name: str,
    modality: str | None,
    found: SensorClock | None,
    rig: Rig | None,
    manifest: Manifest | None = None,
    frames_expected: int | None = None,
) -> SensorMetrics:
    """The metrics of sensor `name`, recorded as `modality` (None: unknown); `found` is None for a sensor that left no frame."""
    sensor = rig[name] if rig is not None and name in rig else None
    clock = found.report if found else clock_report([], [], None)
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
        frames_expected=frames_expected,
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
        **(_clock_values(found) if found else {}),
    )


def _clock_values(found: SensorClock) -> dict[str, Any]:
    return {
        "unit_exponent": found.unit.exponent if found.unit else 0,
        "clock_steps": found.steps.count,
        "domain_offset_ns": found.domain_offset_ns,
        "drift_ppm": found.drift_ppm,
        "drift_uncertainty_ppm": found.drift_uncertainty_ppm,
        "delay_ns": found.delay.delay_ns if found.delay else None,
        "delay_uncertainty_ns": found.delay.uncertainty_ns if found.delay else None,
        "delay_error_ns": found.delay_error_ns,
    }
