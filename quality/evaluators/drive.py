"""The rules that judge a drive as a whole: before it is built and, for its completeness, afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from lake.documents import Manifest, SourceLoss
from quality.errors import MetricsError
from quality.measurements.rule_measures import MEASURES, Bounds, Measure
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import Level, Outcome, Severity, rule
from quality.rules.findings import Finding, finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook, rules_of
from sensors.calibration.plausibility import implausible
from sensors.rig import Rig

MAX_LOSSES_NAMED = 3


class GateVerdict(StrEnum):
    """Whether scenes are to be built from an inspected drive."""

    BUILD = "build"
    QUARANTINE = "quarantine"


def evaluate_drive(
    rig: Rig | None,
    manifest: Manifest | None,
    metrics: Sequence[SensorMetrics],
    object_findings: Iterable[Finding] = (),
    *,
    rig_problem: str = "missing",
    manifest_problem: str = "missing",
) -> tuple[Finding, ...]:
    """Judge one drive; sorted, including `object_findings` unchanged.

    Args:
        rig: The calibration, None if it is missing or invalid (`rig_problem` says which).
        manifest: The manifest, None if it is missing or invalid (`manifest_problem` says which).
        metrics: One entry for each sensor that has frames; a sensor of the rig that is not among them has none.
        object_findings: The findings on objects and frames.

    Raises:
        MetricsError: A sensor is measured twice.
    """
    names = [entry.sensor for entry in metrics]
    if len(set(names)) < len(names):
        raise MetricsError(f"sensor measured twice: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
    found = list(object_findings)
    if manifest is None:
        found.append(finding("CMP002", f"manifest: {manifest_problem}", measured=0))
    rules = rules_of(rig)
    found += _calibration(rig, manifest, metrics, rig_problem, rules)
    found += [] if manifest is None else _losses(manifest, rules)
    bounds = Bounds.of(manifest, rig)
    for entry in with_silent(rig, metrics):
        found += [problem for measure in MEASURES if (problem := judge(measure, entry, bounds, rules)) is not None]
    return tuple(sorted(found))


def verdict(findings: Iterable[Finding]) -> GateVerdict:
    """`quarantine` if any drive-level finding is an error, else `build`; findings on objects and scenes do not count."""
    fatal = any(entry.severity is Severity.ERROR and rule(entry.rule_id).level is Level.DRIVE for entry in findings)
    return GateVerdict.QUARANTINE if fatal else GateVerdict.BUILD


def with_silent(rig: Rig | None, metrics: Sequence[SensorMetrics]) -> tuple[SensorMetrics, ...]:
    """`metrics` and, for each sensor of the rig that is not among them, the metrics of a silent sensor; sorted."""
    measured = {entry.sensor for entry in metrics}
    silent = []
    if rig is not None:
        silent = [SensorMetrics.silent(sensor, rig) for sensor in rig.sensors if sensor.name not in measured]
    return tuple(sorted([*metrics, *silent], key=lambda entry: entry.sensor))


def judge(measure: Measure, metrics: SensorMetrics, bounds: Bounds | None, rules: RuleBook = DEFAULT_RULES) -> Finding | None:
    """One sensor under one rule; None if it passed or the rule does not apply to it."""
    if not measure.applies(metrics):
        return None
    entry, measured = rules[measure.code], measure.value(metrics, bounds)
    outcome = entry.judge(measured)
    if outcome is Outcome.PASSED:
        return None
    if outcome is Outcome.UNKNOWN:
        message = f"{metrics.sensor}: {entry.name} could not be evaluated: {entry.unknown or 'no value was measured'}"
    else:
        message = measure.message.format(sensor=metrics.sensor, measured=measured, threshold=entry.threshold)
        reason = measure.because(metrics, bounds)
        message = message if reason is None else f"{message}: {reason}"
    warns = outcome is Outcome.UNKNOWN and measure.unknown_warns
    usual = Severity.WARNING if warns else measure.scope.severity(metrics)
    return rules.finding(measure.code, message, sensor=metrics.sensor, measured=measured, severity=usual)


def _losses(manifest: Manifest, rules: RuleBook) -> list[Finding]:
    """The losses that the manifest states, one finding per sensor."""
    by_sensor: dict[str | None, list[SourceLoss]] = {}
    for loss in manifest.losses:
        by_sensor.setdefault(loss.sensor, []).append(loss)
    found = []
    for sensor, losses in by_sensor.items():
        counts = [loss.frames for loss in losses if loss.frames is not None]
        measured = sum(counts) if len(counts) == len(losses) else None
        if rules.judge("CMP008", measured) is Outcome.PASSED:
            continue
        named = "; ".join(loss.message for loss in losses[:MAX_LOSSES_NAMED])
        more = f" and {len(losses) - MAX_LOSSES_NAMED} more" if len(losses) > MAX_LOSSES_NAMED else ""
        message = f"{sensor or 'the source'}: lost at import: {named}{more}"
        found.append(rules.finding("CMP008", message, sensor=sensor, measured=measured))
    return found


def _calibration(
    rig: Rig | None, manifest: Manifest | None, metrics: Sequence[SensorMetrics], problem: str, rules: RuleBook
) -> list[Finding]:
    if rig is None:
        unknown = "the calibration is missing or invalid, so whether the rig holds this sensor is not known"
        return [
            finding("CAL001", f"calibration: {problem}", measured=1),
            *(finding("CAL002", f"{entry.sensor}: {unknown}", sensor=entry.sensor) for entry in metrics),
        ]
    found = []
    if manifest is None:
        found.append(finding("CAL001", "whether the calibration is the manifest's is not known: there is no valid manifest"))
    elif manifest.rig_id != rig.rig_id:
        found.append(
            finding("CAL001", f"the manifest names the rig {manifest.rig_id!r}, the calibration {rig.rig_id!r}", measured=1)
        )
    for sensor, mounted in implausible(rig).items():
        usual = None if mounted.certain else Severity.WARNING
        found.append(rules.finding("CAL008", f"{sensor}: {mounted.message}", sensor=sensor, measured=1, severity=usual))
    for entry in metrics:
        if entry.sensor not in rig:
            message = f"{entry.sensor} has frames, but rig {rig.rig_id} does not know it"
            found.append(rules.finding("CAL002", message, sensor=entry.sensor, measured=1))
        elif rig[entry.sensor].modality != entry.modality:
            message = f"{entry.sensor} is a {rig[entry.sensor].modality} in the calibration, but recorded as {entry.modality}"
            found.append(finding("CAL001", message, sensor=entry.sensor, measured=1))
    return found


def evaluate_completeness(whole: Sequence[bool], rules: RuleBook) -> tuple[Finding, ...]:
    """CMP006 for a built drive; `whole` tells for each scene whether it has a frame of every required sensor."""
    share = sum(whole) / len(whole) if whole else None
    outcome = rules.judge("CMP006", share)
    if outcome is Outcome.PASSED:
        return ()
    if share is None:
        return (rules.finding("CMP006", "the drive has no scene, so whether its scenes are complete is not known"),)
    message = f"{sum(whole)} of {len(whole)} scenes have a frame of every required sensor ({share:.1%})"
    return (rules.finding("CMP006", message, measured=share),)
