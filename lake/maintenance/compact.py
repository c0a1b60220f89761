"""Merge small data files into large ones, without a change to what the table holds (ADR 0038).

    plan ▸ merge into new files ▸ read them back and compare ▸ commit

The commit replaces the files in one snapshot and adds a row to `gold.compactions`, together or not at all. It is made only if
every file that was merged is still in the table: a publication that replaced one of them meanwhile wins. Old snapshots, and so
tags, keep the old files; nothing is deleted here but merged files that no commit refers to. A process that is killed leaves the
table as it was before or after, and perhaps files that nothing refers to.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.exceptions import CommitFailedException

from lake.digests import content_digest
from lake.errors import LakeError
from lake.iceberg.attempts import commit
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.iceberg.staged import staged
from lake.maintenance.compaction_plan import MergeJob, SmallFile, partition_filter
from lake.maintenance.judgement import LONGEST_LEASE_S
from lake.maintenance.lake_files import LakeWriter, ranges_of, read_whole, reading, writing
from lake.maintenance.merge_sizes import Sizes
from lake.maintenance.merged_rows import ROW_GROUP_ROWS, RowsDigest, rechunked, table_rows
from lake.maintenance.merged_scenes import SceneDigest, SceneMerge, digests_before, scene_digests
from lake.parquet.row_group import read_footer
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.compactions import COMPACTIONS_TABLE, add_row
from lake.tables.names import SCENES_TABLE
from lake.tables.rows import CompactionRow, PublishedFile
from lake.tables.schemas import PUBLISHED
from sensors.time_units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from lake.iceberg.publisher import Publisher

LONGEST_S = LONGEST_LEASE_S  # from the first merged file to the commit; a sweep leaves such files alone for longer
SUMMARY = {"scenelake.compaction": "true"}
Clock = Callable[[], int]


class MergeOutcome(StrEnum):
    """What became of a job. LOST: a file was replaced meanwhile, and nothing was changed. REFUSED: the files are left as they
    are, because something about them is not right."""

    COMPACTED = "compacted"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Compaction:
    """The result of a job; `row` as committed, `reason` where it was not."""

    job: MergeJob
    outcome: MergeOutcome
    row: CompactionRow | None = None
    reason: str = ""


class CompactionError(LakeError):
    """The merged files do not hold what the files hold that they were made of, or cannot be committed."""


@dataclass(slots=True)
class _Merged:
    """Files that were made of a job's since `begun_ns`, as stored; `rows` and `digest` of what was read to make them."""

    begun_ns: int
    files: list[PublishedFile] = field(default_factory=list)
    rows: int = 0
    digest: str = ""

    @property
    def uris(self) -> list[str]:
        """Of the files."""
        return [file.uri for file in self.files]


def compact(catalog: Publisher, job: MergeJob, sizes: Sizes, clock: Clock = time.time_ns) -> Compaction:
    """Merge the files of a job, and commit. Job and sizes are those of `lake.maintenance.compaction_plan.plan`.

    Raises:
        CompactionError: Storage or catalog failed, the merged files are too old, or other commits won every attempt; try again.
    """
    try:
        return _compact(catalog, job, sizes, clock)
    except OSError as error:
        raise CompactionError(f"{job}: storage or catalog failed: {error}", "run it again") from error


def _compact(catalog: Publisher, job: MergeJob, sizes: Sizes, clock: Clock) -> Compaction:
    table, merged = catalog.load_table(job.table), _Merged(clock())
    if not {file.uri for file in job.files} <= _live(table, job).keys():
        return Compaction(job, MergeOutcome.LOST, reason="its files have been replaced since they were planned")
    try:
        _merge(table, job, sizes, merged)
        _compare(table, job, merged)
    except OSError:
        _delete(table.io, merged.uris)
        raise
    except LakeError as error:
        _delete(table.io, merged.uris)
        return Compaction(job, MergeOutcome.REFUSED, reason=str(error))
    row = _commit(catalog, job, merged, clock)
    if row is None:
        _delete(table.io, merged.uris)
        return Compaction(job, MergeOutcome.LOST, reason="another commit replaced its files meanwhile")
    return Compaction(job, MergeOutcome.COMPACTED, row)


# ---- merge ----


def _merge(table: Table, job: MergeJob, sizes: Sizes, merged: _Merged) -> None:
    if job.table == SCENES_TABLE:
        _merge_scenes(table, job, merged)
    else:
        _merge_rows(table, job, sizes, merged)


def _merge_scenes(table: Table, job: MergeJob, merged: _Merged) -> None:
    """One file at a time is held; none is larger than `Sizes.smallest_scenes`."""
    found = list[SceneDigest]()
    with _new_file(table, job, merged) as target:
        merge = SceneMerge(target)
        for file in job.files:
            body = read_whole(table.io, file.uri, file.size)
            read = ranges_of(body)
            metadata = read_footer(read, file.uri, file.size)
            found += digests_before(read, file.uri, file.size, metadata)
            merge.add(body, metadata)
        merge.finish()
    merged.rows, merged.digest = len(found), content_digest(found)


def _merge_rows(table: Table, job: MergeJob, sizes: Sizes, merged: _Merged) -> None:
    """A row group of a file that is merged, and one of the merged file, are held."""
    schema = PUBLISHED[job.table]
    digest = RowsDigest()
    groups = rechunked(_rows(table, job.files, schema), ROW_GROUP_ROWS)
    group = next(groups, None)
    while group is not None:
        with _new_file(table, job, merged) as target, pq.ParquetWriter(target, schema, **WRITE_OPTIONS) as writer:
            while group is not None and target.size < sizes.enough:
                digest.add(group)
                writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                group = next(groups, None)
    merged.rows, merged.digest = digest.result()


def _rows(table: Table, files: Iterable[SmallFile | PublishedFile], schema: pa.Schema) -> Iterator[pa.Table]:
    for file in files:
        with reading(table.io, file.uri) as read:
            yield from table_rows(read, file.uri, file.size if isinstance(file, SmallFile) else file.bytes, schema)


@contextmanager
def _new_file(table: Table, job: MergeJob, merged: _Merged) -> Iterator[LakeWriter]:
    """A merged file. One of a single drive begins with vehicle and drive, as `publish` names them: all can be listed."""
    place = "/".join(part for part in (job.vehicle_id, job.drive) if part)
    uri = f"{table.location()}/data/{place}/compacted-{uuid.uuid4().hex}.parquet"
    merged.files.append(PublishedFile(table=job.table, uri=uri, bytes=0))  # known before it exists: `_delete` removes it
    with writing(table.io, uri) as target:
        yield target
    merged.files[-1] = PublishedFile(table=job.table, uri=uri, bytes=target.size, sha256=target.sha256)


# ---- compare ----


def _compare(table: Table, job: MergeJob, merged: _Merged) -> None:
    """Read the merged files as they are stored.

    Raises:
        CompactionError: They hold something else.
    """
    if job.table == SCENES_TABLE:
        (file,) = merged.files
        with reading(table.io, file.uri) as read:
            found = list(scene_digests(read, file.uri, file.bytes))
        rows, digest = len(found), content_digest(found)
    else:
        stored = RowsDigest()
        for group in rechunked(_rows(table, merged.files, PUBLISHED[job.table]), ROW_GROUP_ROWS):
            stored.add(group)
        rows, digest = stored.result()
    planned = sum(file.rows for file in job.files)
    if (rows, digest) != (merged.rows, merged.digest) or rows != planned:
        raise CompactionError(
            f"{job}: {planned} rows in the table, {merged.rows} were read ({merged.digest[:12]}), {rows} were written "
            f"({digest[:12]})"
        )


# ---- commit ----


def _commit(catalog: Publisher, job: MergeJob, merged: _Merged, clock: Clock) -> CompactionRow | None:
    """Replace the files; None if one of them has been replaced meanwhile.

    Raises:
        CompactionError: The merged files are too old, or other commits won every attempt. They stay, in case that one was made.
    """
    rows: dict[str, CompactionRow] = {}  # by the file that was written for it

    def attempt() -> tuple[list[Transaction], str | None]:
        table, compactions = catalog.load_table(job.table), catalog.load_table(COMPACTIONS_TABLE)
        live = _live(table, job)
        if not all(file.uri in live for file in job.files):
            return [], None
        if clock() - merged.begun_ns > LONGEST_S * NS_PER_S:
            raise CompactionError(f"{job}: its files were merged more than {LONGEST_S} s ago", hint="run it again")
        change, row_change = begin(table), begin(compactions)
        replace_files(change, table.io, [live[file.uri] for file in job.files], merged.uris, SUMMARY, same_rows=True)
        row = _row(job, merged, change)
        uri = add_row(row_change, compactions, row, SUMMARY)
        rows[uri] = row
        return [change, row_change], uri

    try:
        made = commit(catalog, attempt)
    except CommitFailedException as error:
        raise CompactionError(f"{job}: {error}", hint="run it again") from error
    _delete(catalog.load_table(COMPACTIONS_TABLE).io, (uri for uri in rows if uri != made))
    return None if made is None else rows[made]


def _row(job: MergeJob, merged: _Merged, change: Transaction) -> CompactionRow:
    made = staged(change, ())
    return CompactionRow(
        table=job.table,
        vehicle_id=job.vehicle_id,
        day=job.day,
        committed_ns=made.timestamp_ms * NS_PER_MS,
        snapshot_id=made.snapshot_id,
        replaced_files=len(job.files),
        replaced_bytes=job.size,
        rows=merged.rows,
        digest=merged.digest,
        files=tuple(merged.files),
    )


def _live(table: Table, job: MergeJob) -> dict[str, DataFile]:
    """The files of the job's partition that the table holds."""
    return {task.file.file_path: task.file for task in table.scan(row_filter=partition_filter(job)).plan_files()}


def _delete(io: FileIO, uris: Iterable[str]) -> None:
    """Remove files that no commit refers to."""
    for uri in uris:
        with suppress(OSError):  # one that was not written; what stays is swept
            io.delete(uri)
