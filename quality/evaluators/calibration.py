"""The rules on a drive's calibration, from its measurements.

A rule fails where an error is proven above its threshold: the drive is not published. A smaller proven error is a warning of
the same rule, with the lower limit as its threshold. A quantity that could not be measured is unknown. A rig may set the
threshold, and a severity that then holds for all of these; the verdicts in the table are those of the usual limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from quality.rules.catalogue import Severity
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity
from sensors.calibration.verdicts import LIMITS
from sensors.rig import Modality, Rig

RULE_OF: Mapping[Quantity, str] = MappingProxyType(
    {
        Quantity.GROUND_ROLL: "CAL003",
        Quantity.GROUND_PITCH: "CAL003",
        Quantity.GROUND_HEIGHT: "CAL004",
        Quantity.LIDAR_YAW: "CAL009",
        Quantity.CAMERA_ROLL: "CAL005",
        Quantity.CAMERA_PITCH: "CAL005",
        Quantity.CAMERA_YAW: "CAL005",
        Quantity.CAMERA_TIME: "CAL010",
        Quantity.RADAR_YAW: "CAL006",
    }
)


def evaluate_calibration(
    checks: Iterable[Checked], wrong_lenses: Mapping[str, Sequence[str]], rules: RuleBook
) -> tuple[Finding, ...]:
    """The findings, sorted: at most one per rule and sensor, of the quantity with the largest proven error.

    `wrong_lenses`: by camera, the contradictions in its intrinsics. `rules`: the drive's.
    """
    groups: dict[tuple[str, str], list[Checked]] = {}
    for check in checks:
        groups.setdefault((RULE_OF[check.quantity], check.sensor), []).append(check)
    found = [_lens(sensor, contradictions, rules) for sensor, contradictions in wrong_lenses.items() if contradictions]
    found += [problem for (code, sensor), group in groups.items() if (problem := _judged(code, sensor, group, rules)) is not None]
    return tuple(sorted(found))


def evaluated(checks: Iterable[Checked]) -> frozenset[tuple[str, str]]:
    """Each (rule, sensor) that these checks are evaluated for, whether it passed or not."""
    pairs = {(RULE_OF[check.quantity], check.sensor) for check in checks if not _without_limit(check)}
    return frozenset(pairs | {("CAL007", sensor) for code, sensor in pairs if code == "CAL005"})


def unchecked(rig: Rig, reason: str, rules: RuleBook) -> tuple[Finding, ...]:
    """The findings where no payload was examined: unknown for every sensor that the rules judge; sorted."""
    codes = {Modality.LIDAR: ("CAL003", "CAL004", "CAL009"), Modality.CAMERA: ("CAL005",), Modality.RADAR: ("CAL006",)}
    return tuple(
        sorted(
            rules.finding(code, f"{sensor.name}: not checked, {reason}", sensor=sensor.name, severity=Severity.WARNING)
            for sensor in rig.sensors
            for code in codes.get(sensor.modality, ())
        )
    )


def _judged(code: str, sensor: str, group: Sequence[Checked], rules: RuleBook) -> Finding | None:
    measured = [check for check in group if check.proven is not None]
    worst = max(measured, key=lambda check: check.proven or 0.0, default=None)
    if worst is not None and worst.proven is not None:
        limits = LIMITS[worst.quantity]
        threshold = rules[code].threshold
        if threshold is not None and worst.proven > threshold:
            return rules.finding(code, _message(worst), sensor=sensor, measured=worst.proven)
        if worst.proven > limits.suspect:
            severity = Severity.WARNING
            return rules.finding(
                code, _message(worst), sensor=sensor, measured=worst.proven, threshold=limits.suspect, severity=severity
            )
    unseen = [check for check in group if check.verdict is CalibrationVerdict.NOT_OBSERVABLE and not _without_limit(check)]
    if not unseen:
        return None
    names = ", ".join(check.quantity.value for check in unseen)
    return rules.finding(code, f"{sensor}: {names} not observable: {unseen[0].reason}", sensor=sensor, severity=Severity.WARNING)


def _without_limit(check: Checked) -> bool:
    """Without a ground height in the rig, a lidar's height has no limit: the rule does not apply."""
    return check.quantity is Quantity.GROUND_HEIGHT and check.frames > 0 and check.error is None


def _message(check: Checked) -> str:
    unit = check.quantity.unit
    return (
        f"{check.sensor}: {check.quantity.value} is declared {check.error:+.3g} {unit} off, uncertain by "
        f"{check.uncertainty:.2g}, from {check.items} items in {check.frames} frames"
    )


def _lens(sensor: str, contradictions: Sequence[str], rules: RuleBook) -> Finding:
    return rules.finding("CAL007", f"{sensor}: {'; '.join(contradictions)}", sensor=sensor, measured=len(contradictions))
