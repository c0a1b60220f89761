"""How a vehicle's calibration changed from drive to drive: computed on demand, stored with no drive (ADR 0020)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.ledger.states import FINAL, DriveState
from lake.errors import LandingError
from lake.landing import DriveId
from lake.tables.drive_walk import LoadsTables, drives_after
from lake.tables.drives import DRIVES_TABLE
from sensors.calibration.changes import CalibrationChange, changes
from sensors.errors import RigError
from sensors.rig import Rig

if TYPE_CHECKING:
    from ingest.ledger.records import DriveRecord
    from ingest.ledger.repository import Ledger
    from lake.settings import Settings
    from lake.storage import ObjectStore


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One drive with the calibration that its current revision pins. `start_ns` is the manifest's."""

    drive: DriveId
    start_ns: int
    rig: Rig


@dataclass(frozen=True, slots=True)
class Skipped:
    """A drive that cannot be compared, and why."""

    drive: DriveId
    reason: str


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """One drive and its changes since the previous one; `previous` is None for the first drive."""

    drive: DriveId
    start_ns: int
    previous: DriveId | None
    changes: tuple[CalibrationChange, ...]


def history(driven: Iterable[Calibrated]) -> tuple[CalibrationStep, ...]:
    """The drives of one vehicle ordered by start, then id, each with the changes since the previous one."""
    ordered = sorted(driven, key=lambda entry: (entry.start_ns, entry.drive))
    first = tuple(CalibrationStep(entry.drive, entry.start_ns, None, ()) for entry in ordered[:1])
    return first + tuple(
        CalibrationStep(after.drive, after.start_ns, before.drive, changes(before.rig, after.rig))
        for before, after in pairwise(ordered)
    )


def drives_of_vehicle(ledger: Ledger, catalog: LoadsTables, vehicle_id: str) -> Iterator[DriveRecord]:
    """The drives of a vehicle in the ledger: those that were published, and those in work. No other vehicle's are read, except
    those in work."""
    published = [row.drive for row in drives_after(catalog.load_table(DRIVES_TABLE), vehicle_id=vehicle_id)]
    for drive in published:
        record = ledger.drive(drive)
        if record is not None:
            yield record
    known = frozenset(published)
    in_work = (record for state in DriveState if state not in FINAL for record in ledger.drives(state))
    yield from (record for record in in_work if record.drive.vehicle_id == vehicle_id and record.drive not in known)


def read_drives(
    store: ObjectStore, settings: Settings, records: Iterable[DriveRecord], vehicle_id: str
) -> tuple[Sequence[Calibrated], Sequence[Skipped]]:
    """Every drive of a vehicle with the calibration that its current revision pins.

    Args:
        store: The deployment's object storage.
        settings: Names of its buckets.
        records: Drives of the ledger; those of other vehicles are ignored.
        vehicle_id: The vehicle.

    Raises:
        LakeError: A document could not be read; the drive is not at fault.
    """
    found = [_read(store, settings, record) for record in records if record.drive.vehicle_id == vehicle_id]
    return [one for one in found if isinstance(one, Calibrated)], sorted(
        (one for one in found if isinstance(one, Skipped)), key=lambda one: one.drive
    )


def describe_step(step: CalibrationStep) -> str:
    """The changes as text, one per line."""
    if step.previous is None:
        return "first drive"
    return "\n".join(f"{one.sensor}: {one.what} ({one.amount:.3g} {one.unit})" for one in step.changes) or "none"


def _read(store: ObjectStore, settings: Settings, record: DriveRecord) -> Calibrated | Skipped:
    from lake.drive_documents import read_calibration, read_input, read_manifest

    if record.revision is None:
        return Skipped(record.drive, "it has not landed completely")
    drive_input = read_input(store, settings, record.drive, record.revision)
    try:
        start_ns = read_manifest(store, settings, drive_input).start_ns
        return Calibrated(record.drive, start_ns, read_calibration(store, settings, drive_input))
    except (LandingError, RigError) as error:
        return Skipped(record.drive, str(error))
