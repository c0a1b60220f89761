"""Forgets a drive, step by step. Each step looks at what there is and is repeated without harm, so that a run that was killed is
finished by the next one, which is started with the same words.

| step | after it |
| --- | --- |
| tombstone | nothing of the drive is registered, queued, begun or published any more; a hold has refused it before |
| wait | no run that had begun can still write, or nothing is deleted yet |
| inventory | what there is is counted, hashed and kept, without its name |
| tables | no version of the lake has its rows; pinned versions have successors |
| bytes | its objects, uploads, leftovers and baselines are gone from the three buckets, by version |
| messages | its dead letters are deleted |
| ledger | its items are deleted, but for the tombstone |
| search, certificate | another path has looked for what is left, and its answer is kept |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ingest.dead_letters import DeadLetter, DeadLetterQueue
from ingest.ledger.dynamodb_table import LedgerTable
from ingest.ledger.holds import Hold, Holds
from ingest.ledger.tombstones import Tombstone, Tombstones
from lake import pseudonyms
from lake.documents import canonical_json
from lake.erasure.redact import TableRedaction, redactions
from lake.erasure.tables import forget_rows, keep_salt, put_tombstone, rows_of
from lake.landing import DriveId
from lake.maintenance.judgement import LONGEST_LEASE_S
from lake.settings import Settings
from lake.storage import ObjectStore
from lake.tables.existing import existing_tables
from ops.dead_letters import about_event
from ops.erasure import buckets, inventory
from ops.erasure.certificate import Exempt, Signer, Successor, envelope, statement
from ops.erasure.documents import Before, ErasureDocuments, check_request
from ops.erasure.exempt import kept_by_store, of_commits, of_ledger, of_queue, of_runs, out_of_reach
from ops.erasure.inventory import ListedVersion
from ops.erasure.leftovers import BASELINES, Leftovers
from ops.erasure.mentions import Names
from ops.erasure.places import places, revisions_of, uploads_at, versions_at
from ops.erasure.search import Search, SearchResult
from ops.errors import InputError, NotFoundError, OpsError
from sensors.time_units import NS_PER_S

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

    from lake.iceberg.publisher import Publisher

MOST_LETTERS = 1000
LEFTOVERS, DOCUMENTS = "leftovers", "documents of maintenance"
Report = Callable[[str, int, int], None]


class BusyError(OpsError):
    """A run of the drive had begun and may still write."""


@dataclass(frozen=True, slots=True)
class ErasureWorld:
    """What an erasure works on."""

    settings: Settings
    s3: S3Client
    dynamodb: DynamoDBClient
    sqs: SQSClient
    catalog: Publisher
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What forgetting a drive would delete, and what stands in the way."""

    drive: DriveId
    sums: tuple[inventory.Sum, ...]
    uploads: int
    rows: Mapping[str, int]
    refs: Mapping[str, tuple[str, ...]]
    items: int
    holds: tuple[Hold, ...]
    tombstone: Tombstone | None
    state: str | None

    @property
    def empty(self) -> bool:
        """Whether nothing of the drive is known."""
        return not (any(one.versions for one in self.sums) or any(self.rows.values()) or self.items)


@dataclass(frozen=True, slots=True)
class ErasureOutcome:
    """What became of an erasure: the certificate, as it is stored at `uri`, and the answer of the search that it rests on."""

    certificate: dict[str, Any]
    uri: str
    found: SearchResult


class Erasure:
    """The erasure of one drive."""

    def __init__(self, world: ErasureWorld, drive: DriveId, report: Report) -> None:
        self.world, self.drive, self._report = world, drive, report
        self._names = Names(drive)
        self._items = LedgerTable(world.dynamodb, world.settings.ledger_table)
        self.tombstones = Tombstones(self._items, world.clock)
        self.holds = Holds(self._items, world.clock)

    # What there is

    def plan(self) -> ErasurePlan:
        """What there is of the drive; nothing is changed, and nothing is read but names and metadata.

        Raises:
            NotFoundError: Nothing is known of it, and it was not forgotten.
        """
        record = self._items.get(str(self.drive), "drive")
        refs: dict[str, tuple[str, ...]] = {}
        for name, table in existing_tables(self.world.catalog).items():
            mentioning = TableRedaction(table, self.drive, "").mentioning
            refs[name] = tuple(sorted(ref for ref, at in table.metadata.refs.items() if at.snapshot_id in mentioning))
        found = ErasurePlan(
            drive=self.drive,
            sums=tuple(inventory.sums(self._listed())),
            uploads=sum(1 for _ in self._uploads()),
            rows=rows_of(self.world.catalog, self.drive),
            refs=refs,
            items=sum(1 for _ in self.tombstones.items_of(self.drive)),
            holds=tuple(self.holds.of(self.drive)),
            tombstone=self.tombstones.of(self.drive),
            state=None if record is None else str(record.get("drive_state")),
        )
        if found.empty and found.tombstone is None:
            raise self._unknown()
        return found

    def _exists(self) -> bool:
        """Whether anything is known of the drive; the cheapest sources first."""
        if next(self.tombstones.items_of(self.drive), None) is not None or any(rows_of(self.world.catalog, self.drive).values()):
            return True
        return any(not one.version.marker for one in self._listed())

    def _unknown(self) -> NotFoundError:
        return NotFoundError(
            f"nothing is known of {self.drive}: no object, no row, no item of the ledger",
            "check the names: `scenelake gold ls` and `scenelake status` show what there is",
        )

    def _listed(self) -> Iterator[ListedVersion]:
        world = self.world
        for place in places(world.settings, self.drive, revisions_of(world.s3, world.settings, self.drive)):
            for one in versions_at(world.s3, place, self.drive):
                yield ListedVersion(place.what, one)
        left = Leftovers(world.s3, world.settings, world.catalog, self.drive)
        for what, found in ((BASELINES, left.of_baselines()), (DOCUMENTS, left.of_documents()), (LEFTOVERS, left.of_tables())):
            yield from (ListedVersion(what, one) for one in found if not self._has_place(one.key))

    def _has_place(self, key: str) -> bool:
        """Whether a file of a table lies at one of the drive's own places, and so is listed already."""
        return f"/data/{self.drive}/" in key

    def _uploads(self) -> Iterator[buckets.OpenUpload]:
        for place in places(self.world.settings, self.drive, ()):
            yield from uploads_at(self.world.s3, place, self.drive)

    # The steps

    def steps(self, request: str, basis: str, *, run_ended: bool = False) -> list[tuple[str, Callable[[], None]]]:
        """The steps that delete, in their order, by name.

        Args:
            request: Id of the request in the register of requests.
            basis: On what ground the drive is forgotten.
            run_ended: The operator knows that no run of the drive is at work any more.

        Raises:
            InputError: Request or basis cannot be kept; or the drive was forgotten by another request.
        """
        check_request(request, basis, (self.drive.drive_id,))
        known = self.tombstones.of(self.drive)
        if known is not None and known.request != request:
            raise InputError(
                f"the drive was forgotten by request {known.request}, not {request}",
                f"`--request {known.request}` deletes what has come since; `--check` searches for it",
            )
        if known is None and not self._exists():
            raise self._unknown()
        return [
            ("tombstone", lambda: self._bury(request)),
            ("wait", lambda: self._wait(run_ended=run_ended)),
            ("inventory", lambda: self._take_inventory(request, basis)),
            ("tables", lambda: self._clear_tables(request)),
            ("bytes", self._delete_bytes),
            ("messages", self._delete_messages),
            ("ledger", self._clear_ledger),
        ]

    def _bury(self, request: str) -> None:
        self.tombstones.put(self.drive, request)
        self.tombstones.fence(self.drive)
        salt = self.tombstones.salt()
        if keep_salt(self.world.catalog, salt) != salt:
            raise InputError(
                "the ledger and the lake have different salts: one of them is from a backup of before the first erasure",
                "restore the other one, too: neither can tell any more which drives were forgotten",
            )
        put_tombstone(self.world.catalog, self.drive, request, self.world.clock())

    def _wait(self, *, run_ended: bool) -> None:
        fence = self.tombstones.fence(self.drive)
        if fence is None or fence.in_work is None:
            return
        until_ns = fence.changed_ns + LONGEST_LEASE_S * NS_PER_S
        if run_ended or self.world.clock() >= until_ns:
            self.tombstones.run_ended(self.drive)
            return
        raise BusyError(
            f"a run of {self.drive} (generation {fence.in_work}) is at work: it cannot publish, but may still write files",
            "run this again when it has ended; its lease ends after 12 hours at most. Or --run-ended, if you know that it has",
        )

    def _take_inventory(self, request: str, basis: str) -> None:
        listed = list(self._listed())
        entries, payloads = inventory.hashed(self.world.s3, listed, self._salt, self._report)
        fence = self.tombstones.fence(self.drive)
        found = Before(
            request=request,
            basis=basis,
            pseudonym=self._pseudonym,
            begun_ns=self.world.clock(),
            entries=tuple(entries),
            markers=sum(one.version.marker for one in listed),
            uploads=sum(1 for _ in self._uploads()),
            rows=rows_of(self.world.catalog, self.drive),
            items=sum(1 for _ in self.tombstones.items_of(self.drive)),
            letters=self._count_letters(),
            baselines=sum(one.what == BASELINES for one in listed),
            in_work_until_ns=fence.changed_ns + LONGEST_LEASE_S * NS_PER_S if fence and fence.attempts else None,
        )
        documents = self.documents(request)
        documents.keep_payloads(payloads)
        documents.keep_before(found)

    def _clear_tables(self, request: str) -> None:
        forget_rows(self.world.catalog, self.drive, request)

    def _delete_bytes(self) -> None:
        for upload in self._uploads():
            buckets.abort(self.world.s3, upload)
        for bucket, group in groupby(self._listed(), key=lambda one: one.version.bucket):
            buckets.delete(self.world.s3, bucket, (one.version for one in group))

    def _count_letters(self) -> int:
        found = list(self._letters())
        for queue, letter in found:
            queue.put_back(letter)
        return len(found)

    def _delete_messages(self) -> None:
        for queue, letter in self._letters():
            self.world.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt_handle)

    def _clear_ledger(self) -> None:
        for item in list(self.tombstones.items_of(self.drive)):
            self.tombstones.delete(item)

    # The search, and what it says

    def search(self, request: str, *, deep: bool) -> SearchResult:
        """Search for what is left of the drive, by another path than the steps'."""
        world, documents = self.world, self.documents(request)
        before = documents.before()
        digests = documents.payloads() | frozenset(one.sha256 for one in (before.entries if before else ()) if one.bytes)
        search = Search(world.s3, world.settings, self.drive, digests, deep=deep)
        search.buckets(self._report)
        search.tables(world.catalog)
        search.ledger(self._items)
        for queue in self._dead_letter_queues():
            letters = list(queue.letters(MOST_LETTERS))
            if len(letters) == MOST_LETTERS:
                search.found.unreadable.append(
                    f"{queue.url}: holds {MOST_LETTERS} dead letters or more, and no more are looked at"
                )
            search.messages(queue.url.rpartition("/")[2], (one.body for one in letters))
            for letter in letters:
                queue.put_back(letter)
        return search.found

    def certify(self, request: str, signer: Signer | None, *, deep: bool) -> ErasureOutcome:
        """Search, and write the certificate, whatever the search has found.

        Raises:
            NotFoundError: The drive was not forgotten by this request, or what there was is not known.
        """
        documents = self.documents(request)
        before = documents.before()
        if before is None:
            raise NotFoundError(f"no erasure of this drive by request {request} is known", "`scenelake forget --apply` begins it")
        found = self.search(request, deep=deep)
        said = statement(before, found, self.successors(request), self._exempt(before, found), self.world.clock(), deep=deep)
        made = envelope(said, signer)
        target = documents.at("certificate.json")
        documents.store.put(target, canonical_json(made))
        return ErasureOutcome(made, target.uri, found)

    def successors(self, request: str) -> list[Successor]:
        """The pinned versions that go on without the drive because of a request."""
        made = []
        for name, table in existing_tables(self.world.catalog).items():
            at = {ref.snapshot_id: ref_name for ref_name, ref in table.metadata.refs.items()}
            for one in redactions(table).values():
                if one.request == request and one.successor in at:
                    made.append(Successor(name, at[one.successor], one.snapshot_id, one.successor, one.rows))
        return made

    def documents(self, request: str) -> ErasureDocuments:
        """The documents of this erasure."""
        return ErasureDocuments(ObjectStore(self.world.s3), self.world.settings.lake_bucket, request, self._pseudonym)

    def _exempt(self, before: Before, found: SearchResult) -> list[Exempt]:
        now_ns = self.world.clock()
        kept = [one.version for one in self._listed()] if found.count else []
        urls = (self.world.settings.drive_work_url, self.world.settings.object_events_url)
        return [
            *of_runs(before.in_work_until_ns, now_ns),
            *of_commits(before.begun_ns + LONGEST_LEASE_S * NS_PER_S, now_ns),
            *(kept_by_store(self.world.s3, version, self._salt) for version in kept),
            *of_ledger(self.world.dynamodb, self.world.settings.ledger_table, before.begun_ns),
            *(one for url in urls for one in of_queue(self.world.sqs, url, now_ns)),
            *out_of_reach(),
        ]

    @cached_property
    def _salt(self) -> str:
        return self.tombstones.salt()

    @cached_property
    def _pseudonym(self) -> str:
        return pseudonyms.of_drive(self._salt, self.drive)

    def _dead_letter_queues(self) -> list[DeadLetterQueue]:
        settings, sqs = self.world.settings, self.world.sqs
        return [
            DeadLetterQueue(sqs, settings.drive_work_url),
            DeadLetterQueue(sqs, settings.object_events_url, about_event),
        ]

    def _letters(self) -> Iterator[tuple[DeadLetterQueue, DeadLetter]]:
        """Dead letters about the drive; the others become visible again at once."""
        for queue in self._dead_letter_queues():
            for letter in list(queue.letters(MOST_LETTERS)):
                if self._names.may_name(letter.body.encode()) and self._names.text(letter.body):
                    yield queue, letter
                else:
                    queue.put_back(letter)
