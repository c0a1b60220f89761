"""Keeps finding a drive's files cheap: merges manifests, and the small files of tables that grow by a row a commit.

Publications leave a manifest for each partition. Merged, some thousand files are in one manifest, sorted by partition: a plan for
one drive opens one or two, and the list of manifests, which each commit writes anew, grows by an entry for some thousand files.
Nothing that a reader of rows can see changes.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import TableError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin, manifests_of
from lake.iceberg.manifest_clusters import is_mergeable
from lake.iceberg.replace_files import replace_files
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.schemas import SORTING

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table, Transaction

    from lake.iceberg.publisher import Publisher

LEAST_FILES = 8  # of one vehicle; fewer are not worth a commit
FULL_ROWS = 1000  # of a file that is not merged further
_ROW_GROUP = 64  # rows; a drive is found in `gold.drives` by the bounds of its group
_MAINTENANCE = "scenelake.maintenance"  # property of a snapshot: what made it


@dataclass(frozen=True, slots=True)
class Merged:
    """How many manifests, or files, there were before, and are now; equal: nothing was committed."""

    before: int
    after: int


def mergeable_manifests(catalog: Publisher, name: str) -> int:
    """How many manifests of a table `merge_manifests` would merge."""
    return _mergeable(manifests_of(begin(catalog.load_table(name))))


def _mergeable(manifests: Sequence[ManifestFile]) -> int:
    """Only manifests of one partitioning can be merged; a small one that is alone in its own stays small."""
    by_spec = Counter(manifest.partition_spec_id for manifest in manifests if is_mergeable(manifest))
    return sum(count for count in by_spec.values() if count > 1)


def merge_manifests(catalog: Publisher, name: str) -> Merged:
    """Merge the manifests of a table that name few files; those that are at least half full stay as they are.

    Raises:
        MaintenanceError: Other commits won every attempt, or storage or catalog failed. Nothing was changed; try again.
    """

    def attempt() -> tuple[list[Transaction], Merged]:
        table = catalog.load_table(name)
        change = begin(table)
        before = manifests_of(change)
        if not _mergeable(before):
            return [], Merged(len(before), len(before))
        replace_files(change, table.io, (), (), {_MAINTENANCE: "manifests"}, same_rows=True, merge=True)
        current = change.table_metadata.current_snapshot()
        return [change], Merged(len(before), len(before) if current is None else len(current.manifests(table.io)))

    return committed(catalog, attempt, f"manifests of {name}")


def merge_row_files(catalog: Publisher, name: str, least_files: int = LEAST_FILES) -> Merged:
    """Merge the files of a table of `ROW_TABLES`, one for each commit, by vehicle; and its manifests, in the same commit.

    `least_files`: small files that a vehicle must have to be worth it.

    Raises:
        TableError: A file that was written does not hold the rows it was made from; nothing was changed.
        MaintenanceError: As of `merge_manifests`.
    """

    def attempt() -> tuple[list[Transaction], Merged]:
        table = catalog.load_table(name)
        count, small = _small_files(table, least_files)
        if not small:
            return [], Merged(count, count)
        change = begin(table)
        written = [_write_merged(table, SORTING[name], vehicle, some) for vehicle, some in sorted(small.items())]
        removed = [file for some in small.values() for file in some]
        replace_files(change, table.io, removed, written, {_MAINTENANCE: "row files"}, same_rows=True, merge=True)
        return [change], Merged(count, count - len(removed) + len(written))

    return committed(catalog, attempt, f"row files of {name}")


def small_row_files(catalog: Publisher, name: str, least_files: int = LEAST_FILES) -> int:
    """How many files of a table `merge_row_files` would merge."""
    return sum(map(len, _small_files(catalog.load_table(name), least_files)[1].values()))


def _small_files(table: Table, least_files: int) -> tuple[int, dict[str, list[DataFile]]]:
    """How many files there are, and by vehicle those that are worth merging."""
    count = 0
    by_vehicle: dict[str, list[DataFile]] = defaultdict(list)
    for task in table.scan().plan_files():
        count += 1
        if task.file.record_count < FULL_ROWS and task.file.spec_id == table.spec().spec_id:
            by_vehicle[str(task.file.partition[0])].append(task.file)
    return count, {vehicle: some for vehicle, some in by_vehicle.items() if len(some) >= max(2, least_files)}


def _write_merged(table: Table, order: Sequence[str], vehicle: str, files: list[DataFile]) -> str:
    """Write the rows of a vehicle's files to a new one, and read it back; columns unknown to this version are kept."""
    rows = pa.concat_tables([_read(table, file.file_path) for file in files], promote_options="permissive")
    rows = rows.sort_by([(column, "ascending") for column in order]).combine_chunks()
    uri = f"{table.location()}/data/{vehicle}/{uuid.uuid4().hex}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=_ROW_GROUP, **WRITE_OPTIONS)
    with table.io.new_output(uri).create(overwrite=True) as stream:
        stream.write(sink.getvalue().to_pybytes())
    if not _read(table, uri).equals(rows):
        raise TableError(f"{uri} does not hold the rows of the {len(files)} files that it was made from")
    return uri


def _read(table: Table, uri: str) -> pa.Table:
    with table.io.new_input(uri).open() as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
        return file.read()
