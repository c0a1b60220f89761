"""The clocks of all sensors of a recording: each by itself, against the reference, and which sensors share a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from sensors.clocks.clock import ClockFit, ClockReport, clock_report, fit_clock
from sensors.clocks.delay import Delay, estimate_delay
from sensors.clocks.steps import ClockSteps, clock_steps
from sensors.clocks.units import UnitError, unit_error
from sensors.stamps import PLAUSIBLE_START_NS, Nanoseconds, percentile, plausible
from sensors.time_units import NS_PER_S

APART_NS = NS_PER_S  # transport takes less than a second; the smallest difference of two epochs is leap seconds
_GPS_EPOCH_S = 315_964_800  # 1980-01-06, less leap seconds: IS-GPS-200
_LEAP_S = {18: "GPS time, without leap seconds", 37: "TAI, without leap seconds", 19: "TAI beside GPS time"}
_HOUR_S = 3600
_ZONES_H = 14


@dataclass(frozen=True, slots=True)
class Domain:
    """One clock domain. `at_ns`: the place of its first member on the axis that was grouped, less that of the reference's
    domain (0 for it); `sensors` sorted."""

    at_ns: int
    sensors: tuple[str, ...]


def clock_domains(places_ns: Mapping[str, int], reference: str | None, apart_ns: int = APART_NS) -> tuple[Domain, ...]:
    """Group sensors by what tells their clocks apart: stamp less log time, or without log times their first stamps.

    Two sensors whose places differ by at most `apart_ns` share a domain, and so does any sensor between them. The first
    domain is that of `reference`, or if that is not among the sensors, the largest; the others follow by size and place.
    """
    ordered = sorted(places_ns, key=lambda name: (places_ns[name], name))
    groups: list[list[str]] = []
    for name in ordered:
        if groups and places_ns[name] - places_ns[groups[-1][-1]] <= apart_ns:
            groups[-1].append(name)
        else:
            groups.append([name])
    groups.sort(key=lambda group: (reference not in group, -len(group), places_ns[group[0]]))
    if not groups:
        return ()
    home = reference if reference in groups[0] else groups[0][0]
    base_ns = places_ns[home]
    return tuple(
        Domain(0 if number == 0 else places_ns[group[0]] - base_ns, tuple(sorted(group))) for number, group in enumerate(groups)
    )


def epoch_name(stamp_ns: int) -> str:
    """What a stamp counts from, judged by its size: `1970`, or `boot` for less than 30 years."""
    if plausible(stamp_ns):
        return "1970"
    return "boot" if 0 <= stamp_ns < PLAUSIBLE_START_NS else "unknown"


def difference_name(difference_ns: int) -> str | None:
    """A known reason for two clocks to differ by this much; None where none is known."""
    seconds = abs(difference_ns) / NS_PER_S
    if abs(seconds - _GPS_EPOCH_S) < 60:
        return "the GPS epoch"
    for leap_s, name in _LEAP_S.items():
        if abs(seconds - leap_s) < 1:
            return name
    hours = round(seconds / _HOUR_S)
    return f"{hours} h: a time zone" if 1 <= hours <= _ZONES_H and abs(seconds - hours * _HOUR_S) < 1 else None


_ONE_RECORDING_NS = 3600 * NS_PER_S  # without log times: clocks that differ by less may as well be late starters


@dataclass(frozen=True, slots=True, eq=False)
class ClockStream:
    """One sensor's frames in the order of logging: stamps and log times (N,) int64 ns.

    `log_ns` is None where it was not recorded. `expected_delay_ns`: as the rig declares it, else None. `rate_hz`: the
    nominal rate, None if unknown. `delayed`: whether its frames are matched to the reference's, so that it has a delay
    against them; poses and the like are interpolated.
    """

    sensor: str
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds | None
    rate_hz: float | None = None
    expected_delay_ns: int | None = None
    delayed: bool = True


@dataclass(frozen=True, slots=True)
class SensorClock:
    """The findings about one sensor's clock.

    `fit`: against log time, of the longest stretch between clock steps; None without log times. `drift_ppm`: against the
    reference's clock, by way of log time, and its uncertainty; None where either is not known. `domain`: a number, 0 for the
    reference's; `domain_offset_ns`: how far off it is, 0 inside. `delay`: None for the reference and for what has none.
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

    @property
    def delay_error_ns(self) -> int | None:
        """Estimated less declared delay; None where either is not known."""
        if self.delay is None or self.delay.delay_ns is None or self.expected_delay_ns is None:
            return None
        return self.delay.delay_ns - self.expected_delay_ns


@dataclass(frozen=True, slots=True)
class ClockSurvey:
    """All sensors by name, and their clock domains, the reference's first; one whose stamps are in another unit is in none.
    `logged`: whether log times were compared."""

    sensors: Mapping[str, SensorClock]
    domains: tuple[Domain, ...]
    logged: bool


def survey(streams: Sequence[ClockStream], reference: str | None) -> ClockSurvey:
    """Judge the clocks of a recording. Log times that equal the stamps throughout are taken as absent.

    `reference` names the stream that the others are compared with; None, or a name without frames, for none.

    Raises:
        ValueError: A stream's arrays are not integer nanoseconds of equal length, or a rate is not positive.
    """
    logged = {
        stream.sensor: stream.log_ns
        for stream in streams
        if stream.log_ns is not None and not np.array_equal(stream.log_ns, stream.stamps_ns)
    }
    anchors = next((stream.stamps_ns for stream in streams if stream.sensor == reference and stream.stamps_ns.size), None)
    found = {stream.sensor: _alone(stream, logged.get(stream.sensor), anchors, reference) for stream in streams}
    sound = [stream for stream in streams if stream.stamps_ns.size and found[stream.sensor].unit is None]
    domains = _domains(sound, logged, reference)
    home = found[reference].fit if reference in found else None
    for number, domain in enumerate(domains):
        for name in domain.sensors:
            one = replace(found[name], domain=number, domain_offset_ns=domain.at_ns)
            found[name] = _drifting(one, home)
    return ClockSurvey(MappingProxyType(found), domains, bool(logged))


def _alone(stream: ClockStream, logged: Nanoseconds | None, anchors: Nanoseconds | None, reference: str | None) -> SensorClock:
    report = clock_report(stream.stamps_ns, stream.stamps_ns if logged is None else logged, stream.rate_hz)
    if stream.log_ns is None:
        report = replace(report, log_offset_p50_ns=None)
    unit = unit_error(stream.stamps_ns, logged, stream.rate_hz)
    steps = clock_steps(stream.stamps_ns, logged)
    compared = stream.delayed and anchors is not None and stream.sensor != reference
    return SensorClock(
        sensor=stream.sensor,
        report=report,
        unit=unit,
        steps=steps,
        fit=None if logged is None else _fit(stream.stamps_ns, logged, steps),
        drift_ppm=None,
        drift_uncertainty_ppm=None,
        domain=0,
        domain_offset_ns=0,
        expected_delay_ns=stream.expected_delay_ns,
        delay=estimate_delay(anchors, stream.stamps_ns, stream.expected_delay_ns) if compared and anchors is not None else None,
    )


def _fit(stamps_ns: Nanoseconds, log_ns: Nanoseconds, steps: ClockSteps) -> ClockFit | None:
    """A clock that was set is linear only between two settings; the longest stretch is fitted."""
    edges = [0, *(step.frame for step in steps.first), stamps_ns.size]
    first, last = max(pairwise(edges), key=lambda pair: pair[1] - pair[0])
    return fit_clock(stamps_ns[first:last], log_ns[first:last])


def _domains(streams: Sequence[ClockStream], logged: Mapping[str, Nanoseconds], reference: str | None) -> tuple[Domain, ...]:
    """By stamp less log time if every sensor has log times; else by the middle of the stamps."""
    present = [stream for stream in streams if stream.stamps_ns.size]
    if all(stream.sensor in logged for stream in present):
        return clock_domains({one.sensor: percentile(one.stamps_ns - logged[one.sensor], 50) for one in present}, reference)
    # Four fifths of the stamps: one that is wrong must not stretch the span until everything is one domain.
    spans = [percentile(one.stamps_ns, 90) - percentile(one.stamps_ns, 10) for one in present]
    middles = {one.sensor: percentile(one.stamps_ns, 50) for one in present}
    return clock_domains(middles, reference, max([_ONE_RECORDING_NS, *spans]))


def _drifting(one: SensorClock, home: ClockFit | None) -> SensorClock:
    if one.fit is None or one.fit.drift_ppm is None or one.unit is not None or home is None or home.drift_ppm is None:
        return one
    apart = (one.fit.drift_uncertainty_ppm or 0.0) + (home.drift_uncertainty_ppm or 0.0)
    return replace(one, drift_ppm=one.fit.drift_ppm - home.drift_ppm, drift_uncertainty_ppm=apart)
