"""The result of every rule for a drive, passes included: the source of lineage's quality assertions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from quality.evaluators.drive import with_silent
from quality.measurements.rule_measures import MEASURES
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.catalogue import RULES, Level, Outcome, Severity
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from quality.tables.object import OBJECT_MEASURES
from quality.tables.scene import COUNTED
from sensors.rig import Rig

_OF_DRIVE = ("CMP002", "CMP008", "CAL001", "CAL002")
_OF_AUDIT = ("ACC001", "ACC002", "SYN004", "CMP006")
_OF_SCENES = tuple(dict.fromkeys((*(entry.code for entry in RULES if entry.level is Level.SCENE), *COUNTED)))


class RuleResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule on one sensor (None: on the drive, or on all sensors). `failing`: how many objects, or scenes and
    frames, did not pass."""

    rule_id: str
    sensor: str | None
    severity: Severity
    outcome: Outcome
    measured: int | float | None
    threshold: int | float | None
    message: str
    failing: int | None = None


def drive_results(
    rig: Rig | None,
    metrics: Sequence[SensorMetrics],
    findings: Iterable[Finding],
    rules: RuleBook,
    calibrated: Iterable[tuple[str, str]] = (),
) -> tuple[RuleResult, ...]:
    """Results of the rules that inspection judges for a drive: its findings, and a pass for each sensor that a rule applies to.

    `calibrated`: each rule on calibration with a sensor that it was evaluated for.
    """
    failed = [_failed(found) for found in findings]
    usual: dict[tuple[str, str], Severity | None] = {
        (measure.code, entry.sensor): measure.scope.severity(entry)
        for entry in with_silent(rig, metrics)
        for measure in MEASURES
        if measure.applies(entry)
    }
    usual |= dict.fromkeys(sorted(calibrated))
    judged = {(result.rule_id, result.sensor) for result in failed}
    passed = [_passed(*place, rules, severity) for place, severity in usual.items() if place not in judged]
    return (*failed, *passed, *_passed_of(_OF_DRIVE, failed, rules))


def object_results(
    sensors: Mapping[str, str | None], findings: Mapping[str, Sequence[Finding]], rules: RuleBook
) -> tuple[RuleResult, ...]:
    """Results of the rules on objects: for each sensor, how many of its objects did not pass.

    Args:
        sensors: Object key to its sensor, for all landed or expected objects.
        findings: Object key to its findings.
        rules: The drive's.
    """
    counted = _counted((found.rule_id, sensors.get(key), found) for key, many in findings.items() for found in many)
    judged = {(result.rule_id, result.sensor) for result in counted}
    names = sorted({name for name in sensors.values() if name is not None})
    pairs = [(measure.code, name) for name in names for measure in OBJECT_MEASURES]
    return (*counted, *(_passed(code, name, rules) for code, name in pairs if (code, name) not in judged))


def audit_results(
    findings: Iterable[Finding],
    judged: Sequence[Sequence[Finding]] | None,
    rules: RuleBook,
    compared: Iterable[tuple[str, str]] = (),
) -> tuple[RuleResult, ...]:
    """Results of the rules that the audit judges, and of those on scenes and frames.

    Args:
        findings: The audit's findings on the drive.
        judged: The findings on each scene, and on each frame that they keep out of every scene; None if nothing was built.
        rules: The drive's.
        compared: Each sensor with a rule under which the drive was compared with the vehicle's baseline.
    """
    failed = [_failed(found) for found in findings]
    if judged is None:
        return (*failed, *_passed_of(("ACC001",), failed, rules))
    # A rule may have two findings on one sensor in a scene, for two frames; the scene counts once.
    once = ({(found.rule_id, found.sensor): found for found in many} for many in judged)
    counted = _counted((code, sensor, found) for many in once for (code, sensor), found in many.items())
    passed = _passed_of(_OF_SCENES, counted, rules) if judged else []
    departed = {(result.sensor, result.rule_id) for result in failed}
    within = [_passed(code, sensor, rules) for sensor, code in compared if (sensor, code) not in departed]
    return (*failed, *_passed_of(_OF_AUDIT, failed, rules), *within, *counted, *passed)


def _counted(found: Iterable[tuple[str, str | None, Finding]]) -> list[RuleResult]:
    groups: dict[tuple[str, str | None, Severity], list[Finding]] = {}
    for code, sensor, entry in found:
        groups.setdefault((code, sensor, entry.severity), []).append(entry)
    return [
        RuleResult(
            code,
            sensor,
            severity,
            Outcome.FAILED if any(entry.outcome is Outcome.FAILED for entry in many) else Outcome.UNKNOWN,
            many[0].measured,
            many[0].threshold,
            many[0].message,
            len(many),
        )
        for (code, sensor, severity), many in sorted(
            groups.items(), key=lambda group: (group[0][0], group[0][1] or "", group[0][2])
        )
    ]


def _failed(found: Finding) -> RuleResult:
    return RuleResult(found.rule_id, found.sensor, found.severity, found.outcome, found.measured, found.threshold, found.message)


def _passed_of(codes: Iterable[str], failed: Iterable[RuleResult], rules: RuleBook) -> list[RuleResult]:
    judged = {result.rule_id for result in failed}
    return [_passed(code, None, rules) for code in codes if code not in judged]


def _passed(code: str, sensor: str | None, rules: RuleBook, usual: Severity | None = None) -> RuleResult:
    entry = rules[code]
    return RuleResult(code, sensor, rules.severity(code, usual), Outcome.PASSED, None, entry.threshold, entry.sentence)
