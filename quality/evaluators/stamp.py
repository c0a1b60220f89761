"""The rules that say which frames no scene may hold because of their stamps."""

from __future__ import annotations

from quality.rules.findings import Finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.time_units import NS_PER_S


def off_line(sensor: str, stamp_ns: int, off_ns: int, rules: RuleBook = DEFAULT_RULES) -> Finding:
    """CLK011 of a frame whose stamp is `off_ns` from where the sensor's other frames put it (below zero: too early)."""
    off_s, side = abs(off_ns) / NS_PER_S, "before" if off_ns < 0 else "after"
    message = f"{sensor}: the stamp {stamp_ns} ns is {off_s:.3f} s {side} where the sensor's other frames put it"
    return rules.finding("CLK011", message, sensor=sensor, measured=off_s)


def other_clock(sensor: str, rules: RuleBook = DEFAULT_RULES, *, pose: bool = False) -> Finding:
    """SYN005 of a scene that lacks a sensor because of its clock; of the poses, POS008."""
    message = f"{sensor}: its frames near the anchor were stamped by a clock that was set, or is not the reference's"
    return rules.finding("POS008" if pose else "SYN005", message, sensor=sensor, measured=1)
