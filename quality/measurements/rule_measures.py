"""The values that the per-sensor drive rules judge, each defined once.

`drive_rules` compares them before a drive is built, and the Great Expectations suite compares the same columns afterwards:
one definition, two consumers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from lake.documents import Manifest
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import Severity
from sensors.clocks.domains import difference_name, rolled_over
from sensors.rig import Rig, TimeBase
from sensors.stamps import MAX_STAMP_NS, PLAUSIBLE_END_NS, PLAUSIBLE_START_NS, date_of
from sensors.time_units import NS_PER_MS, NS_PER_S

MIN_FRAMES_FOR_A_RATE = 2
LATE_NS = 10 * NS_PER_S  # no transport takes so long, so the difference may have a name


class Scope(StrEnum):
    """The sensors for which a rule is an error; for the others it is a warning."""

    NONE = "none"
    REFERENCE = "reference"
    REQUIRED = "required"  # and the reference

    def severity(self, metrics: SensorMetrics) -> Severity:
        """Error inside the scope, warning outside."""
        inside = metrics.reference if self is Scope.REFERENCE else metrics.reference or metrics.required
        return Severity.ERROR if inside and self is not Scope.NONE else Severity.WARNING


@dataclass(frozen=True, slots=True)
class Bounds:
    """Start and end of a drive, as declared by its manifest; None without one. `utc`: whether its stamps must be dates."""

    start_ns: int | None
    end_ns: int | None
    utc: bool = True

    @classmethod
    def of(cls, manifest: Manifest | None, rig: Rig | None) -> Self:
        """The bounds of a drive."""
        utc = rig is None or rig.time_base is TimeBase.UTC
        return cls(None, None, utc) if manifest is None else cls(manifest.start_ns, manifest.end_ns, utc)

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last stamp that a drive can have; without a manifest all dates."""
        start_ns, end_ns = (PLAUSIBLE_START_NS, PLAUSIBLE_END_NS) if self.utc else (-MAX_STAMP_NS, MAX_STAMP_NS)
        if self.start_ns is None or self.end_ns is None:
            return start_ns, end_ns
        start_ns = min(max(start_ns, self.start_ns), end_ns)
        return start_ns, max(start_ns, min(end_ns, self.end_ns))


@dataclass(frozen=True, slots=True)
class Measure:
    """The value that rule `code` judges, in the rule's unit; the value None is unknown.

    `silent`: whether a sensor without frames is judged too. `only_scope`: whether sensors outside the scope are left alone
    instead of warned about. `unknown_warns`: whether an unknown value is a warning inside the scope, too. `message` is the
    finding's message, with the fields `sensor`, `measured` and `threshold`; `because` gives the reason where one is known.
    """

    code: str
    column: str
    scope: Scope
    value: Callable[[SensorMetrics, Bounds | None], float | None]
    message: str
    silent: bool = False
    only_scope: bool = False
    unknown_warns: bool = False
    because: Callable[[SensorMetrics, Bounds | None], str | None] = lambda _, __: None

    def applies(self, metrics: SensorMetrics) -> bool:
        """Whether the rule is judged for this sensor."""
        in_scope = not self.only_scope or self.scope.severity(metrics) is Severity.ERROR
        return in_scope and (self.silent or metrics.frames_read > 0)


def _unusable(metrics: SensorMetrics, _: Bounds | None) -> str | None:
    return f"all {metrics.frames_read} are in quarantined objects or cannot be read" if metrics.frames_read else None


def _coverage(metrics: SensorMetrics, _: Bounds | None) -> float | None:
    return metrics.coverage if metrics.frames_read else 0.0


def _rate_deviation(metrics: SensorMetrics, _: Bounds | None) -> float | None:
    if metrics.nominal_rate_hz is None or metrics.measured_rate_hz is None or metrics.frames_read < MIN_FRAMES_FOR_A_RATE:
        return None
    return abs(metrics.measured_rate_hz / metrics.nominal_rate_hz - 1)


def _gap_periods(metrics: SensorMetrics, _: Bounds | None) -> float | None:
    if metrics.nominal_rate_hz is None or metrics.max_gap_ns is None or metrics.frames_read < MIN_FRAMES_FOR_A_RATE:
        return None
    return metrics.max_gap_ns * metrics.nominal_rate_hz / NS_PER_S


def _lost_share(metrics: SensorMetrics, _: Bounds | None) -> float | None:
    stamps = metrics.frames_read - metrics.stamps_off - metrics.duplicates
    if metrics.nominal_rate_hz is None or metrics.measured_rate_hz is None or stamps < MIN_FRAMES_FOR_A_RATE:
        return None
    return metrics.frames_lost / (stamps + metrics.frames_lost)


def _outside_s(metrics: SensorMetrics, bounds: Bounds | None) -> float | None:
    if metrics.first_ns is None or metrics.last_ns is None or bounds is None:
        return None
    start_ns, end_ns = bounds.span_ns
    lag_ns = metrics.log_offset_p50_ns or 0
    # A whole rig that lost the week agrees with itself and with its manifest, and only log times show it.
    weeks_ns = abs(lag_ns) if bounds.utc and rolled_over(lag_ns) else 0
    outside_ns = max(start_ns - metrics.first_ns, metrics.last_ns - end_ns, weeks_ns, 0)
    return None if bounds.start_ns is None and outside_ns == 0 else outside_ns / NS_PER_S


def _why_outside(metrics: SensorMetrics, bounds: Bounds | None) -> str | None:
    if bounds is None or not bounds.utc or metrics.first_ns is None:
        return None
    lag_ns = metrics.log_offset_p50_ns or 0
    reason = difference_name(lag_ns) if abs(lag_ns) > LATE_NS else None
    if reason is not None:
        return f"the difference from their log times is known: {reason}"
    if metrics.first_ns >= PLAUSIBLE_START_NS:
        return None
    return (
        f"they begin at {date_of(metrics.first_ns)}, before the year 2000; a rig whose clocks count from another epoch says "
        "`time_base: other`"
    )


def _off_share(metrics: SensorMetrics, _: Bounds | None) -> float:
    return metrics.stamps_off / metrics.frames_read if metrics.frames_read else 0.0


def _other_pace(metrics: SensorMetrics, _: Bounds | None) -> float:
    # A wrong unit makes another pace too; one fault is one finding.
    if metrics.unit_exponent or metrics.log_pace is None or metrics.log_pace <= 0:
        return 1.0
    return max(metrics.log_pace, 1 / metrics.log_pace)


def _why_set(metrics: SensorMetrics, _: Bounds | None) -> str | None:
    return difference_name(metrics.set_by_ns)


def _why_apart(metrics: SensorMetrics, _: Bounds | None) -> str | None:
    return difference_name(metrics.domain_offset_ns)


def _domain_s(metrics: SensorMetrics, _: Bounds | None) -> float:
    # A wrong unit also makes a wrong date; one fault is one finding.
    return 0.0 if metrics.unit_exponent else abs(metrics.domain_offset_ns) / NS_PER_S


def _proven_drift_ppm(metrics: SensorMetrics, _: Bounds | None) -> float:
    return 0.0 if metrics.drift_ppm is None else max(abs(metrics.drift_ppm) - (metrics.drift_uncertainty_ppm or 0.0), 0.0)


def _proven_delay_error_ms(metrics: SensorMetrics, _: Bounds | None) -> float:
    if metrics.delay_error_ns is None:
        return 0.0
    return max(abs(metrics.delay_error_ns) - (metrics.delay_uncertainty_ns or 0), 0) / NS_PER_MS


MEASURES: tuple[Measure, ...] = (
    Measure("CMP003", "frames_present", Scope.REQUIRED, lambda metrics, _: float(metrics.frames_read - metrics.frames_unusable),
            "{sensor} has no usable frame in this drive", silent=True, only_scope=True, because=_unusable),
    Measure("CMP005", "covered_share", Scope.NONE, _coverage,
            "{sensor} covers {measured:.1%} of the drive, less than {threshold:.1%}", silent=True),
    Measure("CMP007", "lost_share", Scope.NONE, _lost_share,
            "{sensor}: {measured:.1%} of its frames are lost in gaps, more than {threshold:.1%}"),
    Measure("CLK001", "steps_back", Scope.REFERENCE, lambda metrics, _: float(metrics.regressions),
            "{sensor}: {measured:.0f} stamps are earlier than the one before"),
    Measure("CLK002", "repeated_stamps", Scope.NONE, lambda metrics, _: float(metrics.duplicates),
            "{sensor}: {measured:.0f} stamps repeat an earlier one"),
    Measure("CLK003", "rate_deviation", Scope.REFERENCE, _rate_deviation,
            "{sensor}: the measured rate is {measured:.1%} off the nominal one, more than {threshold:.1%}",
            unknown_warns=True),  # of a single sweep, a keyframe of a dataset, nothing is wrong
    Measure("CLK004", "gap_periods", Scope.NONE, _gap_periods,
            "{sensor}: the longest gap is {measured:.2f} nominal periods, more than {threshold:g}"),
    Measure("CLK005", "outside_s", Scope.REQUIRED, _outside_s,
            "{sensor}: stamps are up to {measured:.3f} s outside the drive, more than {threshold:g} s", because=_why_outside),
    Measure("CLK006", "unit_powers", Scope.REQUIRED, lambda metrics, _: float(abs(metrics.unit_exponent)),
            "{sensor}: stamps are not in nanoseconds, but off by {measured:.0f} powers of ten"),
    Measure("CLK007", "domain_s", Scope.REQUIRED, _domain_s,
            "{sensor}: its clock is {measured:.3f} s from the reference's, more than {threshold:g} s", because=_why_apart),
    Measure("CLK008", "times_set", Scope.NONE, lambda metrics, _: float(metrics.clock_steps),
            "{sensor}: its clock was set {measured:.0f} times during the drive", because=_why_set),
    Measure("CLK009", "proven_drift_ppm", Scope.NONE, _proven_drift_ppm,
            "{sensor}: its clock drifts from the reference's by at least {measured:.0f} ppm, more than {threshold:g}"),
    Measure("CLK010", "proven_delay_error_ms", Scope.NONE, _proven_delay_error_ms,
            "{sensor}: its delay is at least {measured:.1f} ms from the declared one, more than {threshold:g} ms"),
    Measure("CLK012", "off_share", Scope.REQUIRED, _off_share,
            "{sensor}: {measured:.1%} of its stamps do not fit the time line of the others, more than {threshold:.1%}"),
    Measure("CLK013", "other_pace", Scope.NONE, _other_pace,
            "{sensor}: log times pass at another pace than its stamps, by a factor of {measured:.3g}; they are not used"),
    Measure("CLK014", "ahead_ms", Scope.REQUIRED, lambda metrics, _: metrics.ahead_ns / NS_PER_MS,
            "{sensor}: frames are logged {measured:.1f} ms before they were measured, by their stamps; those of others are not"),
    Measure("CLK015", "late_frames", Scope.NONE, lambda metrics, _: float(metrics.stamps_late),
            "{sensor}: {measured:.0f} frames were recorded after later ones"),
)  # fmt: skip
