"""Which sensors of a recording share a clock, and what the difference of two clocks is known for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sensors.stamps import PLAUSIBLE_START_NS, plausible
from sensors.time_units import NS_PER_S

APART_NS = NS_PER_S  # transport takes less than a second; the smallest difference of two epochs is leap seconds
AHEAD_NS = 50_000_000  # more than log times vary by, and than a recorder that is synchronised is off
_WHOLE_NS = 200_000_000  # by which transport differs from sensor to sensor, at most times
_GPS_EPOCH_S = 315_964_800  # 1980-01-06, less leap seconds: IS-GPS-200
_LEAP_S = {18: "GPS time, without leap seconds", 37: "TAI, without leap seconds", 19: "TAI beside GPS time"}
_ROLLOVER_S = 1024 * 7 * 86_400  # the week number of GPS has ten bits
_DAY_S, _HOUR_S = 86_400, 3600
_ZONES_H = 14


@dataclass(frozen=True, slots=True)
class Domain:
    """One clock domain. `at_ns`: the place of its first member on the axis that was grouped, less that of the reference's
    domain (0 for it); `sensors` sorted."""

    at_ns: int
    sensors: tuple[str, ...]


def clock_domains(places_ns: Mapping[str, int], reference: str | None, apart_ns: int = APART_NS) -> tuple[Domain, ...]:
    """Group sensors by what tells their clocks apart: stamp less log time, or without log times their first stamps.

    Two sensors whose places differ by at most `apart_ns` share a domain, and so does whoever lies between. The first domain
    is that of `reference`, or if that is not among the sensors, the largest; the others follow by size and place.
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
    return _in_whole(seconds)


def rolled_over(difference_ns: int) -> bool:
    """Whether two clocks differ by whole rollovers of the GPS week number, give or take leap seconds."""
    rollovers = round(difference_ns / (_ROLLOVER_S * NS_PER_S))
    return rollovers != 0 and abs(difference_ns - rollovers * _ROLLOVER_S * NS_PER_S) < 60 * NS_PER_S


def _in_whole(seconds: float) -> str | None:
    """Of a number of rollovers, days, hours or seconds that is whole; leap seconds may come on top of a rollover."""
    rollovers, days, hours = (round(seconds / unit) for unit in (_ROLLOVER_S, _DAY_S, _HOUR_S))
    if rolled_over(round(seconds * NS_PER_S)):
        return f"{1024 * rollovers} weeks: a rollover of the GPS week number"
    if days and abs(seconds - days * _DAY_S) < 1:
        return f"{days} d: a date that was set wrong"
    if 1 <= hours <= _ZONES_H and abs(seconds - hours * _HOUR_S) < 1:
        return f"{hours} h: a time zone"
    if round(seconds) in (1, 2) and _is_whole(round(seconds * NS_PER_S)):
        return f"{round(seconds)} s: a second miscounted, as between NMEA and PPS"
    return None


def _is_whole(difference_ns: int) -> bool:
    """Whether this is a number of whole seconds, one at least, give or take what transport differs by."""
    off_ns = abs(difference_ns) % NS_PER_S
    return abs(difference_ns) >= NS_PER_S - _WHOLE_NS and min(off_ns, NS_PER_S - off_ns) <= _WHOLE_NS


def ahead(places_ns: Mapping[str, int]) -> frozenset[str]:
    """Sensors whose stamps are later than their own log times, by more than jitter, while those of half of the others are not.

    `places_ns`: end of the measurement, by the stamp, less log time. Clocks that agree cannot do that, with a recorder that is
    synchronised. A recorder's clock that is slow by more than jitter puts all of them ahead, and then nothing is known of any.
    """
    found = set()
    for name, place_ns in places_ns.items():
        others = sorted(other for one, other in places_ns.items() if one != name)
        usual_ns = others[(len(others) - 1) // 2] if others else place_ns
        if place_ns > AHEAD_NS and usual_ns <= AHEAD_NS and place_ns - usual_ns > AHEAD_NS:
            found.add(name)
    return frozenset(found)


def logged_domains(places_ns: Mapping[str, int], reference: str | None) -> tuple[Domain, ...]:
    """Group sensors by stamp less log time (ns), as `clock_domains` does, and within a second by more than its size.

    A group is split from the reference's sensors, or without them from the one in the middle, where a sensor is more than a
    second from it, is ahead of its log times and the others are not (`ahead`), or lags by whole seconds. A residual shows
    neither: frames pair as well one second, or one period, apart.
    """
    leading = ahead(places_ns)
    groups: list[tuple[str, ...]] = []
    for domain in clock_domains(places_ns, reference):
        groups += _split(domain.sensors, places_ns, reference, leading)
    home = next((group for group in groups if reference in group), None)
    ordered = sorted(groups, key=lambda group: (group is not home, -len(group), min(places_ns[name] for name in group)))
    if not ordered:
        return ()
    base_ns = places_ns[reference] if home and reference is not None else min(places_ns[name] for name in ordered[0])
    return tuple(
        Domain(0 if number == 0 else min(places_ns[name] for name in group) - base_ns, tuple(sorted(group)))
        for number, group in enumerate(ordered)
    )


def _split(
    sensors: Sequence[str], places_ns: Mapping[str, int], reference: str | None, leading: frozenset[str]
) -> list[tuple[str, ...]]:
    by_place = sorted(sensors, key=lambda name: (places_ns[name], name))
    middle = reference if reference is not None and reference in sensors else by_place[(len(by_place) - 1) // 2]
    home: list[str] = []
    apart: list[str] = []
    for name in by_place:
        off_ns = places_ns[name] - places_ns[middle]
        differs = (name in leading) != (middle in leading) or abs(off_ns) > APART_NS or _is_whole(off_ns)
        (apart if differs else home).append(name)
    groups = [tuple(home)]
    for name in apart:
        near = len(groups) > 1 and places_ns[name] - places_ns[groups[-1][-1]] <= _WHOLE_NS
        groups[-1:] = [(*groups[-1], name)] if near else [groups[-1], (name,)]
    return groups
