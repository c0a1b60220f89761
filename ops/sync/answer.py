"""The answer of a sync report: the pipeline's own rules judge every clock and match, as inspection would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ops.report import display
from ops.sync.streams import Stream
from quality.evaluators.drive import judge
from quality.measurements.residuals import Residuals
from quality.measurements.rule_measures import MEASURES
from quality.measurements.sensor_metrics import measured
from quality.rules.catalogue import Outcome, Severity
from quality.rules.rulebook import RuleBook, rules_of
from sensors.clocks.clock import ClockReport
from sensors.clocks.survey import ClockSurvey, SensorClock
from sensors.rig import Rig
from sensors.time_units import NS_PER_S

MISSING_SHARE = 0.05  # share of anchors without a frame; a sensor that starts slightly late is still in sync
_NEEDS_RATE = "CLK003"
_WITHOUT_BOUNDS = "CLK005"
_NAMED = 3


class InSync(StrEnum):
    """The answer: yes; yes, with warnings; no."""

    YES = "yes"
    WITH_WARNINGS = "with warnings"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer, with the reason in one sentence."""

    in_sync: InSync
    sentence: str


@dataclass(frozen=True, slots=True)
class SyncIssue:
    """A rule of `quality/rules/RULES.md` that did not pass for one sensor; `measured` is in the unit of the rule."""

    rule_id: str
    sensor: str
    severity: Severity
    measured: float
    message: str

    @property
    def error(self) -> bool:
        """Whether it turns the answer to no."""
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class MatchFacts:
    """The matches of one sensor; `overlaps`: whether it has any frame between the first and the last anchor."""

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


def issues_of(
    streams: Sequence[Stream], clocks: ClockSurvey, reference: str, rig: Rig | None, facts: Mapping[str, MatchFacts]
) -> tuple[SyncIssue, ...]:
    """Every rule on clocks and matches that a sensor does not pass: errors first, then by rule, worst first."""
    found: list[SyncIssue] = []
    home, rules = clocks.sensors[reference].report, rules_of(rig)
    for stream in streams:
        found += _clock_issues(stream, clocks.sensors[stream.sensor], reference, rig, rules)
        fact = facts.get(stream.sensor)
        if fact is None:
            clock = clocks.sensors[stream.sensor]
            if clock.domain == 0 and _apart(clock.report, home):  # clocks of different domains overlap only by chance
                found.append(_no_overlap(stream.sensor, reference, Severity.WARNING))
        elif stream.sensor != reference:
            found += _match_issues(stream.sensor, fact, reference, rules)
    return tuple(sorted(found, key=lambda one: (not one.error, one.rule_id, -one.measured, one.sensor)))


@dataclass(frozen=True, slots=True)
class IssueGroup:
    """Issues of one rule and severity: the sensors, and the message of the first."""

    rule_id: str
    severity: Severity
    message: str
    sensors: tuple[str, ...]

    @property
    def text(self) -> str:
        """The message, and the other sensors that it applies to."""
        others = self.sensors[1:]
        if not others:
            return self.message
        also = ", ".join(others) if len(others) <= _NAMED else f"{len(others)} other sensors"
        return f"{self.message} (also {also})"


def grouped(issues: Sequence[SyncIssue]) -> tuple[IssueGroup, ...]:
    """One group per rule and severity, in the order of the issues."""
    groups: dict[tuple[str, Severity], list[SyncIssue]] = {}
    for one in issues:
        groups.setdefault((one.rule_id, one.severity), []).append(one)
    return tuple(
        IssueGroup(rule_id, severity, members[0].message, tuple(one.sensor for one in members))
        for (rule_id, severity), members in groups.items()
    )


def answer(issues: Sequence[SyncIssue], reference: str, anchors: int, facts: Mapping[str, MatchFacts]) -> Answer:
    """Yes or no, with the first three groups of issues that decide it, or a summary of all sensors."""
    others = {name: fact for name, fact in facts.items() if name != reference}
    deciding = grouped([one for one in issues if one.error] or issues)
    if deciding:
        reasons = "; ".join(one.text for one in deciding[:_NAMED])
        more = f"; and {len(deciding) - _NAMED} more" if len(deciding) > _NAMED else ""
        if deciding[0].severity is Severity.ERROR:
            return Answer(InSync.NO, f"No: {reasons}{more}.")
        return Answer(InSync.WITH_WARNINGS, f"Yes, with reservations: {reasons}{more}.")
    if not others:
        return Answer(InSync.YES, f"Nothing to compare {reference} with; its own clock is sound.")
    largest = max((fact.residuals.max_ns for fact in others.values() if fact.residuals), default=0)
    whose = "the other sensor has" if len(others) == 1 else f"all {len(others)} other sensors have"
    return Answer(
        InSync.YES,
        f"Yes: for each of the {anchors} frames of {reference} {whose} a frame, at most {display.ms(largest)} ms from where it "
        "is expected.",
    )


def _clock_issues(stream: Stream, clock: SensorClock, reference: str, rig: Rig | None, rules: RuleBook) -> list[SyncIssue]:
    in_rig = rig is not None and stream.sensor in rig
    metrics = measured(stream.sensor, None if stream.modality is None else stream.modality.value, clock, rig)
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
                found.append(
                    SyncIssue(problem.rule_id, stream.sensor, problem.severity, problem.measured or 0.0, problem.message)
                )
    return found


def _match_issues(sensor: str, fact: MatchFacts, reference: str, rules: RuleBook) -> list[SyncIssue]:
    anchors = fact.matched + fact.missing
    if not fact.overlaps:
        return [_no_overlap(sensor, reference, Severity.ERROR if fact.required else Severity.WARNING)]
    found = []
    if fact.missing:
        severe = fact.required and fact.missing > MISSING_SHARE * anchors
        found.append(
            SyncIssue(
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
            SyncIssue(
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


def _no_overlap(sensor: str, reference: str, severity: Severity) -> SyncIssue:
    return SyncIssue("CMP005", sensor, severity, 0.0, f"{sensor} has no frame between the first and the last of {reference}")
