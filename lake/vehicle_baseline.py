"""The baseline of a vehicle: what each of its sensors delivered in earlier, sound drives.

It is learned on request (`scenelake vehicle baseline learn`), stored in the lake bucket, and pinned in the input of each drive
that is queued afterwards (`lake.drive_input`), so that two runs of one revision compare with the same numbers (ADR 0035).
"""

from __future__ import annotations

import msgspec

from lake.documents import canonical_json, parse_document
from lake.errors import LandingError

SCHEMA_VERSION = 1
LEAST_DRIVES = 3  # as in the schema: a median of fewer drives is that of the one that was different
MAX_DRIVES = 100


class LearnedFrom(msgspec.Struct, frozen=True):
    """A published drive that the baseline was learned from, and the code that had measured it."""

    drive_id: str
    revision: str
    code_version: str


class BaselineStatistic(msgspec.Struct, frozen=True):
    """One statistic over drives, each of which counts with its own median.

    `spread`: median absolute deviation as a standard deviation. `older`, `newer`: medians of the older and the newer half of
    the drives; they differ where the sensor drifts.
    """

    name: str
    median: float
    spread: float
    least: float
    most: float
    older: float
    newer: float


class CalibrationHistory(msgspec.Struct, frozen=True):
    """A quantity of the calibration: in how many of the `drives` that checked it it was `observed`, and its error there."""

    quantity: str
    drives: int
    observed: int
    median: float | None
    spread: float | None


class SensorBaseline(msgspec.Struct, frozen=True):
    """One sensor: the statistics over `drives` drives, by name, and the history of its calibration checks, by quantity."""

    sensor: str
    modality: str
    drives: int
    statistics: tuple[BaselineStatistic, ...]
    calibration: tuple[CalibrationHistory, ...]

    def statistic(self, name: str) -> BaselineStatistic | None:
        """The statistic called `name`; None if it was not learned."""
        return next((entry for entry in self.statistics if entry.name == name), None)


class VehicleBaseline(msgspec.Struct, frozen=True):
    """The baseline of one vehicle. `code_version`: of the code that learned it. `drives`: oldest first. `sensors`: by name."""

    vehicle_id: str
    code_version: str
    drives: tuple[LearnedFrom, ...]
    sensors: tuple[SensorBaseline, ...]

    def of(self, sensor: str, modality: str) -> SensorBaseline | None:
        """The baseline of a sensor; None if there is none, or it is of another kind of sensor under that name."""
        return next((entry for entry in self.sensors if (entry.sensor, entry.modality) == (sensor, modality)), None)

    def to_bytes(self) -> bytes:
        """The document as canonical JSON; `parse_baseline` reads it back to an equal baseline."""
        return canonical_json({"schema_version": SCHEMA_VERSION, **msgspec.to_builtins(self)})


def parse_baseline(body: bytes, vehicle_id: str | None = None) -> VehicleBaseline:
    """Read the baseline of `vehicle_id` (None: of any vehicle).

    Raises:
        LandingError: Not JSON, not the schema, another vehicle's, a sensor, statistic or drive named twice, or statistics that
            contradict each other.
    """
    document = parse_document(body, "baseline")
    del document["schema_version"]
    found = msgspec.convert(document, VehicleBaseline)
    if vehicle_id not in (None, found.vehicle_id):
        raise LandingError(f"baseline of {vehicle_id!r} is about the vehicle {found.vehicle_id!r}")
    _refuse_doubled("drive", [entry.drive_id for entry in found.drives])
    _refuse_doubled("sensor", [entry.sensor for entry in found.sensors])
    for sensor in found.sensors:
        _refuse_doubled(f"statistic of {sensor.sensor}", [entry.name for entry in sensor.statistics])
        _refuse_doubled(f"quantity of {sensor.sensor}", [entry.quantity for entry in sensor.calibration])
        for entry in sensor.statistics:
            if not entry.least <= entry.median <= entry.most:
                raise LandingError(f"baseline: {sensor.sensor} {entry.name}: the median is not between the least and the most")
        for quantity in sensor.calibration:
            if quantity.observed > quantity.drives or (quantity.observed > 0) != (quantity.median is not None):
                raise LandingError(f"baseline: {sensor.sensor} {quantity.quantity}: what was observed contradicts its counts")
    return found


def _refuse_doubled(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise LandingError(f"baseline: {what} named twice: {', '.join(doubled[:5])}")
