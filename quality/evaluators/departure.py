"""The rules that compare a whole drive with the vehicle's baseline: a sensor may be wrong from the first frame to the last.

A limit is a share of what was usual, wide enough for another place and time of day: dirt, a loose lens or a dying emitter
that costs less stays below it. A camera is compared with the least that it showed in any earlier drive, since fog and night
are no faults, and by quantities that do not fall with the light.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lake.vehicle_baseline import BaselineStatistic, CalibrationHistory, SensorBaseline, VehicleBaseline
from quality.evaluators.calibration import RULE_OF
from quality.measurements.signal_statistics import CHROMA, DETECTIONS, EDGE_ENERGY, RETURNS
from quality.rules.catalogue import Outcome, Severity
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity
from sensors.rig import Modality, Rig, Sensor

SPREADS = 5.0
LEAST_CHROMA = 0.01  # of the contrast: a camera that never showed more is taken for one without colour
USUALLY_OBSERVED = 0.8  # share of the drives
ONLY_IN_MOTION = frozenset({Quantity.LIDAR_YAW, Quantity.RADAR_YAW})
NOT_ALWAYS_JUDGED = frozenset({Quantity.CAMERA_TIME})

Statistics = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One statistic under rule `code`; `unit` for the message. `against_least`: compared with the least of the earlier drives,
    not with their median."""

    code: str
    name: str
    unit: str
    against_least: bool = False
    least: float = 0.0  # the rule does not apply to a baseline below it

    def reference(self, usual: BaselineStatistic) -> float:
        """The value of the baseline that counts as all."""
        return usual.least if self.against_least else usual.median

    def applies(self, usual: BaselineStatistic | None) -> bool:
        """Whether the baseline of a sensor has the statistic, and enough of it to compare with."""
        return usual is not None and self.reference(usual) > self.least

    def share(self, value: float, usual: BaselineStatistic) -> float:
        """What is left of the reference, 1 at most; 1 too within the spread of the earlier drives around their median."""
        if not self.against_least and usual.median - value <= SPREADS * usual.spread:
            return 1.0
        return min(max(value, 0.0) / self.reference(usual), 1.0)


COMPARISONS: Mapping[Modality, tuple[Comparison, ...]] = {
    Modality.LIDAR: (Comparison("LID010", RETURNS, "returns per sweep"),),
    Modality.RADAR: (Comparison("RAD006", DETECTIONS, "detections per scan"),),
    Modality.CAMERA: (
        Comparison("CAM011", EDGE_ENERGY, "edge energy relative to contrast", against_least=True),
        Comparison("CAM011", CHROMA, "colour relative to contrast", against_least=True, least=LEAST_CHROMA),
    ),
}


def compared(rig: Rig, baseline: VehicleBaseline | None) -> dict[str, tuple[Comparison, ...]]:
    """By sensor, what of it the baseline allows to compare; sensors without a comparison are left out."""
    found = {}
    for sensor in rig.sensors:
        known = None if baseline is None else baseline.of(sensor.name, sensor.modality.value)
        if known is not None:
            found[sensor.name] = tuple(
                one for one in COMPARISONS.get(sensor.modality, ()) if one.applies(known.statistic(one.name))
            )
    return {name: comparisons for name, comparisons in found.items() if comparisons}


def evaluate_departures(rig: Rig, baseline: VehicleBaseline | None, measured: Statistics, rules: RuleBook) -> tuple[Finding, ...]:
    """Compare a drive with the baseline: the findings, sorted, at most one per sensor. None without a baseline.

    `measured`: the drive's statistics by sensor (`quality.measurements.signal_statistics`). A sensor that the baseline knows and
    that has none is unknown.
    """
    found = []
    for name, comparisons in compared(rig, baseline).items():
        known = baseline.of(name, rig[name].modality.value) if baseline is not None else None
        if known is not None:
            found += _of_sensor(rig, rig[name], known, comparisons, measured.get(name, {}), rules)
    return tuple(sorted(found))


def not_compared(rig: Rig, baseline: VehicleBaseline | None, reason: str, rules: RuleBook) -> tuple[Finding, ...]:
    """The findings where nothing was measured on purpose: unknown for every sensor that the baseline knows; sorted."""
    return tuple(
        sorted(
            rules.finding(code, f"{name}: not compared, {reason}", sensor=name, severity=Severity.WARNING)
            for name, code in judged_for(rig, baseline)
        )
    )


def judged_for(rig: Rig, baseline: VehicleBaseline | None) -> list[tuple[str, str]]:
    """Each (sensor, rule) that a drive of this rig is compared under; sorted."""
    return sorted({(name, one.code) for name, comparisons in compared(rig, baseline).items() for one in comparisons})


def departs(modality: Modality, value: Mapping[str, float], usual: SensorBaseline, rules: RuleBook) -> bool:
    """Whether statistics of a drive fail a rule against a baseline, whatever the sensor's role."""
    return any(
        entry is not None
        and one.applies(entry)
        and one.name in value
        and rules.judge(one.code, one.share(value[one.name], entry)) is Outcome.FAILED
        for one in COMPARISONS.get(modality, ())
        for entry in (usual.statistic(one.name),)
    )


def _of_sensor(
    rig: Rig,
    sensor: Sensor,
    known: SensorBaseline,
    comparisons: Iterable[Comparison],
    values: Mapping[str, float],
    rules: RuleBook,
) -> list[Finding]:
    worst: tuple[float, Finding] | None = None
    for one in comparisons:
        usual, value = known.statistic(one.name), values.get(one.name)
        if usual is None:
            continue
        if value is None:
            message = f"{sensor.name}: {rules[one.code].name} could not be evaluated: no frame of it was measured in this drive"
            return [rules.finding(one.code, message, sensor=sensor.name, severity=_severity(rig, sensor, unknown=True))]
        share = one.share(value, usual)
        if rules.judge(one.code, share) is Outcome.FAILED and (worst is None or share < worst[0]):
            message = f"{sensor.name}: {_compared(one, value, usual, known.drives)}, less than {rules[one.code].threshold:.0%}"
            worst = (
                share,
                rules.finding(
                    one.code, message, sensor=sensor.name, measured=share, severity=_severity(rig, sensor, unknown=False)
                ),
            )
    return [] if worst is None else [worst[1]]


def _compared(one: Comparison, value: float, usual: BaselineStatistic, drives: int) -> str:
    kind = "the least" if one.against_least else "the median"
    reference = one.reference(usual)
    return f"{value:.4g} {one.unit}, {value / reference:.1%} of {reference:.4g}, {kind} of {drives} earlier drives"


def _severity(rig: Rig, sensor: Sensor, *, unknown: bool) -> Severity:
    """A sensor without a frame in any scene is missing from all of them: what that means is the rig's policy."""
    return Severity.ERROR if sensor.name in rig.critical and not (unknown and rig.policy.publish_incomplete) else Severity.WARNING


def evaluate_observability(
    baseline: VehicleBaseline | None, rig: Rig | None, checks: Sequence[Checked], rules: RuleBook
) -> tuple[Finding, ...]:
    """CAL011 for each sensor of which earlier drives showed more of the calibration than this one; sorted."""
    of_sensor: dict[str, dict[Quantity, Checked]] = {}
    if baseline is None or rig is None or not checks:
        return ()  # without checks, payload was left out on purpose: the rules on calibration are unknown already
    for check in checks:
        of_sensor.setdefault(check.sensor, {})[check.quantity] = check
    moving = any(_observed(found[quantity]) for found in of_sensor.values() for quantity in ONLY_IN_MOTION if quantity in found)
    found = []
    for sensor in rig.sensors:
        known = baseline.of(sensor.name, sensor.modality.value)
        lost = [] if known is None else _no_longer_observed(known, of_sensor.get(sensor.name, {}), moving=moving)
        if rules.judge("CAL011", len(lost)) is Outcome.FAILED:
            message = f"{sensor.name}: not observable in this drive: {'; '.join(map(_history, lost))}"
            found.append(rules.finding("CAL011", message, sensor=sensor.name, measured=len(lost)))
    return tuple(sorted(found))


def observability_judged(baseline: VehicleBaseline | None, rig: Rig | None) -> frozenset[tuple[str, str]]:
    """Each (rule, sensor) that CAL011 is judged for."""
    if baseline is None or rig is None:
        return frozenset()
    known = ((sensor.name, baseline.of(sensor.name, sensor.modality.value)) for sensor in rig.sensors)
    return frozenset(("CAL011", name) for name, entry in known if entry is not None and entry.calibration)


def _no_longer_observed(known: SensorBaseline, checks: Mapping[Quantity, Checked], *, moving: bool) -> list[CalibrationHistory]:
    lost = []
    for history in known.calibration:
        quantity = next((one for one in RULE_OF if one.value == history.quantity), None)
        if quantity is None or quantity in NOT_ALWAYS_JUDGED or (quantity in ONLY_IN_MOTION and not moving):
            continue
        check = checks.get(quantity)
        usually = history.drives > 0 and history.observed >= USUALLY_OBSERVED * history.drives
        if usually and (check is None or not _observed(check)):
            lost.append(history)
    return lost


def _observed(check: Checked) -> bool:
    return check.verdict is not CalibrationVerdict.NOT_OBSERVABLE


def _history(history: CalibrationHistory) -> str:
    return f"{history.quantity}, as it was in {history.observed} of {history.drives} earlier drives"
