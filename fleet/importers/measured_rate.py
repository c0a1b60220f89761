"""A sensor's rate as its stamps show it, where they show one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from fleet.importers.source import median_ns
from sensors.rig import NS_PER_S

SLOWEST_HZ, FASTEST_HZ = 0.001, 10_000.0


def rate_hz(stamps_ns: Sequence[int], documented_hz: float) -> float:
    """The rate by the median of the forward steps between stamps; the documented one where there is none, or none sensible."""
    forward_ns = [after - before for before, after in itertools.pairwise(stamps_ns) if after > before]
    return within(NS_PER_S / median_ns(forward_ns) if forward_ns else 0.0, documented_hz)


def within(measured_hz: float, documented_hz: float) -> float:
    """The measured rate to the millihertz; the documented one where the measured is none that a rig may have."""
    return round(measured_hz, 3) if SLOWEST_HZ <= measured_hz <= FASTEST_HZ else documented_hz
