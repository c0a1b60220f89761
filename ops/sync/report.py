"""Are my sensors in sync? Clocks, matches against the reference, and residuals of a set of stamp streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ops.errors import InputError
from ops.sync.answer import Answer, MatchFacts, SyncIssue, answer, issues_of, paused
from ops.sync.streams import Stream, as_scans, closed_up, pauses_of
from quality.measurements.residuals import Residuals
from sensors.clocks.clock import ClockReport
from sensors.clocks.delay import Delay
from sensors.clocks.domains import difference_name, epoch_name
from sensors.clocks.steps import ClockSteps
from sensors.clocks.survey import ClockStream, ClockSurvey, SensorClock, survey
from sensors.match.nearest import MatchReason, match_nearest
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Modality, Rig
from sensors.stamps import Nanoseconds, distinct, percentile, stamps_array

Mask = npt.NDArray[np.bool_]

MAX_GAPS = 100  # named of each sensor


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the report.

    `tolerance_ns` overrides every sensor's. `estimated_delays`: without a rig, expect each sensor at its estimated delay
    instead of at the anchor.
    """

    reference: str | None = None
    tolerance_ns: int | None = None
    estimated_delays: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """A time without frames: the last stamp before, and how long after it the next one comes."""

    after_ns: int
    length_ns: int


@dataclass(frozen=True, slots=True)
class SensorSync:
    """One sensor: its clock and, if its frames are matched, their position relative to the reference's.

    Clock: `unit` is what the stamps seem to count if not nanoseconds; `log_offset_ns` is stamp less log time at the
    middle; `drift_ppm` is against the reference's clock (the reference's own: against log time). `domain` is a number, 0
    for the reference's. Matches: counts are of anchors; `declared_delay_ns` is the rig's, `expected_delay_ns` what was
    matched with; residuals are the frames' distance from it. `findings`: codes of the rules that did not pass. `gaps`: the
    longest of the steps of more than one and a half periods, longest first; pauses are not among them.
    """

    sensor: str
    modality: Modality | None
    verdict: str
    findings: tuple[str, ...]
    clock: ClockReport
    gaps: tuple[Hole, ...]
    unit: str | None
    clock_steps: ClockSteps
    log_offset_ns: int | None
    drift_ppm: float | None
    drift_uncertainty_ppm: float | None
    domain: int
    declared_delay_ns: int | None
    delay: Delay | None
    delay_error_ns: int | None
    expected_delay_ns: int | None
    tolerance_ns: int | None
    matched: int | None
    no_frame: int | None
    outside_tolerance: int | None
    residuals: Residuals | None


@dataclass(frozen=True, slots=True)
class ClockDomain:
    """Sensors that share a clock: its offset from the reference's clock, the epoch of its stamps, and a likely reason."""

    sensors: tuple[str, ...]
    offset_ns: int
    epoch: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The answer and everything it is based on.

    `complete`: anchors for which every matched sensor has a frame. `logged`: whether there were log times to compare the
    stamps with. `pauses`: where all of several sensors paused together; they are cut out before clocks are judged, so that
    they count neither as gaps nor towards rates.
    """

    answer: Answer
    reference: str
    rig_id: str | None
    anchors: int
    pauses: tuple[Hole, ...]
    complete: int
    estimated_delays: bool
    logged: bool
    domains: tuple[ClockDomain, ...]
    sensors: tuple[SensorSync, ...]
    findings: tuple[SyncIssue, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """One matched sensor for a plot: the anchors (N,), which of them (N,) have a frame, and the residuals (M,) of these; the
    gaps (K, 2) in the sensor's own stamps, from the frame before to the frame after, longest first."""

    sensor: str
    anchors_ns: Nanoseconds
    held: Mask
    residuals_ns: Nanoseconds
    gaps_ns: Nanoseconds
    tolerance_ns: int


def sync_report(
    streams: Sequence[Stream],
    rig: Rig | None = None,
    options: Options | None = None,
    notes: Sequence[str] = (),
) -> tuple[SyncReport, tuple[Matched, ...]]:
    """Judge every clock, and match every stream of frames with the reference's (P4: nearest to anchor + expected delay,
    within the tolerance).

    The reference is, in this order: the requested one, the rig's, the first lidar, the first stream of frames.

    Raises:
        InputError: No stream of frames, an unknown reference, or stamps outside +-4e18 ns.
    """
    options = options or Options()
    streams, rows = as_scans([stream for stream in streams if stream.stamps_ns.size])
    framed = [stream for stream in streams if _in_scene(stream)]
    if not framed:
        raise InputError("no stream of frames to compare", "the input needs at least one lidar, camera or radar")
    home = _reference(framed, rig, options.reference)
    try:
        clocks, pauses_ns = _survey(streams, rig, home)
        anchors_ns = distinct(next(stream.stamps_ns for stream in framed if stream.sensor == home))
        facts = {one.sensor: _match(one, clocks.sensors[one.sensor], anchors_ns, rig, options) for one in framed}
    except ValueError as error:
        raise InputError(f"the stamps cannot be compared: {error}", "stamps are integer nanoseconds since 1970") from error
    complete = np.ones(anchors_ns.size, dtype=np.bool_)
    for _, drawn in facts.values():
        complete &= drawn.held
    matches = {name: fact for name, (fact, _) in facts.items()}
    gaps = {one.sensor: _holes(one, clocks.sensors[one.sensor], pauses_ns) for one in streams}
    longest = {name: (holes[0].after_ns, holes[0].length_ns) for name, holes in gaps.items() if holes}
    issues = issues_of(streams, clocks, home, rig, matches, longest)
    pauses = tuple(Hole(begin_ns, end_ns - begin_ns) for begin_ns, end_ns in pauses_ns.tolist())
    report = SyncReport(
        answer=paused(answer(issues, home, anchors_ns.size, matches), [(one.after_ns, one.length_ns) for one in pauses]),
        reference=home,
        rig_id=None if rig is None else rig.rig_id,
        anchors=int(anchors_ns.size),
        pauses=pauses,
        complete=int(complete.sum()),
        estimated_delays=options.estimated_delays,
        logged=clocks.logged,
        domains=_domains(clocks, streams),
        sensors=tuple(
            _sensor(stream, clocks.sensors[stream.sensor], gaps[stream.sensor], matches, issues, home) for stream in streams
        ),
        findings=issues,
        notes=(*notes, *rows),
    )
    return report, tuple(drawn for name, (_, drawn) in facts.items() if name != home)


def _in_scene(stream: Stream) -> bool:
    return stream.modality is None or stream.modality.in_scene


def _reference(framed: Sequence[Stream], rig: Rig | None, requested: str | None) -> str:
    names = [stream.sensor for stream in framed]
    chosen = requested or (rig.reference if rig is not None else None)
    if chosen is not None:
        if chosen not in names:
            raise InputError(
                f"the reference {chosen!r} is not one of the streams of frames ({', '.join(names)})",
                "choose one of them with --reference",
            )
        return chosen
    return next((stream.sensor for stream in framed if stream.modality is Modality.LIDAR), names[0])


def _survey(streams: Sequence[Stream], rig: Rig | None, home: str) -> tuple[ClockSurvey, Nanoseconds]:
    for stream in streams:
        stamps_array(stream.stamps_ns, stream.sensor)
    pauses_ns = pauses_of(streams, home)
    anchors_ns = next(stream.stamps_ns for stream in streams if stream.sensor == home)
    steps = np.diff(distinct(anchors_ns))
    closed = closed_up(streams, pauses_ns, percentile(steps, 50) if steps.size else 0)
    clocks = survey([_clock_stream(stream, rig) for stream in closed], home)
    if pauses_ns.size:
        sensors = {stream.sensor: _dated(clocks.sensors[stream.sensor], stream.stamps_ns) for stream in streams}
        clocks = replace(clocks, sensors=MappingProxyType(sensors))
    return clocks, pauses_ns


def _dated(clock: SensorClock, stamps_ns: Nanoseconds) -> SensorClock:
    return replace(clock, report=replace(clock.report, first_ns=int(stamps_ns.min()), last_ns=int(stamps_ns.max())))


def _clock_stream(stream: Stream, rig: Rig | None) -> ClockStream:
    sensor = rig[stream.sensor] if rig is not None and stream.sensor in rig else None
    return ClockStream(
        sensor=stream.sensor,
        stamps_ns=stream.stamps_ns,
        log_ns=stream.log_ns,
        rate_hz=sensor.rate_hz if sensor else None,
        expected_delay_ns=sensor.sync.expected_delay_ns if sensor else None,
        delayed=_in_scene(stream),
        measures_ns=sensor.measures_ns if sensor else 0,
    )


def _match(
    stream: Stream, clock: SensorClock, anchors_ns: Nanoseconds, rig: Rig | None, options: Options
) -> tuple[MatchFacts, Matched]:
    sync = rig[stream.sensor].sync if rig is not None and stream.sensor in rig else None
    expected_ns = sync.expected_delay_ns if sync else 0
    if sync is None and options.estimated_delays and clock.delay is not None:
        expected_ns = clock.delay.delay_ns or 0
    half_period_ns = (clock.report.period_p50_ns or 0) // 2
    tolerance_ns = sync.tolerance_ns if sync else half_period_ns
    if options.tolerance_ns is not None:
        tolerance_ns = options.tolerance_ns
    found = match_nearest(anchors_ns, np.sort(stream.stamps_ns), expected_ns, tolerance_ns)
    residuals_ns = found.residual_ns[found.matched]
    facts = MatchFacts(
        expected_delay_ns=expected_ns,
        tolerance_ns=tolerance_ns,
        warn_residual_ns=sync.warn_residual_ns if sync else DEFAULT_WARN_RESIDUAL_NS,
        required=sync.required if sync else rig is None,
        matched=int(found.matched.sum()),
        no_frame=int((found.reason == MatchReason.NO_FRAME).sum()),
        outside_tolerance=int((found.reason == MatchReason.OUTSIDE_TOLERANCE).sum()),
        residuals=Residuals.of(residuals_ns),
        overlaps=bool(stream.stamps_ns.max() >= anchors_ns[0] and stream.stamps_ns.min() <= anchors_ns[-1]),
    )
    gaps_ns = _gaps(stream.stamps_ns, clock.report.period_p50_ns)
    return facts, Matched(stream.sensor, anchors_ns, found.matched, residuals_ns, gaps_ns, tolerance_ns)


def _gaps(stamps_ns: Nanoseconds, period_ns: int | None) -> Nanoseconds:
    ordered = distinct(stamps_ns)
    steps = np.diff(ordered)
    wide = np.flatnonzero(2 * steps > 3 * (period_ns or 0))
    wide = wide[np.argsort(-steps[wide], kind="stable")]
    return np.stack([ordered[wide], ordered[wide + 1]], axis=1)


def _holes(stream: Stream, clock: SensorClock, pauses_ns: Nanoseconds) -> tuple[Hole, ...]:
    gaps_ns = _gaps(stream.stamps_ns, clock.report.period_p50_ns)
    middles = pauses_ns[:, 0] + (pauses_ns[:, 1] - pauses_ns[:, 0]) // 2
    paused = np.searchsorted(middles, gaps_ns[:, 0]) != np.searchsorted(middles, gaps_ns[:, 1])
    return tuple(Hole(begin_ns, end_ns - begin_ns) for begin_ns, end_ns in gaps_ns[~paused][:MAX_GAPS].tolist())


def _sensor(
    stream: Stream,
    clock: SensorClock,
    gaps: tuple[Hole, ...],
    facts: Mapping[str, MatchFacts],
    issues: Sequence[SyncIssue],
    home: str,
) -> SensorSync:
    own_issues = [one for one in issues if one.sensor == stream.sensor]
    fact = facts.get(stream.sensor)
    fit = clock.fit
    own = fit if stream.sensor == home else None
    return SensorSync(
        sensor=stream.sensor,
        modality=stream.modality,
        verdict="error" if any(one.error for one in own_issues) else "warning" if own_issues else "ok",
        findings=tuple(sorted({one.rule_id for one in own_issues})),
        clock=clock.report,
        gaps=gaps,
        unit=clock.unit.words if clock.unit else None,
        clock_steps=clock.steps,
        log_offset_ns=fit.offset_ns if fit else None,
        drift_ppm=own.drift_ppm if own else clock.drift_ppm,
        drift_uncertainty_ppm=own.drift_uncertainty_ppm if own else clock.drift_uncertainty_ppm,
        domain=clock.domain,
        declared_delay_ns=clock.expected_delay_ns if fact else None,
        delay=clock.delay,
        delay_error_ns=clock.delay_error_ns,
        expected_delay_ns=fact.expected_delay_ns if fact else None,
        tolerance_ns=fact.tolerance_ns if fact else None,
        matched=fact.matched if fact else None,
        no_frame=fact.no_frame if fact else None,
        outside_tolerance=fact.outside_tolerance if fact else None,
        residuals=fact.residuals if fact else None,
    )


def _domains(clocks: ClockSurvey, streams: Sequence[Stream]) -> tuple[ClockDomain, ...]:
    typical = {one.sensor: percentile(one.stamps_ns, 50) for one in streams if one.stamps_ns.size}
    return tuple(
        ClockDomain(one.sensors, one.at_ns, epoch_name(typical[one.sensors[0]]), difference_name(one.at_ns) if number else None)
        for number, one in enumerate(clocks.domains)
    )
