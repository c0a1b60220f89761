"""What a transaction has staged for one table and not yet committed: its new snapshot, and the data files that it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyiceberg.conversions import from_bytes
from pyiceberg.types import LongType
from pyiceberg.utils.datetime import days_to_date

from lake.errors import PublishError

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata

ANCHOR, DAY = "anchor_ns", "day"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A data file to be added. `first_ns` and `last_ns` are the bounds of its anchors, None where it states none; `day` is its
    partition's, None in a table that is not partitioned by day."""

    uri: str
    size: int
    rows: int
    first_ns: int | None
    last_ns: int | None
    day: date | None


@dataclass(frozen=True, slots=True)
class Staged:
    """The snapshot that a commit will make current, and the files that it adds; its id and time are final."""

    snapshot_id: int
    timestamp_ms: int
    files: tuple[StagedFile, ...]

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)


def staged(transaction: Transaction, added: Sequence[StagedFile]) -> Staged:
    """The snapshot that `transaction` has staged, and the files that it was given to add.

    Raises:
        PublishError: It has staged no snapshot.
    """
    snapshot = transaction.table_metadata.current_snapshot()
    if snapshot is None:
        raise PublishError("the transaction has staged no snapshot")
    return Staged(snapshot.snapshot_id, snapshot.timestamp_ms, tuple(added))


def described(metadata: TableMetadata, files: Sequence[DataFile]) -> tuple[StagedFile, ...]:
    """Data files of the table's current partitioning, sorted by URI."""
    fields = {field.name: field.field_id for field in metadata.schema().fields}
    anchor_id = fields.get(ANCHOR, -1)
    partitions = [field.name for field in metadata.spec().fields]
    return tuple(sorted((_file(file, anchor_id, partitions) for file in files), key=lambda file: file.uri))


def _file(found: DataFile, anchor_id: int, partitions: Sequence[str]) -> StagedFile:
    day = found.partition[partitions.index(DAY)] if DAY in partitions else None
    return StagedFile(
        uri=found.file_path,
        size=found.file_size_in_bytes,
        rows=found.record_count,
        first_ns=_bound(found.lower_bounds, anchor_id),
        last_ns=_bound(found.upper_bounds, anchor_id),
        day=None if day is None else days_to_date(day),
    )


def _bound(bounds: dict[int, bytes] | None, field_id: int) -> int | None:
    body = (bounds or {}).get(field_id)
    return None if body is None else int(from_bytes(LongType(), body))
