"""What a transaction has staged for one table and not yet committed: its new snapshot, and the data files that it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.types import LongType
from pyiceberg.utils.datetime import days_to_date

from lake.errors import PublishError

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Transaction

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


def staged(transaction: Transaction, io: FileIO) -> Staged:
    """What `transaction` has staged; reads the manifest that it wrote, and no data file.

    Raises:
        PublishError: It has staged no snapshot.
    """
    metadata = transaction.table_metadata
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        raise PublishError("the transaction has staged no snapshot")
    fields = {field.name: field.field_id for field in metadata.schema().fields}
    anchor_id = fields.get(ANCHOR, -1)
    partitions = [field.name for field in metadata.spec().fields]
    files = [
        _file(entry.data_file, anchor_id, partitions)
        for manifest in snapshot.manifests(io)
        if manifest.added_snapshot_id == snapshot.snapshot_id
        for entry in manifest.fetch_manifest_entry(io)
        if entry.status is ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id
    ]
    return Staged(snapshot.snapshot_id, snapshot.timestamp_ms, tuple(sorted(files, key=lambda file: file.uri)))


def _file(found: DataFile, anchor_id: int, partitions: Sequence[str]) -> StagedFile:
    partition = {name: found.partition[position] for position, name in enumerate(partitions)}
    return StagedFile(
        uri=found.file_path,
        size=found.file_size_in_bytes,
        rows=found.record_count,
        first_ns=_bound(found.lower_bounds, anchor_id),
        last_ns=_bound(found.upper_bounds, anchor_id),
        day=days_to_date(partition[DAY]) if DAY in partition else None,
    )


def _bound(bounds: dict[int, bytes] | None, field_id: int) -> int | None:
    body = (bounds or {}).get(field_id)
    return None if body is None else int(from_bytes(LongType(), body))
