"""Publish a drive exactly once: the commit is the fence (promise P2).

Every commit carries the batch identity (drive, revision, generation) in the snapshot summary of `gold.scenes`. Each attempt
re-reads the tables and checks for it before it commits, so neither a second run of the same drive nor a driver that outlived
its lease can add a scene twice or bring an older revision back.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot

from lake.errors import PublishError, SupersededError
from lake.landing import DriveId
from lake.tables.catalog import LakeCatalog
from lake.tables.drive_rows import of_drive
from lake.tables.schemas import PUBLISHED

SCENES_TABLE = "gold.scenes"
DRIVE, REVISION, GENERATION = "scenelake.drive", "scenelake.revision", "scenelake.generation"
VALIDATIONS = "scenelake.validations"  # URI of the audit's results
MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


class PublishOutcome(StrEnum):
    """The effect of a publication. ALREADY: the batch had been committed before; nothing was added."""

    PUBLISHED = "published"
    ALREADY = "already"


@dataclass(frozen=True, slots=True)
class Batch:
    """One drive revision and the Parquet files that hold it, by table; a table without files gets an empty snapshot."""

    drive: DriveId
    revision: str
    generation: int
    files: Mapping[str, Sequence[str]]
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of `publish`: the snapshot of `gold.scenes` that holds the batch."""

    outcome: PublishOutcome
    snapshot_id: int


def publish(catalog: LakeCatalog, batch: Batch) -> Publication:
    """Make a drive's scenes, frames and quarantine records visible in one commit, replacing its earlier revision.

    Raises:
        SupersededError: A later generation of the drive has been published; nothing was changed.
        PublishError: Other commits won every attempt; nothing was changed, and trying again is safe.
    """
    unknown = set(batch.files) - set(PUBLISHED)
    if unknown:
        raise PublishError(f"batch names tables that do not exist: {', '.join(sorted(unknown))}")
    pause_s = FIRST_PAUSE_S
    for _ in range(MAX_ATTEMPTS):
        tables = {name: catalog.load_table(name) for name in PUBLISHED}
        earlier = _batches_of(tables[SCENES_TABLE], batch.drive)
        if published := _find(earlier, batch):
            return Publication(PublishOutcome.ALREADY, published.snapshot_id)
        _refuse_older(earlier, batch)
        transactions = [_stage(tables[name], batch, name, replace=bool(earlier)) for name in PUBLISHED]
        try:
            catalog.commit_together(transactions)
        except CommitFailedException:
            # Jitter keeps publishers that collided once from colliding again in lockstep.
            time.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        committed = _find(_batches_of(catalog.load_table(SCENES_TABLE), batch.drive), batch)
        if committed is None:
            raise PublishError(f"{batch.drive}: the commit succeeded, but its batch identity is not in {SCENES_TABLE}")
        return Publication(PublishOutcome.PUBLISHED, committed.snapshot_id)
    raise PublishError(f"{batch.drive}: {MAX_ATTEMPTS} commits lost the race against other publishers; run it again")


def _batches_of(table: Table, drive: DriveId) -> list[Snapshot]:
    return [snapshot for snapshot in table.snapshots() if snapshot.summary is not None and snapshot.summary[DRIVE] == str(drive)]


def _find(snapshots: Sequence[Snapshot], batch: Batch) -> Snapshot | None:
    for snapshot in snapshots:
        if snapshot.summary is not None and _identity(snapshot) == (batch.revision, batch.generation):
            return snapshot
    return None


def _refuse_older(snapshots: Sequence[Snapshot], batch: Batch) -> None:
    newest = max((_identity(snapshot)[1] for snapshot in snapshots), default=0)
    if newest >= batch.generation:
        raise SupersededError(
            f"{batch.drive}: generation {newest} has been published; generation {batch.generation} comes too late"
        )


def _identity(snapshot: Snapshot) -> tuple[str, int]:
    assert snapshot.summary is not None
    return str(snapshot.summary[REVISION]), int(str(snapshot.summary[GENERATION]))


def _stage(table: Table, batch: Batch, name: str, *, replace: bool) -> Transaction:
    identity = {
        **batch.properties,
        DRIVE: str(batch.drive),
        REVISION: batch.revision,
        GENERATION: str(batch.generation),
    }
    transaction = table.transaction()
    if replace:
        old_rows = of_drive(batch.drive)
        if any(table.scan(row_filter=old_rows, selected_fields=("vehicle_id",)).plan_files()):
            transaction.delete(old_rows)
    # Attempt-unique names make a duplicate check over all files of the table useless; the batch identity is the check.
    with _bounds_may_lack():
        transaction.add_files(list(batch.files.get(name, ())), snapshot_properties=identity, check_duplicate_files=False)
    return transaction


@contextmanager
def _bounds_may_lack() -> Iterator[None]:
    """Silence the library's warnings about columns without bounds: some ten thousand lines per drive.

    The files have bounds in the columns that readers prune by (`scenes.build.scene_file`).
    """
    logger = logging.getLogger("pyiceberg.io.pyarrow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
