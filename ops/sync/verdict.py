"""One answer of a sync report, from findings by the pipeline's own rules: what is told here is what inspection would flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ops import display
from ops.sync.stream import Stream
from quality.evaluators.drive import judge
from quality.measurements.measures import MEASURES
from quality.measurements.metrics import measured
from quality.measurements.residuals import Residuals
from quality.rules.catalogue import Outcome, Severity
from quality.rules.rulebook import RuleBook, rules_of
from sensors.clocks.clock import ClockReport
from sensors.clocks.survey import ClockSurvey, SensorClock
from sensors.rig import Modality, Rig
from sensors.time_units import NS_PER_S

MISSING_SHARE = 0.05  # of anchors without a frame; a sensor that starts a little late is still in sync
_NEEDS_RATE = "CLK003"
_WITHOUT_BOUNDS = "CLK005"
_NAMED = 3


class InSync(StrEnum):
    """Yes; yes, with warnings; no."""

    YES = "yes"
    WITH_WARNINGS = "with warnings"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer, and why, in one sentence."""

    in_sync: InSync
    sentence: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule of `quality/rules/RULES.md` that did not pass for one sensor, in words; `measured` in the rule's unit."""

    rule_id: str
    sensor: str
    severity: Severity
    measured: float
    message: str

    @property
    def error(self) -> bool:
        """Whether it makes the answer no."""
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class MatchFacts:
    """The matches of one sensor; `overlaps`: whether it has frames between the first and the last anchor at all."""

    expected_delay_ns: int
    tolerance_ns: int
    warn_residual_ns: int
    required: bool
    matched: int
    no_frame: int
    outside_tolerance: int
    residuals: Residuals | None
    overlaps: bool

    @property
    def missing(self) -> int:
        """Anchors without a frame."""
        return self.no_frame + self.outside_tolerance


def findings_of(
    streams: Sequence[Stream], clocks: ClockSurvey, reference: str, rig: Rig | None, facts: Mapping[str, MatchFacts]
) -> tuple[Finding, ...]:
    """Every rule on clocks and matches that a sensor does not pass; errors first, then by rule, the worst before the others."""
    found: list[Finding] = []
    home, rules = clocks.sensors[reference].report, rules_of(rig)
    for stream in streams:
        found += _of_clock(stream, clocks.sensors[stream.sensor], reference, rig, rules)
        fact = facts.get(stream.sensor)
        if fact is None:
            clock = clocks.sensors[stream.sensor]
            if clock.domain == 0 and _apart(clock.report, home):  # clocks of two domains overlap by chance alone
                found.append(_no_overlap(stream.sensor, reference, Severity.WARNING))
        elif stream.sensor != reference:
            found += _of_matches(stream.sensor, fact, reference, rules)
    return tuple(sorted(found, key=lambda one: (not one.error, one.rule_id, -one.measured, one.sensor)))


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule and severity: the sensors, and the message of the first."""

    rule_id: str
    severity: Severity
    message: str
    sensors: tuple[str, ...]

    @property
    def words(self) -> str:
        """The message, and whom it holds for likewise."""
        others = self.sensors[1:]
        if not others:
            return self.message
        likewise = ", ".join(others) if len(others) <= _NAMED else f"{len(others)} other sensors"
        return f"{self.message} (likewise {likewise})"


def grouped(findings: Sequence[Finding]) -> tuple[Group, ...]:
    """One group for each rule and severity, in the order of the findings."""
    groups: dict[tuple[str, Severity], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.rule_id, one.severity), []).append(one)
    return tuple(
        Group(rule_id, severity, members[0].message, tuple(one.sensor for one in members))
        for (rule_id, severity), members in groups.items()
    )


def answer(findings: Sequence[Finding], reference: str, anchors: int, facts: Mapping[str, MatchFacts]) -> Answer:
    """Yes or no, because: the first three groups of findings that decide it, or what holds for all."""
    others = {name: fact for name, fact in facts.items() if name != reference}
    deciding = grouped([one for one in findings if one.error] or findings)
    if deciding:
        told = "; ".join(one.words for one in deciding[:_NAMED])
        more = f"; and {len(deciding) - _NAMED} more findings" if len(deciding) > _NAMED else ""
        if deciding[0].severity is Severity.ERROR:
            return Answer(InSync.NO, f"No: {told}{more}.")
        return Answer(InSync.WITH_WARNINGS, f"Yes, with reservations: {told}{more}.")
    if not others:
        return Answer(InSync.YES, f"There is nothing to compare {reference} with; its own clock is sound.")
    largest = max((fact.residuals.max_ns for fact in others.values() if fact.residuals), default=0)
    whose = "the other sensor has" if len(others) == 1 else f"all {len(others)} other sensors have"
    return Answer(
        InSync.YES,
        f"Yes: for each of the {anchors} frames of {reference} {whose} a frame, at most {display.ms(largest)} ms from where it "
        "is expected.",
    )


def _of_clock(stream: Stream, clock: SensorClock, reference: str, rig: Rig | None, rules: RuleBook) -> list[Finding]:
    in_rig = rig is not None and stream.sensor in rig
    # Rules on clocks do not look at the kind of the sensor, but metrics have one.
    metrics = measured(stream.sensor, (stream.modality or Modality.CAMERA).value, clock, rig)
    metrics = replace(metrics, reference=stream.sensor == reference)
    if not in_rig:
        in_scene = stream.modality is None or stream.modality.in_scene
        period_ns = clock.report.period_p50_ns
        metrics = replace(metrics, required=rig is None and in_scene, nominal_rate_hz=NS_PER_S / period_ns if period_ns else None)
    found = []
    for measure in MEASURES:
        if measure.code.startswith("CLK") and measure.code != _WITHOUT_BOUNDS and (in_rig or measure.code != _NEEDS_RATE):
            problem = judge(measure, metrics, None, rules)
            if problem is not None and (in_rig or problem.outcome is Outcome.FAILED):
                found.append(Finding(problem.rule_id, stream.sensor, problem.severity, problem.measured or 0.0, problem.message))
    return found


def _of_matches(sensor: str, fact: MatchFacts, reference: str, rules: RuleBook) -> list[Finding]:
    anchors = fact.matched + fact.missing
    if not fact.overlaps:
        return [_no_overlap(sensor, reference, Severity.ERROR if fact.required else Severity.WARNING)]
    found = []
    if fact.missing:
        severe = fact.required and fact.missing > MISSING_SHARE * anchors
        found.append(
            Finding(
                "SYN001",
                sensor,
                Severity.ERROR if severe else Severity.WARNING,
                fact.missing,
                f"{sensor} has no frame for {fact.missing} of {anchors} frames of {reference}"
                f" within {display.ms(fact.tolerance_ns)} ms of where it is expected",
            )
        )
    if fact.residuals is not None and fact.residuals.p95_ns > fact.warn_residual_ns:
        found.append(
            Finding(
                "SYN002",
                sensor,
                rules.severity("SYN002"),
                fact.residuals.p95_ns,
                f"{sensor}: residuals reach {display.ms(fact.residuals.p95_ns)} ms (p95), more than "
                f"{display.ms(fact.warn_residual_ns)} ms",
            )
        )
    return found


def _apart(one: ClockReport, other: ClockReport) -> bool:
    if one.first_ns is None or one.last_ns is None or other.first_ns is None or other.last_ns is None:
        return False
    return one.last_ns < other.first_ns or other.last_ns < one.first_ns


def _no_overlap(sensor: str, reference: str, severity: Severity) -> Finding:
    return Finding("CMP005", sensor, severity, 0.0, f"{sensor} has no frame between the first and the last of {reference}")
