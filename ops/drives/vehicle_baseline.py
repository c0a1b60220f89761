"""Reads what published drives say of a vehicle's sensors, and reads and writes the vehicle's baseline in the lake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.documents import max_bytes
from lake.drive_input import baseline_key
from lake.errors import AbsentError
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.vehicle_baseline import VehicleBaseline, parse_baseline
from ops.errors import NotFoundError
from scenes.documents import DriveStatistics, decode
from scenes.errors import DocumentError
from scenes.targets import statistics_prefix

LOOKED_AT = 5  # drives that are looked at for each one that is asked for: some are no longer published
MAX_STATISTICS_BYTES = 4 * 1024 * 1024


class DriveLookup(Protocol):
    """The part of the ledger that tells what is published."""

    def drive(self, drive: DriveId) -> DriveRecord | None: ...


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A vehicle's current baseline, and the SHA-256 by which drives pin it."""

    sha256: str
    baseline: VehicleBaseline


def newest_statistics(
    store: ObjectStore, settings: Settings, ledger: DriveLookup, vehicle_id: str, most: int
) -> tuple[tuple[DriveStatistics, ...], tuple[str, ...]]:
    """The statistics of the newest `most` published drives of a vehicle, newest first, and why others were left out.

    However many drives a vehicle has, at most `LOOKED_AT` times as many are looked at. What is published is for the ledger to
    say: a drive that was quarantined when it was processed again leaves its statistics behind.
    """
    found: list[DriveStatistics] = []
    left_out: list[str] = []
    seen: set[str] = set()
    for key in islice(store.list(settings.lake_bucket, statistics_prefix(vehicle_id)), LOOKED_AT * most):
        target = ObjectVersion(settings.lake_bucket, key)
        try:
            statistics = decode(store.read(target, limit=MAX_STATISTICS_BYTES), DriveStatistics, target.uri)
        except (DocumentError, AbsentError) as error:
            left_out.append(str(error))
            continue
        record = ledger.drive(DriveId(vehicle_id, statistics.drive_id))
        published = record is not None and record.state is DriveState.PUBLISHED and record.revision == statistics.revision
        if statistics.drive_id in seen or not published or statistics.vehicle_id != vehicle_id:
            left_out.append(f"{vehicle_id}/{statistics.drive_id}: its revision {statistics.revision[:12]} is not published")
            continue
        seen.add(statistics.drive_id)
        found.append(statistics)
        if len(found) == most:
            break
    return tuple(found), tuple(left_out)


def current(store: ObjectStore, settings: Settings, vehicle_id: str) -> StoredBaseline | None:
    """The current baseline of a vehicle; None if it has none.

    Raises:
        LandingError: What is stored is not a baseline of this vehicle.
        LakeError: It could not be read.
    """
    try:
        body = store.read(_place(settings, vehicle_id), limit=max_bytes("baseline"))
    except AbsentError:
        return None
    return StoredBaseline(hashlib.sha256(body).hexdigest(), parse_baseline(body, vehicle_id))


def put(store: ObjectStore, settings: Settings, baseline: VehicleBaseline) -> tuple[str, bool]:
    """Make a baseline the current one of its vehicle; returns its SHA-256, and False if it was the current one already.

    Drives that are queued from now on pin it; those that pin another keep it until they are reprocessed.

    Raises:
        LandingError: It breaks its schema.
    """
    body = baseline.to_bytes()
    parse_baseline(body, baseline.vehicle_id)
    sha256, place = hashlib.sha256(body).hexdigest(), _place(settings, baseline.vehicle_id)
    try:
        if store.read(place, limit=max_bytes("baseline")) == body:
            return sha256, False
    except AbsentError:
        pass
    store.put(place, body)
    return sha256, True


@dataclass(frozen=True, slots=True)
class BaselineLine:
    """A statistic of a sensor as a table shows it. `drift`: from the older to the newer half of the drives, as a share of the
    median; None for a median of 0."""

    sensor: str
    name: str
    drives: int
    median: float | None
    spread: float | None
    least: float | None
    most: float | None
    drift: float | None
    observed: int | None = None


def lines(baseline: VehicleBaseline) -> Iterator[BaselineLine]:
    """The statistics of each sensor, then the history of its calibration checks."""
    for sensor in baseline.sensors:
        for entry in sensor.statistics:
            drift = (entry.newer - entry.older) / abs(entry.median) if entry.median else None
            values = (entry.median, entry.spread, entry.least, entry.most)
            yield BaselineLine(sensor.sensor, entry.name, sensor.drives, *values, drift)
        for quantity in sensor.calibration:
            name = f"calibration {quantity.quantity}"
            yield BaselineLine(
                sensor.sensor, name, quantity.drives, quantity.median, quantity.spread, None, None, None, quantity.observed
            )


def required(stored: StoredBaseline | None, vehicle_id: str) -> StoredBaseline:
    """The stored baseline.

    Raises:
        NotFoundError: There is none.
    """
    if stored is None:
        raise NotFoundError(f"{vehicle_id} has no baseline", f"`scenelake vehicle baseline learn {vehicle_id}` learns one")
    return stored


def summary(left_out: Sequence[str], shown: int = 10) -> list[str]:
    """The first reasons, and how many more there are."""
    more = len(left_out) - shown
    return [*left_out[:shown], *([f"and {more} more"] if more > 0 else [])]


def _place(settings: Settings, vehicle_id: str) -> ObjectVersion:
    return ObjectVersion(settings.lake_bucket, baseline_key(vehicle_id))
