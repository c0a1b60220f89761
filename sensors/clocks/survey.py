"""The clocks of all sensors of a recording: each by itself, against the reference, and which sensors share a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sensors.clocks.bursts import bursts_of
from sensors.clocks.clock import ClockFit, ClockReport, clock_report, fit_clock
from sensors.clocks.delay import Delay, estimate_delay
from sensors.clocks.domains import Domain, ahead, clock_domains, logged_domains
from sensors.clocks.steps import ClockStep, ClockSteps, clock_steps, set_by, settings
from sensors.clocks.time_line import FEW, TimeLine, beyond, time_line
from sensors.clocks.units import UnitError, log_pace, unit_error
from sensors.stamps import MAX_STAMP_NS, Nanoseconds, percentile
from sensors.time_units import NS_PER_S

_ONE_RECORDING_NS = 3600 * NS_PER_S  # without log times: clocks that differ by less may as well be late starters
_NEAR_NS = 10 * NS_PER_S  # before and after a step, in which other sensors' lags are compared
_FARTHEST_NS = 4 * 10**18  # a stamp less this still fits int64
OTHER_PACE = 1.07  # log times that pass so many times faster or slower than the stamps are no witness of anything

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ClockStream:
    """One sensor's frames in the order of logging: stamps and log times (N,) int64 ns.

    `log_ns` is None where it was not recorded. `expected_delay_ns`: as the rig declares it, else None. `rate_hz`: the
    nominal rate, None if unknown. `delayed`: whether its frames are matched to the reference's, so that it has a delay
    against them; poses and the like are interpolated. `measures_ns`: from the stamp to the end of the measurement.
    """

    sensor: str
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds | None
    rate_hz: float | None = None
    expected_delay_ns: int | None = None
    delayed: bool = True
    measures_ns: int = 0


@dataclass(frozen=True, slots=True)
class SensorClock:
    """The findings about one sensor's clock.

    `fit`: against log time, of the longest stretch between clock steps; None without log times. `drift_ppm`: against the
    reference's clock, by way of log time, and its uncertainty; None where either is not known. `domain`: a number, 0 for the
    reference's; `domain_offset_ns`: how far off it is, 0 inside. `delay`: None for the reference and for what has none.
    `log_pace`: how fast the stamps pass against log times, None without any. `ahead_ns`: by how much stamps are later than
    their own log times, where that tells the reference's domain from the others; else 0. `stamps_off`, `stamps_late`: how many
    do not fit the time line, and how many were recorded after later ones (`sensors.clocks.time_line`). All but `report.frames`
    and `report.duplicates` is of the stamps that fit.
    """

    sensor: str
    report: ClockReport
    unit: UnitError | None
    steps: ClockSteps
    fit: ClockFit | None
    drift_ppm: float | None
    drift_uncertainty_ppm: float | None
    domain: int
    domain_offset_ns: int
    expected_delay_ns: int | None
    delay: Delay | None
    log_pace: float | None = None
    ahead_ns: int = 0
    stamps_off: int = 0
    stamps_late: int = 0

    @property
    def delay_error_ns(self) -> int | None:
        """Estimated less declared delay; None where either is not known."""
        if self.delay is None or self.delay.delay_ns is None or self.expected_delay_ns is None:
            return None
        return self.delay.delay_ns - self.expected_delay_ns


@dataclass(frozen=True, slots=True, eq=False)
class FrameClocks:
    """What is known of the single frames (N,) of a sensor, in the order of logging: their place on the time line, and by how much
    the clock that stamped them was off the setting that agrees with the other sensors, in ns; 0 for a frame of that setting."""

    line: TimeLine
    setting_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class ClockSurvey:
    """All sensors by name, and their clock domains, the reference's first; one whose stamps are in another unit is in none.
    `logged`: whether log times were compared. `frames`: by sensor."""

    sensors: Mapping[str, SensorClock]
    domains: tuple[Domain, ...]
    logged: bool
    frames: Mapping[str, FrameClocks]


def survey(streams: Sequence[ClockStream], reference: str | None, within_ns: tuple[int, int] | None = None) -> ClockSurvey:
    """Judge the clocks of a recording. Log times that equal the stamps throughout, or pass at another pace, are taken as absent.

    `reference` names the stream that the others are compared with; None, or a name without frames, for none. `within_ns`: stamps
    outside of it do not fit the time line, where they are few.

    Raises:
        ValueError: A stream's arrays are not integer nanoseconds of equal length, or a rate is not positive.
    """
    cleaned = _witnessed([_Cleaned.of(stream, within_ns) for stream in streams])
    anchors = next((one.stamps_ns for one in cleaned if one.sensor == reference and one.stamps_ns.size), None)
    sound = [one for one in cleaned if one.stamps_ns.size and one.unit is None]
    off_trusted = _off_trusted(sound, reference)
    found = {one.sensor: _alone(one, anchors, reference, off_trusted.get(one.sensor)) for one in cleaned}
    trusted = {name: off_ns == 0 for name, off_ns in off_trusted.items()}
    kept = {one.sensor: one.stamps_ns[trusted[one.sensor]] for one in sound}
    lags = {one.sensor: one.log_ns[trusted[one.sensor]] - kept[one.sensor] for one in sound if one.log_ns is not None}
    places = {one.sensor: one.stream.measures_ns - percentile(lags[one.sensor], 50) for one in sound if one.sensor in lags}
    domains = logged_domains(places, reference) if len(places) == len(sound) else _unlogged_domains(kept, reference)
    leading = ahead(places)
    home = found[reference].fit if reference in found else None
    for number, domain in enumerate(domains):
        for name in domain.sensors:
            ahead_ns = places[name] if name in leading and number == 0 else 0  # of another domain, its offset says it
            one = replace(found[name], domain=number, domain_offset_ns=domain.at_ns, ahead_ns=ahead_ns)
            found[name] = _drifting(one, home)
    frames = {one.sensor: one.frames(off_trusted.get(one.sensor)) for one in cleaned}
    logged = any(one.log_ns is not None for one in cleaned)
    return ClockSurvey(MappingProxyType(found), domains, logged, MappingProxyType(frames))


@dataclass(frozen=True, slots=True, eq=False)
class _Cleaned:
    """A stream without the stamps that do not fit its time line, and without log times that are no witness."""

    stream: ClockStream
    line: TimeLine
    pace: float | None
    unit: UnitError | None
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds | None
    steps: ClockSteps

    @property
    def sensor(self) -> str:
        return self.stream.sensor

    @classmethod
    def of(cls, stream: ClockStream, within_ns: tuple[int, int] | None) -> _Cleaned:
        stamps_ns, logged = stream.stamps_ns, stream.log_ns
        if logged is not None and np.array_equal(logged, stamps_ns):
            logged = None
        unit = unit_error(stamps_ns, logged, stream.rate_hz)
        pace = None if logged is None else log_pace(stamps_ns, logged)
        if pace is None or (unit is None and not 1 / OTHER_PACE <= pace <= OTHER_PACE):
            logged = None
        line = time_line(stamps_ns, logged)
        if within_ns is not None:
            line = _bounded(line, stamps_ns, within_ns)
        kept = ~line.off
        stamps_ns, logged = stamps_ns[kept], None if logged is None else logged[kept]
        in_time = np.flatnonzero(~line.late[kept])
        steps = clock_steps(stamps_ns[in_time], None if logged is None else logged[in_time])
        return cls(stream, line, pace, unit, stamps_ns, logged, _moved(steps, in_time))

    def level_ns(self, stretch: slice) -> int:
        """End of the measurement, by the stamp, less log time: the median of a stretch of frames; 0 without log times."""
        if self.log_ns is None:
            return 0
        return self.stream.measures_ns - percentile(self.log_ns[stretch] - self.stamps_ns[stretch], 50)

    def frames(self, setting_ns: Nanoseconds | None) -> FrameClocks:
        """`setting_ns`: of the stamps that fit; None where nothing is known."""
        of_all = np.zeros(self.line.off.size, dtype=np.int64)
        if setting_ns is not None:
            of_all[~self.line.off] = setting_ns
        return FrameClocks(self.line, of_all)


def _bounded(line: TimeLine, stamps_ns: Nanoseconds, within_ns: tuple[int, int]) -> TimeLine:
    off_ns = np.where(line.off, 0, beyond(stamps_ns, *within_ns))
    outside = off_ns != 0
    few = np.count_nonzero(outside) + np.count_nonzero(line.off) <= max(FEW * stamps_ns.size, 1)
    return line.with_off(outside, off_ns) if few else line


def _alone(one: _Cleaned, anchors: Nanoseconds | None, reference: str | None, off_ns: Nanoseconds | None) -> SensorClock:
    """`off_ns` (N,): by how much the stamps are off the trusted setting of the clock; None where nothing is known."""
    stream, stamps_ns, logged = one.stream, one.stamps_ns, one.log_ns
    compared = stream.delayed and anchors is not None and stream.sensor != reference
    return SensorClock(
        sensor=stream.sensor,
        report=_report(one, np.zeros_like(stamps_ns) if off_ns is None else off_ns),
        unit=one.unit,
        steps=_moved(one.steps, np.flatnonzero(~one.line.off)),
        fit=None if logged is None else _fit(stamps_ns, logged, one.steps),
        drift_ppm=None,
        drift_uncertainty_ppm=None,
        domain=0,
        domain_offset_ns=0,
        expected_delay_ns=stream.expected_delay_ns,
        delay=estimate_delay(anchors, stamps_ns, stream.expected_delay_ns) if compared and anchors is not None else None,
        log_pace=one.pace,
        stamps_off=int(np.count_nonzero(one.line.off)),
        stamps_late=int(np.count_nonzero(one.line.late)),
    )


def _report(one: _Cleaned, off_ns: Nanoseconds) -> ClockReport:
    """The ends are those of the trusted setting, gaps and rates are measured as if the clock had never been set, and repeated
    stamps and steps back are those recorded."""
    stream, logged = one.stream, one.log_ns
    turn = _in_turn(one.stamps_ns, one.line.late[~one.line.off])
    recorded = one.stamps_ns[turn]
    stamps_ns = np.clip(recorded - off_ns[turn], -MAX_STAMP_NS, MAX_STAMP_NS)
    report = clock_report(stamps_ns, stamps_ns if logged is None else logged[turn], stream.rate_hz)
    trusted = one.stamps_ns[off_ns == 0]
    report = replace(
        report,
        frames=stream.stamps_ns.size,
        first_ns=int(trusted.min()) if trusted.size else report.first_ns,
        last_ns=int(trusted.max()) if trusted.size else report.last_ns,
        regressions=int(np.count_nonzero(np.diff(recorded) < 0)),
        duplicates=int(np.count_nonzero(np.diff(stream.stamps_ns) == 0)),
        log_offset_p50_ns=None if stream.log_ns is None else report.log_offset_p50_ns,
    )
    return _of_scans(report, stamps_ns, stream.rate_hz) if stream.delayed else report


def _of_scans(report: ClockReport, stamps_ns: Nanoseconds, rate_hz: float | None) -> ClockReport:
    """The rate and the gaps of scans, for a sensor that sends them row by row, unless the nominal rate is that of the rows."""
    found = bursts_of(stamps_ns)
    if found is None or (rate_hz is not None and rate_hz * rate_hz * found.period_ns * found.row_period_ns > NS_PER_S**2):
        return report
    scans = clock_report(found.starts_ns, found.starts_ns, rate_hz)
    return replace(
        report,
        measured_rate_hz=scans.measured_rate_hz,
        period_p50_ns=scans.period_p50_ns,
        jitter_p95_ns=scans.jitter_p95_ns,
        max_gap_ns=scans.max_gap_ns,
        gaps=scans.gaps,
        lost=scans.lost * found.rows,
    )


def _in_turn(stamps_ns: Nanoseconds, late: Bools) -> Nanoseconds:
    """The order in which the stamps (N,) were measured, (N,): as recorded, but for those that were recorded late."""
    order = np.arange(stamps_ns.size)
    if not late.any():
        return order
    in_time, behind = order[~late], order[late][np.argsort(stamps_ns[late], kind="stable")]
    highest = np.maximum.accumulate(stamps_ns[in_time])
    return np.insert(in_time, np.searchsorted(highest, stamps_ns[behind]), behind)


def _moved(steps: ClockSteps, kept: npt.NDArray[np.intp]) -> ClockSteps:
    """The steps among some frames, with the positions (N,) that these have among all."""
    return ClockSteps(steps.count, tuple(replace(step, frame=int(kept[step.frame])) for step in steps.first))


def _witnessed(streams: Sequence[_Cleaned]) -> list[_Cleaned]:
    """The streams without the steps that only log times show, and that no more of the other sensors lack than have: there the
    recorder stalled, or its own clock was set."""
    logged = [one for one in streams if one.log_ns is not None and one.stamps_ns.size]
    found = []
    for one in streams:
        believed = tuple(step for step in one.steps.first if not step.silent or _lacked(step, one, logged))
        count = one.steps.count - len(one.steps.first) + len(believed)
        found.append(one if count == one.steps.count else replace(one, steps=ClockSteps(count, believed)))
    return found


def _lacked(step: ClockStep, one: _Cleaned, streams: Sequence[_Cleaned]) -> bool:
    assert one.log_ns is not None
    last_ns, next_ns = int(one.log_ns[step.frame - 1]), int(one.log_ns[step.frame])
    votes = 0
    for other in streams:
        if other is one or other.log_ns is None:
            continue
        lags = other.log_ns - other.stamps_ns
        before = lags[(other.log_ns <= last_ns) & (other.log_ns > last_ns - _NEAR_NS)]
        after = lags[(other.log_ns >= next_ns) & (other.log_ns < next_ns + _NEAR_NS)]
        if before.size and after.size:
            moved = int(after.min()) - int(before.min())
            votes += 1 if 2 * abs(moved + step.shift_ns) > abs(step.shift_ns) else -1
    return votes > 0


def _fit(stamps_ns: Nanoseconds, log_ns: Nanoseconds, steps: ClockSteps) -> ClockFit | None:
    """A clock that was set is linear only between two settings; the longest stretch is fitted."""
    longest = max(settings(steps, stamps_ns.size), key=lambda stretch: stretch.stop - stretch.start)
    return fit_clock(stamps_ns[longest], log_ns[longest])


def _off_trusted(streams: Sequence[_Cleaned], reference: str | None) -> dict[str, Nanoseconds]:
    """Of each sensor, by how much its stamps (N,) are off the setting of its clock that agrees best with the reference's.

    Without log times to compare, that is the first one within an hour of the reference's stamps, as a clock is right until
    somebody sets it; where there is none, the longest.
    """
    ordered = sorted(streams, key=lambda one: one.sensor != reference)
    off_trusted: dict[str, Nanoseconds] = {}
    levels: list[int] = []  # stamp less log time of the sensors so far, the reference's first
    steady = [one for one in streams if not one.steps.count and one.log_ns is not None]
    for one in ordered:
        stretches = settings(one.steps, one.stamps_ns.size)
        levels_of = [one.level_ns(stretch) for stretch in stretches]
        if len(stretches) == 1:
            chosen = 0
        elif one.log_ns is not None and (levels or steady):
            usual = levels[0] if levels else _level(steady)
            chosen = min(range(len(stretches)), key=lambda at: (abs(levels_of[at] - usual), at))
        else:
            chosen = _first_near(one, stretches, streams, reference)
        if one.log_ns is not None:
            levels.append(levels_of[chosen])
        off_trusted[one.sensor] = _off_setting(one, stretches, chosen)
    return off_trusted


def _level(streams: Sequence[_Cleaned]) -> int:
    return percentile(np.array([one.level_ns(slice(None)) for one in streams], dtype=np.int64), 50)


def _first_near(one: _Cleaned, stretches: Sequence[slice], streams: Sequence[_Cleaned], reference: str | None) -> int:
    sizes = [stretch.stop - stretch.start for stretch in stretches]
    longest = max(range(len(stretches)), key=lambda at: (sizes[at], -at))
    home = next((other for other in streams if other.sensor == reference and other is not one), None)
    if one.log_ns is not None or home is None:
        return longest
    middle = percentile(home.stamps_ns, 50)
    span_ns = max(_ONE_RECORDING_NS, percentile(home.stamps_ns, 90) - percentile(home.stamps_ns, 10))
    near = (at for at, stretch in enumerate(stretches) if abs(percentile(one.stamps_ns[stretch], 50) - middle) <= span_ns)
    return next(near, longest)


def _off_setting(one: _Cleaned, stretches: Sequence[slice], chosen: int) -> Nanoseconds:
    """By how much the stamps (N,) are off the setting of the stretch `chosen`; 0 where the clock came back to it."""
    by_ns = set_by(one.steps)
    leeway_ns = _period(one.stamps_ns) // 2
    off_ns = np.zeros(one.stamps_ns.size, dtype=np.int64)
    for at, stretch in enumerate(stretches):
        difference_ns = by_ns[at] - by_ns[chosen]
        off_ns[stretch] = 0 if abs(difference_ns) <= leeway_ns else max(-_FARTHEST_NS, min(_FARTHEST_NS, difference_ns))
    return off_ns


def _period(stamps_ns: Nanoseconds) -> int:
    steps = np.diff(stamps_ns)
    steps = steps[steps > 0]
    return percentile(steps, 50) if steps.size else 0


def _unlogged_domains(kept: Mapping[str, Nanoseconds], reference: str | None) -> tuple[Domain, ...]:
    """By the middle of the stamps, where not every sensor has log times to compare."""
    # Four fifths of the stamps: one that is wrong must not stretch the span until everything is one domain.
    spans = [percentile(stamps, 90) - percentile(stamps, 10) for stamps in kept.values()]
    middles = {name: percentile(stamps, 50) for name, stamps in kept.items()}
    return clock_domains(middles, reference, max([_ONE_RECORDING_NS, *spans]))


def _drifting(one: SensorClock, home: ClockFit | None) -> SensorClock:
    if one.fit is None or one.fit.drift_ppm is None or one.unit is not None or home is None or home.drift_ppm is None:
        return one
    apart = (one.fit.drift_uncertainty_ppm or 0.0) + (home.drift_uncertainty_ppm or 0.0)
    return replace(one, drift_ppm=one.fit.drift_ppm - home.drift_ppm, drift_uncertainty_ppm=apart)
