"""Publish a drive exactly once: the commit is the fence (promise P2).

Every commit adds a row to `gold.drives` beside the drive's scenes, frames and quarantine records. Each attempt re-reads the
drive's rows before it commits, and any other commit in between makes it fail. So neither a second run of the same drive nor a
driver that outlived its lease can add a scene twice or bring an older revision back, whatever maintenance has done to the
history of the tables. Snapshot summaries say the same to people; nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table, Transaction

from lake.errors import ForgottenError, PublishError, SupersededError
from lake.iceberg.attempts import commit
from lake.iceberg.internals import begin
from lake.iceberg.publisher import Publisher
from lake.iceberg.replace_files import data_files, replace_files
from lake.iceberg.staged import Staged, StagedFile, described, staged
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drive_files import without_drive
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import DATA_TABLES, FRAMES_TABLE, RECORDS_TABLE, SCENES_TABLE
from lake.tables.rows import DriveRow, PublicationFacts, PublishedFile
from lake.tables.summaries import summary_of
from sensors.time_units import NS_PER_MS


class PublishOutcome(StrEnum):
    """The effect of a publication. ALREADY: the batch had been committed before; nothing was added."""

    PUBLISHED = "published"
    ALREADY = "already"


@dataclass(frozen=True, slots=True)
class Batch:
    """One drive revision and the Parquet files that hold it, by table; a table without files gets an empty snapshot.

    `sha256`: of each file, by URI, as it was written; a file without one is published as not verifiable.
    """

    drive: DriveId
    revision: str
    generation: int
    files: Mapping[str, Sequence[str]]
    facts: PublicationFacts
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of `publish`: the row of `gold.drives` that the batch was committed with. With ALREADY it is that of the
    earlier attempt, whatever the batch at hand says."""

    outcome: PublishOutcome
    row: DriveRow


def publish(catalog: Publisher, batch: Batch) -> Publication:
    """Make a drive's scenes, frames and quarantine records visible in one commit, replacing its earlier revision.

    Raises:
        SupersededError: A later generation of the drive has been published; nothing was changed.
        ForgottenError: The drive was forgotten; nothing was changed.
        PublishError: The files do not hold the rows that `batch.facts` counts; or other commits won every attempt. Nothing was
            changed, and in the second case trying again is safe.
    """
    unknown = set(batch.files) - set(DATA_TABLES)
    if unknown:
        raise PublishError(f"batch names tables that do not exist: {', '.join(sorted(unknown))}")
    try:
        return commit(catalog, lambda: _attempt(catalog, batch))
    except CommitFailedException as error:
        raise PublishError(f"{batch.drive}: {error}", "run it again") from error


def _attempt(catalog: Publisher, batch: Batch) -> tuple[list[Transaction], Publication]:
    tables = {name: catalog.load_table(name) for name in (*DATA_TABLES, DRIVES_TABLE)}
    if (request := drives.tombstone(tables[DRIVES_TABLE], batch.drive)) is not None:
        raise ForgottenError(f"the drive of this batch was forgotten by request {request}: nothing of it is published")
    published = drives.newest(tables[DRIVES_TABLE], batch.drive)
    if published is not None and _is_committed(published, batch):
        return [], Publication(PublishOutcome.ALREADY, published)
    changes, row = _stage(tables, batch, published)
    return changes, Publication(PublishOutcome.PUBLISHED, row)


def _is_committed(published: DriveRow, batch: Batch) -> bool:
    """Whether the newest publication of the drive is the batch; False if the batch is to replace it.

    Raises:
        SupersededError: The batch is older.
    """
    if published.generation < batch.generation:
        return False
    if (published.generation, published.revision) == (batch.generation, batch.revision):
        return True
    raise SupersededError(
        f"{batch.drive}: generation {published.generation} has been published; generation {batch.generation} comes too late",
        published.generation,
    )


def _stage(tables: Mapping[str, Table], batch: Batch, published: DriveRow | None) -> tuple[list[Transaction], DriveRow]:
    """Replace all rows of the drive, whichever revision they are of, by those of the batch: one snapshot for each table.

    Not only where a publication is known: rows without one, of a lake that lost its history, must not stay beside these.

    `published`: the drive's newest publication.
    """
    files = {name: data_files(tables[name], batch.files.get(name, ())) for name in DATA_TABLES}
    added = {name: described(tables[name].metadata, some) for name, some in files.items()}
    days = _days(tables[DRIVES_TABLE], published, added)
    changes = {name: begin(table) for name, table in tables.items()}
    found = {}
    for name in DATA_TABLES:
        old = without_drive(changes[name], batch.drive, days)
        replace_files(changes[name], tables[name].io, old.held, [*files[name], *old.rest], _summary(batch))
        found[name] = staged(changes[name], added[name])
    row = _row(batch, found)
    # The rows of earlier publications stay.
    drives.add_rows(changes[DRIVES_TABLE], tables[DRIVES_TABLE], [row], _summary(batch))
    return list(changes.values()), row


def _days(table: Table, published: DriveRow | None, added: Mapping[str, Sequence[StagedFile]]) -> frozenset[date] | None:
    """The days that rows of the drive are or will be filed under; None if nobody recorded those of earlier ones."""
    earlier: Collection[date] | None = published.days if published else None if drives.may_lack_rows(table) else ()
    if earlier is None:
        return None
    return frozenset(earlier) | {file.day for some in added.values() for file in some if file.day is not None}


def _summary(batch: Batch) -> dict[str, str]:
    return summary_of(batch.drive, batch.revision, batch.generation)


def _row(batch: Batch, found: Mapping[str, Staged]) -> DriveRow:
    counted = {SCENES_TABLE: batch.facts.scenes, FRAMES_TABLE: batch.facts.frames, RECORDS_TABLE: batch.facts.records}
    for table, rows in counted.items():
        if rows != found[table].rows:
            raise PublishError(f"{batch.drive}: the files of {table} hold {found[table].rows} rows, the audit counted {rows}")
    scenes = found[SCENES_TABLE]
    return DriveRow(
        **msgspec.structs.asdict(batch.facts),
        vehicle_id=batch.drive.vehicle_id,
        drive_id=batch.drive.drive_id,
        revision=batch.revision,
        generation=batch.generation,
        committed_ns=scenes.timestamp_ms * NS_PER_MS,
        first_anchor_ns=min((file.first_ns for file in scenes.files if file.first_ns is not None), default=None),
        last_anchor_ns=max((file.last_ns for file in scenes.files if file.last_ns is not None), default=None),
        days=tuple(sorted({file.day for part in found.values() for file in part.files if file.day is not None})),
        scenes_snapshot_id=scenes.snapshot_id,
        frames_snapshot_id=found[FRAMES_TABLE].snapshot_id,
        records_snapshot_id=found[RECORDS_TABLE].snapshot_id,
        files=tuple(_file(name, file, batch.sha256) for name in DATA_TABLES for file in found[name].files),
    )


def _file(table: str, file: StagedFile, sha256: Mapping[str, str]) -> PublishedFile:
    return PublishedFile(table=table, uri=file.uri, bytes=file.size, sha256=sha256.get(file.uri))
