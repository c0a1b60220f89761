"""The times of a DGP scene, and the unit that they are really in.

Scenes made of ticks of 100 ns whose ticks were written as microseconds stand in the 25th century, and every step is ten
times too long. No stamp of ours reaches so far, so such times must be corrected or refused. They are corrected only if
every file of the scene bears it out: named by the very digits of its time, which read as ticks is a time of this age. What
can be stored is never touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fleet.encode import MAX_SEC
from fleet.errors import SourceError
from fleet.importers.dgp.scene import Datum
from fleet.importers.source import median_ns
from sensors.rig import NS_PER_S

LAST_STAMP_NS = (MAX_SEC + 1) * NS_PER_S - 1
FIRST_OF_AN_AGE_NS = 946_684_800 * NS_PER_S  # the year 2000: no drive of this format is older
TICKS = 10  # a microsecond as written that is a tick of 100 ns
NS_PER_US = 1_000


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """By what the times of a scene, as written, are to be divided: 1, or 10 for ticks of 100 ns written as microseconds."""

    divisor: int

    def stamp_ns(self, datum: Datum) -> int:
        """When the datum was measured; exact, since a tick is a whole number of nanoseconds."""
        return datum.written_ns // self.divisor


def find_unit(data: Sequence[Datum], findings: list[str]) -> TimeUnit:
    """The unit of all times of the scene; that it is not the one written is a finding.

    Raises:
        SourceError: A time is later than a stamp can be, and the scene's files do not bear out that it is in ticks.

    """
    late = [datum for datum in data if datum.written_ns > LAST_STAMP_NS]
    if early := [datum for datum in data if datum.written_ns < 0]:
        raise SourceError(f"{early[0].path.name} has the time {early[0].written}, before 1970, which no stamp can be")
    if not late:
        return TimeUnit(1)
    for datum in data:
        micros, rest = divmod(datum.written_ns, NS_PER_US)
        if rest or datum.path.stem != str(micros):
            raise SourceError(
                f"{datum.path} has the time {datum.written} ({micros} µs after 1970) but is not named by it; times of this scene "
                f"reach {max(late, key=lambda one: one.written_ns).written}, later than a stamp can be, so their unit is wrong, "
                "but the file names do not show which it is: correct them at the source"
            )
        if not FIRST_OF_AN_AGE_NS <= datum.written_ns // TICKS <= LAST_STAMP_NS:
            raise SourceError(f"{datum.path} has the time {datum.written}, no drive's, in microseconds or in ticks of 100 ns")
    findings.append(_said(data))
    return TimeUnit(TICKS)


def _said(data: Sequence[Datum]) -> str:
    first = min(data, key=lambda datum: datum.written_ns)
    by_sensor: dict[str, list[int]] = {}
    for datum in data:
        by_sensor.setdefault(datum.name, []).append(datum.written_ns)
    name, times = next(iter(by_sensor.items()))
    steps = [after - before for before, after in itertools.pairwise(times)]
    usual = ""
    if steps:
        step_ns = median_ns(steps)
        usual = f"; the usual step of {name}, written as {step_ns / 1e6:.1f} ms, is {step_ns / TICKS / 1e6:.2f} ms"
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first.written_ns // TICKS // NS_PER_US)
    return (
        f"stamps: written from {first.written} on, later than any stamp can be; all {len(data)} files are named by the same "
        f"digits, which are ticks of 100 ns written as microseconds. Read as ticks: from {date:%Y-%m-%dT%H:%M:%S.%fZ} on{usual}"
    )
