"""What an object of the lake and quarantine buckets is, by its key. Only what has an area here is ever swept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lake.errors import LandingError
from lake.landing import DriveId

LISTINGS = "maintenance/sweep/"
LAKE_PREFIXES = ("inputs/", LISTINGS, "warehouse/", "work/")  # in the order of their keys
QUARANTINE_PREFIXES = ("drives/", "frames/", "objects/", "scenes/")
RESULTS = ("warehouse/quality/validations/", "warehouse/quality/quarantined-objects/")


class Area(StrEnum):
    """What an object is for, and so what needs it.

    DATA, METADATA: files of a table. RESULT: of an audit. INPUT: of a revision. WORK: of an attempt. COPY: of what was kept out
    of gold. LISTING: of an earlier sweep. OTHER: nothing that a sweep knows, so it stays.
    """

    DATA = "data file"
    METADATA = "table metadata"
    RESULT = "audit result"
    INPUT = "input"
    WORK = "work area"
    COPY = "quarantine copy"
    LISTING = "listing of a sweep"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SweptKey:
    """An object's area, and the table, the drive, the revision or the listing that it belongs to, where its key names one."""

    area: Area
    table: str | None = None
    drive: DriveId | None = None
    revision: str | None = None
    listing: str | None = None


_LAKE = (
    (Area.WORK, re.compile(r"work/(?P<v>[^/]+)/(?P<d>[^/]+)/(?P<r>[^/]+)/.+")),
    (Area.INPUT, re.compile(r"inputs/(?P<v>[^/]+)/(?P<d>[^/]+)/(?P<r>[0-9a-f]{64})\.json")),
    (Area.RESULT, re.compile(rf"(?:{'|'.join(RESULTS)})(?P<v>[^/]+)/(?P<d>[^/]+)/[^/]+")),
)
_QUARANTINE = (
    (Area.COPY, re.compile(r"drives/(?P<v>[^/]+)/(?P<d>[^/]+)/(?P<r>[^/]+)/.+")),
    (Area.COPY, re.compile(r"frames/(?P<v>[^/]+)/(?P<d>[^/]+)/(?P<r>[^/]+)/.+")),
    (Area.COPY, re.compile(r"objects/(?P<r>[^/]+)/(?P<v>[^/]+)/(?P<d>[^/]+)/.+")),
    (Area.COPY, re.compile(r"scenes/(?P<v>[^/]+)/(?P<d>[^/]+)/.+")),
)
_LISTING = re.compile(rf"{LISTINGS}(?P<listing>[0-9a-z-]+)/[^/]+")
_DATA_DRIVE = re.compile(r"(?P<v>[^/=]+)/(?P<d>[^/=]+)/[^/]+")


def quarantine_key(key: str) -> SweptKey:
    """What an object of the quarantine bucket is."""
    return _matched(key, _QUARANTINE)


def lake_key(key: str, tables: Mapping[str, str]) -> SweptKey:
    """What an object of the lake bucket is. `tables`: names of tables by the prefix of their keys, a slash at its end."""
    for prefix, table in tables.items():
        if key.startswith(prefix):
            return _of_table(key.removeprefix(prefix), table)
    listing = _LISTING.fullmatch(key)
    if listing is not None:
        return SweptKey(Area.LISTING, listing=listing["listing"])
    return _matched(key, _LAKE)


def _of_table(name: str, table: str) -> SweptKey:
    if name.startswith("metadata/"):
        return SweptKey(Area.METADATA, table)
    if not name.startswith("data/"):
        return SweptKey(Area.OTHER, table)
    found = _DATA_DRIVE.fullmatch(name.removeprefix("data/"))
    return SweptKey(Area.DATA, table, None if found is None else _drive(found))


def _matched(key: str, patterns: tuple[tuple[Area, re.Pattern[str]], ...]) -> SweptKey:
    for area, pattern in patterns:
        found = pattern.fullmatch(key)
        drive = None if found is None else _drive(found)
        if found is not None and drive is not None:
            return SweptKey(area, None, drive, found.groupdict().get("r"))
    return SweptKey(Area.OTHER)


def _drive(found: re.Match[str]) -> DriveId | None:
    try:
        return DriveId(found["v"], found["d"])
    except LandingError:
        return None
