"""Delete objects that nothing needs any more, by version id, after two listings.

The buckets are versioned: a delete without a version id frees nothing. An object is deleted if

1. no snapshot in the tables' metadata leads to it, pinned or not (`lake.maintenance.references`);
2. its newest version is older than the longest lease, so that whoever wrote it has lost its lease;
3. the ledger says that its drive is finished: a publisher that outlived its lease is then refused (`lake.tables.publish`);
4. its table has changed since it was written: a commit that was staged on the state before fails;
5. the last sweep, `delay_s` ago or longer, listed the same versions of it, and
6. right before it is deleted, no table has moved to a state that needs it, and its drive is still finished.

What the sweep knows no rule for stays. Names that are needed are kept in a file (`lake.maintenance.reference_file`), everything
else is a stream in key order, so memory does not depend on the size of the lake.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lake.errors import LakeError, MaintenanceError
from lake.maintenance.candidates import Candidate, Documents, FormerListing, ListingWriter, comparing, former_listing
from lake.maintenance.deletion import Deletion
from lake.maintenance.judgement import LONGEST_LEASE_S, Attempts, Judge, ObjectVersions, TableState
from lake.maintenance.reference_file import References, ReferenceWriter, plain
from lake.maintenance.references import TableReferences
from lake.maintenance.sweep_report import LakeSweepReport
from lake.maintenance.swept_buckets import Bucket
from lake.maintenance.swept_keys import LAKE_PREFIXES, QUARANTINE_PREFIXES
from lake.versions.moments import load_tables
from sensors.time_units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher

PAGE = 1_000
OLDEST_LISTING_S = 30 * 86400
Clock = Callable[[], int]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SweepPolicy:
    """How long what nothing needs is left alone. No time may be shorter than the longest lease.

    Attributes:
        min_age_s: Since an object was written.
        delay_s: Since the first listing that had it. Less than the period of the sweeps, so that each deletes what the one before
            listed.
        upload_age_s: Since a multipart upload was begun.
        skew_s: How far the clocks of the writers may be from that of S3, which refuses requests that are off by more than 15
            minutes.

    Raises:
        MaintenanceError: A time is shorter, or the skew is negative.
    """

    min_age_s: float = 86400.0
    delay_s: float = 72000.0
    upload_age_s: float = 86400.0
    skew_s: float = 3600.0

    def __post_init__(self) -> None:
        if min(self.min_age_s, self.delay_s, self.upload_age_s) < LONGEST_LEASE_S:
            raise MaintenanceError(f"an attempt may use its files for as long as a lease can last, {LONGEST_LEASE_S} s")
        if self.skew_s < 0:
            raise MaintenanceError(f"clocks are {self.skew_s:g} s apart at most: a skew is not negative")


@dataclass(frozen=True, slots=True)
class SweptLake:
    """The parts of a deployment that a sweep looks at."""

    catalog: Publisher
    store: Documents
    lake: Bucket
    quarantine: Bucket
    attempts: Attempts

    @property
    def buckets(self) -> tuple[str, str]:
        """The names of the lake's and the quarantine's bucket."""
        return self.lake.name, self.quarantine.name


def sweep(
    swept: SweptLake,
    policy: SweepPolicy,
    *,
    apply: bool,
    relist: bool = False,
    clock: Clock = time.time_ns,
    progress: Progress | None = None,
) -> LakeSweepReport:
    """List what nothing needs, and delete what the last sweep listed, too.

    Without `apply` nothing is written: the report says what would be deleted and listed. `relist`: ignore the last listing.

    Raises:
        MaintenanceError: The last listing is refused; a bucket did not answer or the disk is full. The message says what was
            deleted until then; what remains is deleted by the next run.
    """
    now_ns = clock()
    report = LakeSweepReport(applied=apply)
    former = None if relist else _former(swept, now_ns, report)
    try:
        with tempfile.TemporaryDirectory(prefix="scenelake-sweep-") as folder:
            _run(_Run(swept, policy, report, former, now_ns, apply, progress or _silent), Path(folder))
    except MaintenanceError as error:
        raise MaintenanceError(f"{error}; {report.so_far()}", error.hint) from error
    except (LakeError, OSError, BotoCoreError, ClientError) as error:
        raise MaintenanceError(
            f"the sweep stopped: {error}; {report.so_far()}", "run it again: it goes on with what remains"
        ) from error
    return report


@dataclass(frozen=True, slots=True)
class _Run:
    swept: SweptLake
    policy: SweepPolicy
    report: LakeSweepReport
    former: FormerListing | None
    now_ns: int
    apply: bool
    progress: Progress


def _run(run: _Run, folder: Path) -> None:
    swept, walked = run.swept, TableReferences(run.swept.lake.name)
    references, states = _references(swept, walked, folder, run.progress)
    listing = None if run.former is None else run.former.head.listing
    min_age_s, skew_s = run.policy.min_age_s, run.policy.skew_s
    judge = Judge(references, states, swept.attempts, swept.lake.name, run.now_ns, min_age_s, skew_s, listing)
    deletion = Deletion(swept.catalog, walked, judge, (swept.lake, swept.quarantine), run.report)
    name = f"{run.now_ns // NS_PER_S:012d}-{uuid.uuid4().hex[:12]}"
    writer = ListingWriter(swept.store, swept.buckets, name, run.now_ns) if run.apply else None
    find = comparing(run.former)
    for candidate in _candidates(run, judge, len(references)):
        known = find(candidate)
        due = _due(candidate, known, run.now_ns - int(run.policy.delay_s * NS_PER_S))
        rest = candidate if due is None else _without(candidate, due)
        if due is not None:
            run.report.would_delete(due)
            if run.apply:
                deletion.add(due)
        if rest.versions:
            run.report.listed(rest)
            if writer is not None:
                writer.add(_dated(rest, known))
    deletion.finish()
    if writer is not None:
        writer.finish(swept.catalog)
    _abort_uploads(run)


def _former(swept: SweptLake, now_ns: int, report: LakeSweepReport) -> FormerListing | None:
    """The last listing, if it may be used. A stale one is not: a lake changes too much in that time to call it a second look."""
    found = former_listing(swept.catalog, swept.store, swept.buckets)
    if found is None:
        return None
    age_s = (now_ns - found.head.begun_ns) / NS_PER_S
    if age_s < 0:
        raise MaintenanceError("the last listing is of the future: check the clock of this machine; nothing was deleted")
    if age_s > OLDEST_LISTING_S:
        report.note(f"the last listing is {age_s / 86400:.0f} days old and refused: this run only lists")
        return None
    return found


def _references(
    swept: SweptLake, walked: TableReferences, folder: Path, progress: Progress
) -> tuple[References, dict[str, TableState]]:
    writer, states = ReferenceWriter(folder), {}
    for name, table in load_tables(swept.catalog).items():
        for uris in walked.of_table(name, table, lambda step, done, total: progress(f"references of {step}", done, total)):
            writer.add(uris)
        prefix = plain(table.location()).removeprefix(swept.lake.name).lstrip("/") + "/"
        states[prefix] = TableState(name, table.metadata.last_updated_ms * NS_PER_MS, table.metadata_location)
    return writer.sorted(), states


def _candidates(run: _Run, judge: Judge, expected: int) -> Iterator[Candidate]:
    """What nothing needs, in the order of buckets and keys."""
    prefixes: Mapping[str, tuple[str, ...]] = {
        run.swept.lake.name: LAKE_PREFIXES,
        run.swept.quarantine.name: QUARANTINE_PREFIXES,
    }
    done = 0
    for bucket in sorted((run.swept.lake, run.swept.quarantine), key=lambda one: one.name):
        before = ""
        for found in _pages(bucket, prefixes[bucket.name]):
            if found[0].key <= before or any(a.key >= b.key for a, b in pairwise(found)):
                raise MaintenanceError(f"{bucket.name} does not list its keys in order; nothing can be compared")
            before = found[-1].key
            for verdict in judge.judge(bucket.name, found):
                if isinstance(verdict, Candidate):
                    yield verdict
                elif verdict is not None:
                    run.report.kept(verdict)
            done += len(found)
            run.progress("objects", done, max(expected, done + 1))


def _pages(bucket: Bucket, prefixes: tuple[str, ...]) -> Iterator[list[ObjectVersions]]:
    for prefix in prefixes:
        keys = bucket.keys(prefix)
        while page := list(islice(keys, PAGE)):
            yield page


def _due(candidate: Candidate, known: Candidate | None, before_ns: int) -> Candidate | None:
    """The versions of a candidate that may be deleted: those that an earlier sweep listed, too."""
    if known is None or known.first_ns > before_ns:
        return None
    both = set(known.versions)
    versions = tuple(one for one in candidate.versions if one in both)
    if not versions:
        return None
    whole = len(versions) == len(candidate.versions)
    return _replaced(candidate, versions, candidate.bytes if whole else 0)


def _without(candidate: Candidate, due: Candidate) -> Candidate:
    gone = set(due.versions)
    return _replaced(candidate, tuple(one for one in candidate.versions if one not in gone), candidate.bytes - due.bytes)


def _replaced(candidate: Candidate, versions: tuple[str, ...], size: int) -> Candidate:
    return Candidate(bucket=candidate.bucket, key=candidate.key, versions=versions, bytes=size, first_ns=candidate.first_ns)


def _dated(candidate: Candidate, known: Candidate | None) -> Candidate:
    """The candidate as of when it was listed first, if all of its versions were."""
    if known is None or not set(candidate.versions) <= set(known.versions):
        return candidate
    return Candidate(
        bucket=candidate.bucket,
        key=candidate.key,
        versions=candidate.versions,
        bytes=candidate.bytes,
        first_ns=min(known.first_ns, candidate.first_ns),
    )


def _abort_uploads(run: _Run) -> None:
    """Parts of an upload that was never completed take space and show in no listing of objects."""
    before_ns = run.now_ns - int(run.policy.upload_age_s * NS_PER_S)
    for bucket in (run.swept.lake, run.swept.quarantine):
        for upload in bucket.uploads():
            old = upload.begun_ns < before_ns
            if old and run.apply:
                bucket.abort(upload)
            run.report.upload(aborted=old)


def _silent(step: str, done: int, total: int) -> None:
    del step, done, total
