"""Every place whose keys name a drive, and so can be listed: what the parts of the system write, and where.

| bucket | place | written by |
| --- | --- | --- |
| raw | `V/D/` | vehicles |
| lake | `inputs/V/D/`, `work/V/D/` | registration, review; the steps of a run |
| lake | `warehouse/…/data/V/D/` of each table | builders, audit, publication |
| lake | `warehouse/quality/{validations,quarantined-objects}/V/D/`, `…/statistics/V/` | audit, publication |
| quarantine | `scenes/V/D/`, `frames/V/D/`, `drives/V/D/`, `objects/<revision>/V/D/`, `refused/V/D/` | builders, audit, registration |

What has no such key is found by its content: metadata of the tables, data files that maintenance wrote, baselines, and documents of
maintenance and of the audit (`ops.erasure.leftovers`).
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.drive_input import input_key
from lake.landing import DriveId
from lake.settings import Settings
from lake.tables.schemas import PUBLISHED
from ops.erasure.buckets import FoundVersion, OpenUpload, uploads, versions
from ops.erasure.mentions import Names
from scenes.targets import statistics_prefix

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

RAW, LAKE, QUARANTINE = "raw", "lake", "quarantine"


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix of a bucket, and what lies there. `whole`: everything under the prefix is the drive's."""

    what: str
    bucket: str
    prefix: str
    whole: bool = True


def places(settings: Settings, drive: DriveId, revisions: Iterable[str]) -> list[Place]:
    """The places of a drive; the copies of quarantined objects lie under its `revisions`."""
    lake, quarantine = settings.lake_bucket, settings.quarantine_bucket
    tables = [f"warehouse/{name.replace('.', '/')}/data/{drive}/" for name in PUBLISHED]
    quality = [f"warehouse/quality/{name}/{drive}/" for name in ("validations", "quarantined-objects")]
    copies = [f"{name}/{drive}/" for name in ("scenes", "frames", "drives", "refused")]
    return [
        Place(RAW, settings.raw_bucket, drive.prefix),
        *(Place(QUARANTINE, quarantine, prefix) for prefix in copies),
        *(Place(QUARANTINE, quarantine, f"objects/{revision}/{drive}/") for revision in sorted(set(revisions))),
        *(Place("data files", lake, prefix) for prefix in tables),
        *(Place("quality documents", lake, prefix) for prefix in quality),
        Place("statistics", lake, statistics_prefix(drive.vehicle_id), whole=False),
        Place("work areas", lake, f"work/{drive}/"),
        # Last: they are what a run that is started again after a kill finds the revisions by.
        Place("inputs", lake, inputs_prefix(drive)),
    ]


def inputs_prefix(drive: DriveId) -> str:
    """Prefix of a drive's input documents in the lake bucket."""
    return input_key(drive, "").removesuffix(".json")


def revisions_of(s3: S3Client, settings: Settings, drive: DriveId) -> set[str]:
    """Every revision that a drive ever had: each wrote its input document, and those are never deleted otherwise."""
    prefix = inputs_prefix(drive)
    return {one.key.removeprefix(prefix).removesuffix(".json") for one in versions(s3, settings.lake_bucket, prefix)}


def versions_at(s3: S3Client, place: Place, drive: DriveId) -> Iterator[FoundVersion]:
    """The versions and markers of the drive at one of its places."""
    names = Names(drive)
    for one in versions(s3, place.bucket, place.prefix):
        if place.whole or names.text(one.key):
            yield one


def uploads_at(s3: S3Client, place: Place, drive: DriveId) -> Iterator[OpenUpload]:
    """The uploads of the drive at one of its places that were not completed."""
    names = Names(drive)
    for one in uploads(s3, place.bucket, place.prefix):
        if place.whole or names.text(one.key):
            yield one
