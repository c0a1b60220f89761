"""The daily maintenance of the soak: all steps as production runs them, with a clock that leaps two days with each of them.

A month passes in an hour, while objects and snapshots have the time at which the emulator got them. With the clock ahead of that,
everything is old enough to be removed, and the sweep's second listing is far enough from its first. Writers and emulator have one
clock; the hour that the policy allows for their difference would be half the month.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from bench.soak_lake.endpoint import settings_of
from bench.soak_lake.fleet import DRIVES_PER_DAY, FleetDrive
from lake.iceberg.catalog import open_catalog
from lake.maintenance.compact import compact
from lake.maintenance.compaction_plan import DEFAULT_SIZES, plan
from lake.maintenance.expire import ExpirePolicy, expire
from lake.maintenance.metadata import merge_metadata
from lake.maintenance.sweep import SweepPolicy, sweep
from ops.maintenance.deployed import swept_lake
from sensors.time_units import NS_PER_DAY

LEAP_NS = 2 * NS_PER_DAY


def maintain(environment: Mapping[str, str], day_number: int) -> None:
    """Maintain the lake at the end of a day, counted from 0."""
    settings = settings_of(environment)

    def clock() -> int:
        return time.time_ns() + (day_number + 1) * LEAP_NS

    catalog = open_catalog(settings)
    expire(catalog, ExpirePolicy(), apply=True, clock=clock)
    for job in plan(catalog, DEFAULT_SIZES, FleetDrive(day_number * DRIVES_PER_DAY).day).jobs:
        compact(catalog, job, DEFAULT_SIZES)
    merge_metadata(catalog, apply=True)
    sweep(swept_lake(settings), SweepPolicy(skew_s=0), apply=True, clock=clock)
