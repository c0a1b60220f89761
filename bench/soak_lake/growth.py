"""What a publication costs in the old lake of a soak, as a ratio to a young one.

The two take turns, drive by drive: over the hours of a soak, a machine's speed
changes by more than the promise allows.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from bench.soak_lake.fleet import FleetDrive
from bench.soak_lake.soak import Soak

YOUNG = 100  # drives in the young lake; as many follow in the old one after its last maintenance
COMPARED = 40


def publish_growth(environment: Mapping[str, str], old: Soak, published: int) -> float:
    """CPU time of publishing one more drive to `old`, which has so many, over that in a lake that has `YOUNG`; medians.

    The young lake has a catalog of its own on the same endpoint.
    """
    uri = environment["SCENELAKE_CATALOG_URI"]
    young = Soak({**environment, "SCENELAKE_CATALOG_URI": uri.replace("/catalog.db", "/young.db")})
    upcoming = map(FleetDrive, range(published, published + 2 * (YOUNG + COMPARED)))
    for _ in range(YOUNG):
        _in_turn(young, old, upcoming)
    costs = [_in_turn(young, old, upcoming) for _ in range(COMPARED)]
    return statistics.median(cost for _, cost in costs) / statistics.median(cost for cost, _ in costs)


def _in_turn(young: Soak, old: Soak, upcoming: Iterator[FleetDrive]) -> tuple[float, float]:
    return young.publish_cpu_s(next(upcoming)), old.publish_cpu_s(next(upcoming))
