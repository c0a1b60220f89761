"""The search for what is left of a forgotten drive. It shares no code with the steps that removed it, except for listing.

It looks at every version in the three buckets: at its key, and at what it holds. Metadata, documents and data files of the tables
are decoded (`ops.erasure.contents`); the bytes of everything are compared by SHA-256 with those that the drive had, and so is
every payload in a data file. `deep=False` leaves out the bytes of raw recordings and of other vehicles' data files, which are
nearly all of a lake: their keys are looked at all the same, and the answer says how many were not opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from ingest.ledger.dynamodb_table import LedgerTable
from lake.errors import AbsentError
from lake.iceberg.snapshots import scan_at
from lake.landing import DriveId, drive_of_prefix
from lake.settings import Settings
from lake.storage import ObjectStore
from lake.tables.drive_rows import of_drive
from lake.tables.existing import existing_tables
from ops.erasure.buckets import FoundVersion, uploads, versions
from ops.erasure.contents import names_drive, payload_digests
from ops.erasure.mentions import Names, texts_of
from ops.errors import InputError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from lake.iceberg.publisher import Publisher

COPIES = ("scenes", "frames", "drives", "refused")  # folders of the quarantine bucket, by drive
RECORDINGS = (".mcap", ".db3", ".bag")  # compared as they are, never parsed
MOST_NAMED = 20
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Remnant:
    """Something that is left: where, and why it counts."""

    where: str
    why: str


@dataclass(slots=True)
class SearchResult:
    """The answer of a search.

    `left`: the first of them; `unreadable`: objects of which nothing can be said; `shared`: objects of other drives with bytes
    that the drive had, too: a black image is one of any drive.
    """

    versions: int = 0
    opened: int = 0
    bytes: int = 0
    unopened: int = 0
    shared: int = 0
    items: int = 0
    letters: int = 0
    snapshots: int = 0
    count: int = 0
    left: list[Remnant] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is left, and everything that was opened could be read. Unknown is not a pass."""
        return self.count == 0 and not self.unreadable

    def add(self, where: str, why: str) -> None:
        """Count something that is left."""
        self.count += 1
        if len(self.left) < MOST_NAMED:
            self.left.append(Remnant(where, why))


class Search:
    """The search for one drive."""

    def __init__(self, s3: S3Client, settings: Settings, drive: DriveId, digests: frozenset[str], *, deep: bool = True) -> None:
        """`digests`: SHA-256 of the bytes and of the payloads that the drive had, hex."""
        self._s3, self._settings, self._drive, self._digests, self._deep = s3, settings, drive, digests, deep
        self._store = ObjectStore(s3)
        self._names = Names(drive)
        self.found = SearchResult()

    def buckets(self, report: Progress) -> None:
        """Every version and every upload that was not completed."""
        for bucket in (self._settings.raw_bucket, self._settings.lake_bucket, self._settings.quarantine_bucket):
            for one in versions(self._s3, bucket):
                self.found.versions += 1
                report(f"searching {bucket}", self.found.versions, 0)
                self._object(one)
            for upload in uploads(self._s3, bucket):
                if self._names.text(upload.key):
                    self.found.add(f"s3://{upload.bucket}/{upload.key}", "an upload that was not completed")

    def _object(self, one: FoundVersion) -> None:
        where = f"{one.location.uri} (version {one.version_id})"
        if self._names.text(one.key):
            self.found.add(where, "a delete marker with the name" if one.marker else "the name in the key")
            return
        if one.marker:
            return
        if not self._deep and self._is_bulk(one):
            self.found.unopened += 1
            return
        try:
            body = b"" if one.key.endswith(RECORDINGS) else self._store.read(one.location)
            same = self._same_bytes(one) if one.key.endswith(RECORDINGS) else hashlib.sha256(body).hexdigest() in self._digests
        except AbsentError:
            return  # deleted meanwhile
        self.found.opened += 1
        self.found.bytes += one.size
        try:
            if names_drive(self._names, one.key, body):
                self.found.add(where, "the name in the content")
            elif same or (self._digests and any(digest in self._digests for digest in payload_digests(body))):
                if _of_a_drive(one.key):
                    self.found.shared += 1
                else:
                    self.found.add(where, "bytes that it had")
        except InputError as error:
            self.found.unreadable.append(f"{where}: {error}")

    def _same_bytes(self, one: FoundVersion) -> bool:
        """Whether a recording, which may be larger than memory, has the bytes of one of the drive's objects."""
        digest, stream = hashlib.sha256(), self._store.stream(one.location)
        while piece := stream.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest() in self._digests

    def _is_bulk(self, one: FoundVersion) -> bool:
        if one.bucket == self._settings.raw_bucket:
            return True
        other_vehicle = f"/{self._drive.vehicle_id}/" not in one.key and f"vehicle_id={self._drive.vehicle_id}/" not in one.key
        return one.key.endswith(".parquet") and other_vehicle

    def tables(self, catalog: Publisher) -> None:
        """The drive's rows in every version of every table: every snapshot, and so every branch and tag."""
        for name, table in existing_tables(catalog).items():
            columns = {field.name for field in table.schema().fields}
            for snapshot in table.snapshots():
                self.found.snapshots += 1
                if "drive_id" not in columns:
                    continue  # its files were opened as objects
                rows = scan_at(table, snapshot.snapshot_id, of_drive(self._drive), ("drive_id",)).to_arrow().num_rows
                if rows:
                    self.found.add(f"{name} at snapshot {snapshot.snapshot_id}", f"{rows} rows")

    def ledger(self, table: LedgerTable) -> None:
        """Every item of the ledger."""
        for item in table.scan():
            self.found.items += 1
            if self._names.record(texts_of({name: _plain(value) for name, value in item.items()})):
                # The name of an item is its key, which is what it is to be found by.
                self.found.add(f"ledger item {item.get('pk')} {item.get('sk')}", "the name in an item")

    def messages(self, queue: str, bodies: Iterator[str]) -> None:
        """Messages that could be looked at."""
        for body in bodies:
            self.found.letters += 1
            if self._names.may_name(body.encode()) and any(self._names.record((text,)) for text in _message_texts(body)):
                self.found.add(f"a message of {queue}", "the name in a message")


def _of_a_drive(key: str) -> bool:
    """Whether a key is of one drive; it is not the one that is searched for, whose name in a key counts by itself."""
    _, data, rest = key.rpartition("/data/")
    prefix, _, copied = key.partition("/")
    candidates = (rest if data else key, copied if prefix in COPIES else "")
    return any(drive_of_prefix(one) is not None for one in candidates)


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _message_texts(body: str) -> Iterator[str]:
    yield body
    yield unquote_plus(body)
