"""The fleet of the soak: which vehicle records which drive on which day, and what becomes of it.

84 vehicles record four drives a day: 336 drives, which is 15 TB at half an hour a drive (`bench.capacity.assumptions`). Every
twentieth drive is uploaded again with other content, every thirtieth has a scene in quarantine that a reviewer releases later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.landing import DriveId
from sensors.time_units import NS_PER_S

VEHICLES = 84
DRIVES_PER_DAY = 336
REVISED_EVERY = 20
REVIEWED_EVERY = 30
FIRST_DAY = date(2026, 1, 1)
_HOURS = (6, 10, 14, 18)  # UTC, of a vehicle's drives


@dataclass(frozen=True, slots=True)
class FleetDrive:
    """The `number`-th drive that lands, counted from 0."""

    number: int

    @property
    def day_number(self) -> int:
        """Days since the first."""
        return self.number // DRIVES_PER_DAY

    @property
    def day(self) -> date:
        """UTC day on which it was recorded."""
        return FIRST_DAY + timedelta(days=self.day_number)

    @property
    def id(self) -> DriveId:
        """Vehicle and drive."""
        return DriveId(f"vehicle-{self.number % VEHICLES:03d}", f"drive-{self.number:06d}")

    @property
    def start_ns(self) -> int:
        """Stamp of its first frame."""
        turn = self.number % DRIVES_PER_DAY // VEHICLES
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return (int(midnight.timestamp()) + 3600 * _HOURS[turn]) * NS_PER_S

    @property
    def revised(self) -> bool:
        """Whether it is uploaded a second time, with other content."""
        return self.number % REVISED_EVERY == REVISED_EVERY - 1

    @property
    def reviewed(self) -> bool:
        """Whether a scene of it is quarantined first, and released later."""
        return self.number % REVIEWED_EVERY == REVIEWED_EVERY - 1


def drives(numbers: range) -> Iterator[FleetDrive]:
    """The drives of these numbers in the order of their landing."""
    return map(FleetDrive, numbers)
