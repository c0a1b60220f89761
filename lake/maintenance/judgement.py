"""Whether an object of the lake may be deleted, and if not, why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lake.maintenance.candidates import Candidate
from lake.maintenance.reference_file import References
from lake.maintenance.swept_buckets import ObjectVersions
from lake.maintenance.swept_keys import Area, SweptKey, lake_key, quarantine_key
from sensors.time_units import NS_PER_S

if TYPE_CHECKING:
    from lake.landing import DriveId

# Amazon SQS Developer Guide, "Amazon SQS visibility timeout": no message stays invisible longer, however often that is extended.
LONGEST_LEASE_S = 43_200
REFERENCED = "referenced"

__all__ = ["LONGEST_LEASE_S", "Attempts", "DriveProgress", "Judge", "KeptObject", "ObjectVersions", "TableState"]


@dataclass(frozen=True, slots=True)
class DriveProgress:
    """What the ledger says of a drive: whether its current revision is finished, and which it is."""

    finished: bool
    revision: str | None


class Attempts(Protocol):
    """The ledger, as far as a sweep asks it."""

    def of(self, drive: DriveId) -> DriveProgress | None:
        """A drive as of now; None if the ledger does not know it."""
        ...


@dataclass(frozen=True, slots=True)
class TableState:
    """A table whose references were read: its name, when it was last changed (ns since the Unix epoch), its metadata file."""

    name: str
    changed_ns: int
    location: str


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object that stays, and why. `hidden`: it is needed, and a delete marker hides it."""

    bucket: str
    key: str
    bytes: int
    area: Area
    reason: str
    hidden: bool = False


class Judge:
    """Judges objects against the state of the lake that was read. `listing`: the listing of the last sweep, which stays."""

    def __init__(
        self,
        references: References,
        tables: Mapping[str, TableState],
        attempts: Attempts,
        lake_bucket: str,
        now_ns: int,
        min_age_s: float,
        skew_s: float,
        listing: str | None,
    ) -> None:
        self.tables = {state.name: state for state in tables.values()}
        self._references, self._attempts, self._lake_bucket = references, attempts, lake_bucket
        self._names = {prefix: state.name for prefix, state in tables.items()}
        self._now_ns, self._min_age_s, self._listing = now_ns, min_age_s, listing
        self._skew_ns = int(skew_s * NS_PER_S)
        self._asked: tuple[DriveId, DriveProgress | None] | None = None

    def judge(self, bucket: str, found: Sequence[ObjectVersions]) -> Iterator[Candidate | KeptObject | None]:
        """What is to become of each object, in order."""
        needed = self._references.holds([f"{bucket}/{one.key}" for one in found])
        for one, is_needed in zip(found, needed, strict=True):
            yield self._needed(bucket, one) if is_needed else self._unneeded(bucket, one)

    def swept_key(self, bucket: str, key: str) -> SweptKey:
        """What an object is."""
        return lake_key(key, self._names) if bucket == self._lake_bucket else quarantine_key(key)

    def progress_reason(self, key: SweptKey) -> str | None:
        """Why the ledger's state of its drive keeps an object; None if it does not."""
        return None if key.drive is None else self._of_drive(key)

    def ask_anew(self) -> None:
        """Forget what the ledger has said."""
        self._asked = None

    def _needed(self, bucket: str, found: ObjectVersions) -> Candidate | KeptObject | None:
        latest, *older = found.entries
        area = self.swept_key(bucket, found.key).area
        if latest.is_marker:
            why = "a table needs it, and a delete marker hides it: delete the marker, by its version id, to restore it"
            return KeptObject(bucket, found.key, 0, area, why, hidden=True)
        if older and area is not Area.OTHER and self._is_old(latest.modified_ns):
            return self._candidate(bucket, ObjectVersions(found.key, tuple(older)))
        return KeptObject(bucket, found.key, latest.bytes, area, REFERENCED)

    def _unneeded(self, bucket: str, found: ObjectVersions) -> Candidate | KeptObject | None:
        key = self.swept_key(bucket, found.key)
        reason = self._reason(key, found.entries[0].modified_ns)
        if reason is None:
            return self._candidate(bucket, found)
        return KeptObject(bucket, found.key, sum(entry.bytes for entry in found.entries), key.area, reason)

    def _reason(self, key: SweptKey, modified_ns: int) -> str | None:
        """Why an object stays although nothing references it."""
        if key.area is Area.OTHER:
            return "no rule of the sweep knows it"
        if key.area is Area.LISTING and key.listing == self._listing:
            return "the next sweep compares with it"
        if not self._is_old(modified_ns):
            return f"younger than {self._min_age_s:g} s"
        if key.drive is not None:
            return self._of_drive(key) or self._of_table(key, modified_ns)
        return self._of_table(key, modified_ns)

    def _of_drive(self, key: SweptKey) -> str | None:
        assert key.drive is not None
        if self._asked is None or self._asked[0] != key.drive:  # keys of one drive follow each other
            self._asked = key.drive, self._attempts.of(key.drive)
        progress = self._asked[1]
        if progress is None:
            return "the ledger does not know its drive"
        if not progress.finished:
            return "its drive is not finished"
        if key.area is Area.INPUT and key.revision == progress.revision:
            return "the input of the drive's current revision"
        return None

    def _of_table(self, key: SweptKey, modified_ns: int) -> str | None:
        """A commit that was staged on an earlier state of the table fails, so what it wrote can never be referenced."""
        if key.table is None or modified_ns + self._skew_ns < self.tables[key.table].changed_ns:
            return None
        return "its table has not changed since it was written"

    def _is_old(self, modified_ns: int) -> bool:
        return modified_ns < self._now_ns - int(self._min_age_s * NS_PER_S)

    def _candidate(self, bucket: str, found: ObjectVersions) -> Candidate:
        return Candidate(
            bucket=bucket,
            key=found.key,
            versions=tuple(entry.version_id for entry in reversed(found.entries)),  # the oldest first: nothing reappears
            bytes=sum(entry.bytes for entry in found.entries),
            first_ns=self._now_ns,
        )
