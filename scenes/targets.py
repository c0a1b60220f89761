"""Locations that the files of one revision of a drive are read from and written to."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Self

from lake.drive_input import DriveInput
from lake.landing import MAX_START_NS, DriveId
from lake.settings import Settings
from lake.storage import ObjectVersion


@dataclass(frozen=True, slots=True)
class DriveTargets:
    """Locations in the three buckets for one revision of a drive."""

    drive: DriveId
    revision: str
    raw_bucket: str
    lake_bucket: str
    quarantine_bucket: str

    @classmethod
    def of(cls, settings: Settings, drive_input: DriveInput) -> Self:
        """The locations for the drive and revision of `drive_input` in a deployment."""
        buckets = settings.raw_bucket, settings.lake_bucket, settings.quarantine_bucket
        return cls(drive_input.drive, drive_input.revision, *buckets)

    def unique_name(self, extension: str, *parts: str) -> str:
        """A file name that no other attempt uses: a task that runs twice overwrites nothing."""
        stem = "-".join((self.revision[:16], *parts, uuid.uuid4().hex))
        return f"{self.drive}/{stem}.{extension}"

    def raw(self, key: str, version_id: str) -> ObjectVersion:
        """One version of a raw object."""
        return ObjectVersion(self.raw_bucket, key, version_id)

    def data_file(self, table: str, name: str) -> ObjectVersion:
        """A data file of an Iceberg table, such as `gold.scenes`."""
        return ObjectVersion(self.lake_bucket, f"warehouse/{table.replace('.', '/')}/data/{name}")

    def validations(self) -> ObjectVersion:
        """A new location for the results of an audit."""
        return ObjectVersion(self.lake_bucket, f"warehouse/quality/validations/{self.unique_name('json')}")

    def statistics(self, first_ns: int) -> ObjectVersion:
        """The statistics of the drive's last publication; `first_ns`: its first stamp."""
        name = f"{_age(first_ns)}-{self.drive.drive_id}.json"
        return ObjectVersion(self.lake_bucket, statistics_prefix(self.drive.vehicle_id) + name)

    def quarantined_keys(self) -> ObjectVersion:
        """A new place for the keys of the objects that an audit quarantined."""
        return ObjectVersion(self.lake_bucket, f"warehouse/quality/quarantined-objects/{self.unique_name('json')}")

    def quarantined_scenes(self, name: str) -> ObjectVersion:
        """A file of quarantined scenes."""
        return ObjectVersion(self.quarantine_bucket, f"scenes/{name}")

    def quarantined_frame(self, name: str) -> ObjectVersion:
        """The copy of a quarantined message; a retry overwrites it."""
        return ObjectVersion(self.quarantine_bucket, f"frames/{self.drive}/{self.revision}/{name}")

    def quarantined_object(self, key: str) -> ObjectVersion:
        """The copy of a quarantined raw object."""
        return ObjectVersion(self.quarantine_bucket, f"objects/{self.revision}/{key}")

    def quarantined_drive(self) -> ObjectVersion:
        """The pinned input of a drive that is quarantined as a whole."""
        return ObjectVersion(self.quarantine_bucket, f"drives/{self.drive}/{self.revision}/input.json")


def statistics_prefix(vehicle_id: str) -> str:
    """Prefix of the statistics of a vehicle's drives in the lake bucket; a listing has the newest drive first."""
    return f"warehouse/quality/statistics/{vehicle_id}/"


def _age(first_ns: int) -> str:
    """19 digits that sort later drives first."""
    return f"{MAX_START_NS - max(first_ns, 0):019d}"
