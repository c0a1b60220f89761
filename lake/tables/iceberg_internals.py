"""The private names of pyiceberg that the lake uses, all of them, and what each is needed for.

They may change with any release: a test compares the installed version with `CHECKED_WITH`. Before raising that, read the
changes of each name here, and run the tests of `lake.tables`.

- `Transaction._table`, `_requirements`, `_updates`, `MetastoreCatalog._update_and_stage_table`, `_write_metadata`: a commit of
  several tables needs the new metadata of each before any of them is visible.
- `Transaction._apply`: changes of a table's metadata that no method of a transaction makes.
- `Transaction._table`, `_updates`, `table_metadata`: what a transaction has staged is computed once.
- `IcebergTables`: the catalog's rows, whose pointers move together.
- `Catalog._convert_schema_if_needed`: a table's schema is defined in pyarrow, with the descriptions of its columns.
- `DataScan._manifest_planner`: a scan of chosen manifests.
- `_FastAppendFiles`, `_process_manifests`, `_snapshot_id`, `_ManifestMergeManager`: pyiceberg merges manifests by age. Then each
  holds files of every vehicle, and a search for one drive reads them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyiceberg.catalog import Catalog, MetastoreCatalog
from pyiceberg.catalog.sql import IcebergTables
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import DataScan, FileScanTask, StagedTable, Table, TableProperties, Transaction
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles, _ManifestMergeManager

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate

CHECKED_WITH = "0.12.0"
MOST_MANIFESTS = 8  # of one partition; the commit that would exceed it merges them
_NO_TARGET_SIZE = 2**62
Cluster = tuple[int, tuple[bytes | None, ...]]

__all__ = [
    "CHECKED_WITH",
    "IcebergTables",
    "append_clustered",
    "begin",
    "change_metadata",
    "numbered_schema",
    "plan_manifests",
    "stage",
    "table_of",
]


class _Transaction(Transaction):
    """A transaction whose metadata is computed once for each change of its updates, not at every access: pyiceberg copies all
    snapshots of the table each time, some fifteen times for one append. Its callers only read it."""

    _known: tuple[Table, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if self._known is None or self._known[0] is not self._table or self._known[1] is not self._updates:
            self._known = self._table, self._updates, super().table_metadata
        return self._known[2]


def begin(table: Table) -> Transaction:
    """A transaction on the table as it was loaded, for `Publisher.commit_together`."""
    return _Transaction(table)


def table_of(transaction: Transaction) -> Table:
    """The table that the transaction was begun on, as it was then."""
    return transaction._table


def change_metadata(transaction: Transaction, updates: Sequence[TableUpdate], requirements: Sequence[TableRequirement]) -> None:
    """Let a transaction change its table's metadata as `updates` say."""
    transaction._apply(tuple(updates), tuple(requirements))


def stage(catalog: MetastoreCatalog, transaction: Transaction) -> StagedTable:
    """Write the metadata file that a commit of `transaction` would make current; no reader sees it."""
    current = transaction._table
    staged = catalog._update_and_stage_table(current, current.name(), transaction._requirements, transaction._updates)
    catalog._write_metadata(staged.metadata, staged.io, staged.metadata_location)
    return staged


def numbered_schema(schema: pa.Schema) -> Schema:
    """A schema with the ids and descriptions of its columns, as a new table gets it."""
    return assign_fresh_schema_ids(Catalog._convert_schema_if_needed(schema))


def plan_manifests(scan: DataScan, manifests: Sequence[ManifestFile]) -> Iterable[FileScanTask]:
    """The files of a scan that these manifests of its snapshot list; no other manifest is opened."""
    return scan._manifest_planner.plan_files(list(manifests))


def append_clustered(transaction: Transaction, io: FileIO, uris: Iterable[str], summary: Mapping[str, str]) -> None:
    """Add Parquet files like `Transaction.add_files`, and merge the manifests of their partitions where there are many.

    A manifest of one partition stays one: a scan with a filter on the partition opens at most `MOST_MANIFESTS` of them, however
    many partitions and commits there are. A commit of files of several partitions leaves a manifest that is never merged.
    """
    metadata = transaction.table_metadata
    if metadata.name_mapping() is None:
        mapping = metadata.schema().name_mapping.model_dump_json()
        transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
    with _ClusteredAppend(Operation.APPEND, transaction, io, snapshot_properties=dict(summary)) as append:
        for uri in uris:
            append.append_data_file(parquet_file_to_data_file(io, metadata, uri))


class _ClusteredAppend(_FastAppendFiles):
    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        merge = _ManifestMergeManager(_NO_TARGET_SIZE, MOST_MANIFESTS, merge_enabled=True, snapshot_producer=self)
        clusters: dict[Cluster, list[ManifestFile]] = defaultdict(list)
        kept = []
        for manifest in manifests:
            cluster = _cluster(manifest)
            if cluster is None:
                kept.append(manifest)
            else:
                clusters[cluster].append(manifest)
        for (spec_id, _), members in clusters.items():
            added = any(manifest.added_snapshot_id == self._snapshot_id for manifest in members)
            kept += [merge._create_manifest(spec_id, members)] if added and len(members) > MOST_MANIFESTS else members
        return kept


def _cluster(manifest: ManifestFile) -> Cluster | None:
    """The partition of a manifest; None for one that holds files of several."""
    partitions = manifest.partitions or []
    if any(one.lower_bound != one.upper_bound for one in partitions):
        return None
    return manifest.partition_spec_id, tuple(one.lower_bound for one in partitions)
