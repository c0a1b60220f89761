"""Which sensors share a clock: stamps since boot beside stamps since 1970 are the commonest mixture in one recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sensors.clocks.units import plausible
from sensors.rig import NS_PER_S

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
    return "boot" if 0 <= stamp_ns < 946_684_800 * NS_PER_S else "unknown"


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
