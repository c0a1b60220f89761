"""What to look for in a recall."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lake.documents import canonical_json
from lake.errors import LandingError
from lake.landing import DriveId, drive_of_prefix
from ops.errors import InputError


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions, all of which must hold. Times are anchors, ns since the Unix epoch, both included.

    `calibration`: the SHA-256 of calibration.json; `key` and `version_id`: a raw object; `rule`: the id of a rule.
    """

    vehicle: str | None = None
    drive: str | None = None
    sensor: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    calibration: str | None = None
    key: str | None = None
    version_id: str | None = None
    rule: str | None = None

    def __post_init__(self) -> None:
        if all(value is None for value in asdict(self).values()):
            raise InputError("a recall of everything: give at least one condition", "`scenelake recall --help` lists them")
        if self.from_ns is not None and self.to_ns is not None and self.from_ns > self.to_ns:
            raise InputError(f"the interval ends before it begins: {self.from_ns} > {self.to_ns}")
        if self.version_id is not None and self.key is None:
            raise InputError("a version belongs to an object: give its key as well")
        if self.key is not None and drive_of_prefix(self.key) is None:
            raise InputError(f"{self.key!r} is not the key of an object of a drive")

    def names(self) -> tuple[str | None, str | None]:
        """The vehicle and the drive that the conditions name, together.

        Raises:
            InputError: They name different ones.
        """
        vehicle, drive = self.vehicle, self.drive
        of_key = drive_of_prefix(self.key) if self.key is not None else None
        if of_key is not None:
            if vehicle not in (None, of_key.vehicle_id) or drive not in (None, of_key.drive_id):
                raise InputError(f"object {self.key!r} is of another drive than the one that is asked for")
            return of_key.vehicle_id, of_key.drive_id
        if drive is not None:
            try:
                DriveId(vehicle or "", drive)
            except LandingError as error:
                raise InputError(f"a drive is named with its vehicle: {error}") from error
        return vehicle, drive

    def to_json(self) -> str:
        """As canonical JSON, without what is not asked for."""
        return canonical_json({name: value for name, value in asdict(self).items() if value is not None}).decode()
