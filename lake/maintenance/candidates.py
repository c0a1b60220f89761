"""The listing of a sweep: objects that nothing referenced when they were listed, as documents in the lake bucket.

    maintenance/sweep/{listing}/listing.json    what it is of, and the SHA-256 of each part
    maintenance/sweep/{listing}/NNNNN.json      candidates in key order, up to `PART` each

A property of `gold.drives` names the listing and the SHA-256 of its `listing.json`. Whoever can write objects but cannot commit
cannot make a listing that is believed, nor bring an older one back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from lake.errors import AbsentError, MaintenanceError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin
from lake.maintenance.swept_keys import LISTINGS
from lake.storage import ObjectVersion
from lake.tables.drives import DRIVES_TABLE

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from lake.iceberg.publisher import Publisher

SCHEMA_VERSION = 1
PART = 5_000
MAX_BYTES = 64 * 1024 * 1024
ANCHOR = "scenelake.sweep-listing"  # property of gold.drives: LISTING SHA256
Document = TypeVar("Document", bound=msgspec.Struct)


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object, or old versions of one, that nothing needed at `first_ns` (ns since the Unix epoch) and since."""

    bucket: str
    key: str
    versions: tuple[str, ...]
    bytes: int
    first_ns: int

    @property
    def order(self) -> tuple[str, str]:
        """Candidates are listed, and compared, in this order."""
        return self.bucket, self.key


class ListingPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Candidates in their order."""

    schema_version: int
    candidates: tuple[Candidate, ...]


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a listing holds. `parts`: the SHA-256 of each part, in order. `begun_ns`: when it began, ns since the Unix epoch."""

    schema_version: int
    listing: str
    lake_bucket: str
    quarantine_bucket: str
    begun_ns: int
    candidates: int
    bytes: int
    parts: tuple[str, ...]


class Documents(Protocol):
    """Objects of the lake bucket as bytes; `lake.storage.ObjectStore`."""

    def read(self, source: ObjectVersion, start: int = 0, length: int | None = None, limit: int | None = None) -> bytes:
        """The bytes of an object."""
        ...

    def put(self, target: ObjectVersion, body: bytes | memoryview) -> None:
        """Write a whole object."""
        ...


class ListingWriter:
    """Writes the parts of a listing as they fill; nothing counts before `finish`."""

    def __init__(self, store: Documents, buckets: tuple[str, str], listing: str, begun_ns: int) -> None:
        self._store, self._buckets, self.listing, self._begun_ns = store, buckets, listing, begun_ns
        self._pending: list[Candidate] = []
        self._parts: list[str] = []
        self.candidates = self.bytes = 0

    def add(self, candidate: Candidate) -> None:
        """Add a candidate, in order."""
        self._pending.append(candidate)
        self.candidates += 1
        self.bytes += candidate.bytes
        if len(self._pending) >= PART:
            self._write()

    def finish(self, catalog: Publisher) -> None:
        """Make it the listing that the next sweep compares with.

        Raises:
            MaintenanceError: Other commits won every attempt; the former listing stays.
        """
        if self._pending:
            self._write()
        head = Listing(
            schema_version=SCHEMA_VERSION,
            listing=self.listing,
            lake_bucket=self._buckets[0],
            quarantine_bucket=self._buckets[1],
            begun_ns=self._begun_ns,
            candidates=self.candidates,
            bytes=self.bytes,
            parts=tuple(self._parts),
        )
        anchor = f"{self.listing} {self._put('listing.json', head)}"

        def attempt() -> tuple[list[Transaction], None]:
            change = begin(catalog.load_table(DRIVES_TABLE))
            change.set_properties({ANCHOR: anchor})
            return [change], None

        committed(catalog, attempt, "the listing of the sweep")

    def _write(self) -> None:
        part = ListingPart(schema_version=SCHEMA_VERSION, candidates=tuple(self._pending))
        self._parts.append(self._put(f"{len(self._parts):05d}.json", part))
        self._pending.clear()

    def _put(self, name: str, document: msgspec.Struct) -> str:
        body = msgspec.json.encode(document)
        self._store.put(_at(self._buckets[0], self.listing, name), body)
        return hashlib.sha256(body).hexdigest()


class FormerListing:
    """The listing that the last sweep left."""

    def __init__(self, store: Documents, head: Listing) -> None:
        self._store, self.head = store, head

    def candidates(self) -> Iterator[Candidate]:
        """Its candidates in their order; one part is in memory at a time.

        Raises:
            MaintenanceError: A part is not the one that was written.
        """
        for number, expected in enumerate(self.head.parts):
            part = _read(self._store, _at(self.head.lake_bucket, self.head.listing, f"{number:05d}.json"), expected, ListingPart)
            yield from part.candidates


def former_listing(catalog: Publisher, store: Documents, buckets: tuple[str, str]) -> FormerListing | None:
    """The listing that `gold.drives` names; None before the first.

    Raises:
        MaintenanceError: It is absent, altered, of another version of this code, or of other buckets.
    """
    anchor = catalog.load_table(DRIVES_TABLE).properties.get(ANCHOR)
    if anchor is None:
        return None
    listing, _, digest = anchor.partition(" ")
    head = _read(store, _at(buckets[0], listing, "listing.json"), digest, Listing)
    if (head.listing, head.lake_bucket, head.quarantine_bucket) != (listing, *buckets):
        raise _refused(f"it is of {head.lake_bucket} and {head.quarantine_bucket}")
    return FormerListing(store, head)


def _at(bucket: str, listing: str, name: str) -> ObjectVersion:
    return ObjectVersion(bucket, f"{LISTINGS}{listing}/{name}")


def _read(store: Documents, source: ObjectVersion, digest: str, kind: type[Document]) -> Document:
    try:
        body = store.read(source, limit=MAX_BYTES)
    except AbsentError as error:
        raise _refused(f"{source.uri} is missing") from error
    found = hashlib.sha256(body).hexdigest()
    if found != digest:
        raise _refused(f"{source.uri} has the SHA-256 {found}, not {digest or 'any that is known'}")
    try:
        document = msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise _refused(f"{source.uri}: {error}") from error
    version = getattr(document, "schema_version", None)
    if version != SCHEMA_VERSION:
        raise _refused(f"{source.uri} has the schema version {version!r}, this code reads {SCHEMA_VERSION}")
    return document


def _refused(why: str) -> MaintenanceError:
    return MaintenanceError(
        f"the listing of the last sweep is refused: {why}; nothing was deleted",
        "find out who changed it; `scenelake gold sweep --relist --apply` begins with a new listing",
    )


Compare = Callable[[Candidate], Candidate | None]


def comparing(former: FormerListing | None) -> Compare:
    """A function that finds the former entry of a candidate; it must be asked in order."""
    entries = iter(()) if former is None else former.candidates()
    waiting: list[Candidate | None] = [next(entries, None)]

    def find(candidate: Candidate) -> Candidate | None:
        while waiting[0] is not None and waiting[0].order < candidate.order:
            waiting[0] = next(entries, None)
        return waiting[0] if waiting[0] is not None and waiting[0].order == candidate.order else None

    return find
