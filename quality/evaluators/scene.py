"""The rules on one scene, from its match plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quality.rules.catalogue import Outcome, Severity
from quality.rules.findings import Finding, has_errors, rule_ids
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.rig import Modality, Rig


@dataclass(frozen=True, slots=True)
class SceneVerdict:
    """Whether a scene is kept out of gold, all its findings, and the sorted rule ids of the warnings among them."""

    quarantined: bool
    findings: tuple[Finding, ...]
    flags: tuple[str, ...]


def evaluate_scene(
    rig: Rig,
    missing: Mapping[str, str],
    residuals: Mapping[str, int],
    has_pose: bool | None,
    uncompensated: Mapping[str, str] | None,
    payload_findings: tuple[Finding, ...] = (),
    rules: RuleBook = DEFAULT_RULES,
) -> SceneVerdict:
    """Judge one scene.

    Args:
        rig: Defines the required sensors, the limits of residuals, and the policy for incomplete scenes.
        missing: Sensor to the reason why it has no frame in this scene.
        residuals: Sensor to `residual_ns` of its match. A required sensor in neither mapping is unknown, so not passed.
        has_pose: Whether the ego pose could be interpolated; None if that was not tried.
        uncompensated: Lidar to the reason why its points are not compensated to the anchor's time; None if that is not known.
            Not judged in a scene without lidar.
        payload_findings: Findings on the payload of the scene's frames; an error among them quarantines the scene.
        rules: The drive's.

    Raises:
        KeyError: `missing` or `residuals` names a sensor that the rig does not have.
    """
    found = [*payload_findings, *_completeness(rig, missing, residuals, rules), *_residuals(rig, residuals, rules)]
    pose = rules.judge("POS001", None if has_pose is None else float(has_pose))
    if pose is not Outcome.PASSED:
        measured = 0.0 if pose is Outcome.FAILED else None
        severity = Severity.ERROR if rig.policy.pose_required else Severity.WARNING
        bracket = f"no two pose samples within {rig.policy.pose_bracket_ns} ns bracket the anchor"
        message = bracket if measured is not None else "the ego pose was not looked for"
        found.append(rules.finding("POS001", message, measured=measured, severity=severity))
    found += _compensation(rig, missing, uncompensated, rules)
    ordered = tuple(sorted(found, key=Finding.sort_key))
    return SceneVerdict(has_errors(ordered), ordered, rule_ids(ordered, Severity.WARNING))


def _compensation(
    rig: Rig, missing: Mapping[str, str], uncompensated: Mapping[str, str] | None, rules: RuleBook
) -> list[Finding]:
    if uncompensated is not None:
        return [
            rules.finding("SYN003", f"{name}: points are not motion-compensated: {reason}", sensor=name, measured=0.0)
            for name, reason in uncompensated.items()
        ]
    lidars = [sensor.name for sensor in rig.sensors if sensor.modality is Modality.LIDAR and sensor.name not in missing]
    return [rules.finding("SYN003", f"{name}: points are not known to be motion-compensated", sensor=name) for name in lidars]


def _completeness(rig: Rig, missing: Mapping[str, str], residuals: Mapping[str, int], rules: RuleBook) -> list[Finding]:
    severity = Severity.WARNING if rig.policy.publish_incomplete else Severity.ERROR
    found = []
    for name, reason in missing.items():
        if name == rig.reference:
            # A scene is built around its anchor: a scene without it cannot be published, whatever the policy.
            found.append(rules.finding("SYN001", f"{name}: {reason}", sensor=name, measured=1, severity=Severity.ERROR))
        elif rig[name].sync.required:
            found.append(rules.finding("SYN001", f"{name}: {reason}", sensor=name, measured=1, severity=severity))
    for sensor in rig.sensors:
        accounted = sensor.name in missing or sensor.name in residuals or sensor.name == rig.reference
        if sensor.modality.in_scene and sensor.sync.required and not accounted:
            message = f"{sensor.name}: neither matched nor said to be missing"
            found.append(rules.finding("SYN001", message, sensor=sensor.name, severity=severity))
    return found


def _residuals(rig: Rig, residuals: Mapping[str, int], rules: RuleBook) -> list[Finding]:
    entry, found = rules["SYN002"], []
    for name, residual_ns in residuals.items():
        limit_ns = rig[name].sync.warn_residual_ns
        if entry.judge(abs(residual_ns), limit_ns) is not Outcome.PASSED:
            message = f"{name}: residual {residual_ns} ns, more than {limit_ns} ns"
            found.append(rules.finding("SYN002", message, sensor=name, measured=abs(residual_ns), threshold=limit_ns))
    return found
