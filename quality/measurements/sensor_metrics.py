"""The inspection's measurements of one sensor over one drive, and their table.

Every value that could not be measured is None, never 0 and never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from lake.documents import Manifest
from lake.tables.schemas import NS, check_schema
from quality.errors import MetricsError
from sensors.clocks.clock import clock_report
from sensors.clocks.survey import SensorClock
from sensors.rig import Modality, Rig, Sensor

METRICS = pa.schema(
    [
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("required", pa.bool_(), nullable=False),
        pa.field("reference", pa.bool_(), nullable=False),
        pa.field("frames_expected", pa.int64()),  # null without a valid manifest
        pa.field("frames_read", pa.int64(), nullable=False),
        pa.field("frames_unusable", pa.int64(), nullable=False),  # in quarantined objects, or of a type that nobody can read
        pa.field("nominal_rate_hz", pa.float64()),  # null for a sensor that is not in the rig
        pa.field("measured_rate_hz", pa.float64()),
        pa.field("first_ns", NS),
        pa.field("last_ns", NS),
        pa.field("coverage", pa.float64()),  # share of the drive that the frames span, 0 to 1
        pa.field("max_gap_ns", NS),
        pa.field("gaps", pa.int64(), nullable=False),
        pa.field("duplicates", pa.int64(), nullable=False),
        pa.field("regressions", pa.int64(), nullable=False),
        pa.field("jitter_p95_ns", NS),
        pa.field("log_offset_p50_ns", NS),  # log time - stamp
        pa.field("unit_exponent", pa.int64(), nullable=False),  # stamps are 10**this times nanoseconds; 0 as far as is known
        pa.field("clock_steps", pa.int64(), nullable=False),
        pa.field("domain_offset_ns", NS, nullable=False),  # distance from the reference's clock domain; 0 inside it
        pa.field("drift_ppm", pa.float64()),  # against the reference's clock; null without log times or in short drives
        pa.field("drift_uncertainty_ppm", pa.float64()),
        pa.field("delay_ns", NS),  # null unless the sensor's frames keep one delay after the reference's
        pa.field("delay_uncertainty_ns", NS),
        pa.field("delay_error_ns", NS),  # delay_ns less the declared delay
        pa.field("stamps_off", pa.int64(), nullable=False),  # frames off the time line; all else is without them
        pa.field("stamps_late", pa.int64(), nullable=False),  # frames recorded after later ones
        pa.field("frames_lost", pa.int64(), nullable=False),  # that gaps have room for
        pa.field("log_pace", pa.float64()),  # how fast stamps pass against log times; null without any
        pa.field("ahead_ns", NS, nullable=False),  # stamps later than log times, where that tells the clock apart
        pa.field("set_by_ns", NS, nullable=False),  # the largest of the clock's steps; 0 without any
    ]
)

_NOT_NEGATIVE = (
    "frames_expected", "frames_read", "frames_unusable", "max_gap_ns", "gaps", "duplicates", "regressions", "jitter_p95_ns",
    "clock_steps", "drift_uncertainty_ppm", "delay_uncertainty_ns", "stamps_off", "stamps_late", "frames_lost", "ahead_ns",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SensorMetrics:
    """One sensor of one drive; `modality` is None where it is unknown, which the table does not allow. Defaults are those of a
    flawless clock, for values that were added later.

    Raises:
        MetricsError: A count is negative, a rate not positive and finite, a coverage outside 0 to 1, or the last stamp
            before the first.
    """

    sensor: str
    modality: str | None
    required: bool
    reference: bool
    frames_expected: int | None
    frames_read: int
    nominal_rate_hz: float | None
    measured_rate_hz: float | None
    first_ns: int | None
    last_ns: int | None
    coverage: float | None
    max_gap_ns: int | None
    gaps: int
    duplicates: int
    regressions: int
    jitter_p95_ns: int | None
    log_offset_p50_ns: int | None
    unit_exponent: int = 0
    clock_steps: int = 0
    domain_offset_ns: int = 0
    drift_ppm: float | None = None
    drift_uncertainty_ppm: float | None = None
    delay_ns: int | None = None
    delay_uncertainty_ns: int | None = None
    delay_error_ns: int | None = None
    frames_unusable: int = 0
    stamps_off: int = 0
    stamps_late: int = 0
    frames_lost: int = 0
    log_pace: float | None = None
    ahead_ns: int = 0
    set_by_ns: int = 0

    def __post_init__(self) -> None:
        if self.modality is not None:
            Modality(self.modality)
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise MetricsError(f"sensor {self.sensor}: {name} is {value}, less than 0")
        for name in ("nominal_rate_hz", "measured_rate_hz"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise MetricsError(f"sensor {self.sensor}: {name} is {value}; give None for a rate that is not known")
        for name in ("drift_ppm", "drift_uncertainty_ppm"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise MetricsError(f"sensor {self.sensor}: {name} is {value}; give None for a drift that is not known")
        if self.coverage is not None and not 0 <= self.coverage <= 1:
            raise MetricsError(f"sensor {self.sensor}: coverage is {self.coverage}, outside 0 to 1")
        if self.first_ns is not None and self.last_ns is not None and self.last_ns < self.first_ns:
            raise MetricsError(f"sensor {self.sensor}: last_ns {self.last_ns} is before first_ns {self.first_ns}")

    @property
    def in_scene(self) -> bool:
        """Whether scenes hold the sensor's frames."""
        return self.modality is not None and Modality(self.modality).in_scene

    @staticmethod
    def silent(sensor: Sensor, rig: Rig, frames_expected: int | None = None) -> SensorMetrics:
        """The metrics of a sensor of the rig that has no frames."""
        return measured(sensor.name, sensor.modality.value, None, rig, frames_expected=frames_expected)


def coverage(first_ns: int, last_ns: int, period_ns: int, start_ns: int, end_ns: int) -> float | None:
    """The share of `[start_ns, end_ns]` that frames from `first_ns` to `last_ns` span, 0 to 1.

    Each frame stands for one period, half before and half after its stamp, cut at the drive's ends. None if the drive has
    no length.
    """
    if end_ns <= start_ns:
        return None
    from_ns = max(first_ns - period_ns // 2, start_ns)
    to_ns = min(last_ns + period_ns - period_ns // 2, end_ns)
    return max(to_ns - from_ns, 0) / (end_ns - start_ns)


def metrics_table(metrics: Sequence[SensorMetrics]) -> pa.Table:
    """The metrics as rows of `METRICS`, sorted by sensor.

    Raises:
        MetricsError: A sensor is duplicated.
    """
    names = [entry.sensor for entry in metrics]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise MetricsError(f"sensor measured twice: {', '.join(doubled)}")
    rows = [asdict(entry) for entry in sorted(metrics, key=lambda entry: entry.sensor)]
    return pa.Table.from_pylist(rows, schema=METRICS)


def read_metrics(table: pa.Table) -> tuple[SensorMetrics, ...]:
    """Read a table that `metrics_table` wrote, sorted by sensor.

    Raises:
        TableError: The table does not have the schema `METRICS`.
        MetricsError: A row holds an impossible value.
    """
    check_schema(table.schema, METRICS, "sensor metrics")
    names = [field.name for field in fields(SensorMetrics)]
    rows = table.select(names).to_pylist()
    return tuple(sorted((SensorMetrics(**row) for row in rows), key=lambda entry: entry.sensor))


def measured(
    name: str,
    modality: str | None,
    found: SensorClock | None,
    rig: Rig | None,
    manifest: Manifest | None = None,
    frames_expected: int | None = None,
    frames_unusable: int = 0,
) -> SensorMetrics:
    """The metrics of sensor `name`, recorded as `modality` (None: unknown); `found` is None for a sensor without frames."""
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
        frames_unusable=frames_unusable,
        nominal_rate_hz=sensor.rate_hz if sensor else None,
        coverage=covered,
        **{name: value for name, value in asdict(clock).items() if name in SensorMetrics.__dataclass_fields__},
        frames_lost=clock.lost,
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
        "stamps_off": found.stamps_off,
        "stamps_late": found.stamps_late,
        "log_pace": found.log_pace,
        "ahead_ns": found.ahead_ns,
        "set_by_ns": max((step.shift_ns for step in found.steps.first), key=abs, default=0),
    }
