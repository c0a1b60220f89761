"""The private names of pyiceberg that the lake uses, all of them, and what each is needed for.

They may change with any release: a test compares the installed version with `CHECKED_WITH`. Before raising that, read the
changes of each name here, and run the tests of `lake.tables`.

- `Transaction._table`, `_requirements`, `_updates`, `MetastoreCatalog._update_and_stage_table`, `_write_metadata`: a commit of
  several tables needs the new metadata of each before any of them is visible.
- `Transaction._table`, `_updates`, `table_metadata`: what a transaction has staged is computed once.
- `Transaction._updates`, `_requirements`: changes of refs, and the removal of snapshots, with an assertion on every ref.
  `Transaction._stage` keeps one assertion of each type, and `RemoveSnapshotsUpdate` looks ids up in a list.
- `IcebergTables`: the catalog's rows, whose pointers move together.
- `Catalog._convert_schema_if_needed`: a table's schema is defined in pyarrow, with the descriptions of its columns.
- `DataScan._manifest_planner`: a scan of chosen manifests.
- `_SnapshotProducer` and its parts in `_ReplaceFiles`: pyiceberg makes two snapshots of a delete and an append, and merges
  manifests by age, so that each holds files of every vehicle, and a search for one drive reads them all.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from pyiceberg.catalog import Catalog, MetastoreCatalog
from pyiceberg.catalog.sql import IcebergTables
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import DataScan, FileScanTask, StagedTable, Table, TableProperties, Transaction
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update import RemoveSnapshotsUpdate
from pyiceberg.table.update.snapshot import _SnapshotProducer
from pyiceberg.typedef import EMPTY_DICT, Record

from lake.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate

CHECKED_WITH = "0.12.0"
MOST_MANIFESTS = 8  # of one partition that are not full; the commit that would exceed it merges them
MOST_ENTRIES = 1000  # files of a manifest that is not merged further
Cluster = tuple[int, tuple[bytes | None, ...]]

__all__ = [
    "CHECKED_WITH",
    "MOST_ENTRIES",
    "MOST_MANIFESTS",
    "IcebergTables",
    "begin",
    "data_files",
    "numbered_schema",
    "plan_manifests",
    "remove_snapshots",
    "replace_files",
    "stage",
    "stage_updates",
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


def stage(catalog: MetastoreCatalog, transaction: Transaction) -> StagedTable:
    """Write the metadata file that a commit of `transaction` would make current; no reader sees it."""
    current = transaction._table
    staged = catalog._update_and_stage_table(current, current.name(), transaction._requirements, transaction._updates)
    catalog._write_metadata(staged.metadata, staged.io, staged.metadata_location)
    return staged


def stage_updates(
    transaction: Transaction, updates: Sequence[TableUpdate], requirements: Sequence[TableRequirement] = ()
) -> None:
    """Let a transaction make these changes if all of the requirements still hold when it commits.

    Raises:
        CommitFailedException: A requirement does not hold of the table as it was loaded.
    """
    for requirement in requirements:
        requirement.validate(transaction.table_metadata)
    transaction._updates += tuple(updates)
    transaction._requirements += tuple(requirements)


class _Ids(list[int]):
    """Ids that are found in constant time: each snapshot of the table is looked up several times."""

    def __init__(self, ids: Iterable[int]) -> None:
        super().__init__(ids)
        self._set = frozenset(self)

    def __contains__(self, one: object) -> bool:
        return one in self._set


def remove_snapshots(ids: Iterable[int]) -> TableUpdate:
    """The removal of snapshots from a table's metadata; it also drops the refs to them, without a word."""
    return RemoveSnapshotsUpdate.model_construct(action="remove-snapshots", snapshot_ids=_Ids(ids))


def numbered_schema(schema: pa.Schema) -> Schema:
    """A schema with the ids and descriptions of its columns, as a new table gets it."""
    return assign_fresh_schema_ids(Catalog._convert_schema_if_needed(schema))


def plan_manifests(scan: DataScan, manifests: Sequence[ManifestFile]) -> Iterable[FileScanTask]:
    """The files of a scan that these manifests of its snapshot list; no other manifest is opened."""
    return scan._manifest_planner.plan_files(list(manifests))


def data_files(table: Table, uris: Iterable[str]) -> list[DataFile]:
    """Parquet files as the table's manifests would describe them; only their footers are read."""
    with _bounds_may_lack():
        return [parquet_file_to_data_file(table.io, table.metadata, uri) for uri in uris]


def replace_files(
    transaction: Transaction,
    io: FileIO,
    removed: Iterable[DataFile],
    added: Iterable[DataFile | str],
    summary: Mapping[str, str],
    *,
    same_rows: bool = False,
) -> None:
    """Stage one snapshot that removes and adds data files; without any, an empty one.

    Manifests that cannot hold a removed file are not opened. Removed files are listed as deleted in a manifest of their own, as
    the table specification asks for (readers of changes, and clean-up after expiry, go by it); the next snapshot leaves it out,
    and with it their names and bounds. Added files get a manifest for each partition; where a partition has many, they are
    merged, so that a scan with a filter on the partition opens few, however many partitions and commits there are.

    Args:
        transaction: Of `begin`.
        io: That of the table.
        removed: Files as a scan of the table, or an earlier snapshot producer, gave them.
        added: Files as `data_files` describes them, or URIs of Parquet files, whose footers are read.
        summary: Properties of the snapshot, beside those of Iceberg.
        same_rows: The added files hold the rows of the removed ones; readers of changes may skip the snapshot.

    Raises:
        TableError: A removed file is not in the table.
    """
    metadata = transaction.table_metadata
    if metadata.name_mapping() is None:
        mapping = metadata.schema().name_mapping.model_dump_json()
        transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
    gone = list(removed)
    with _bounds_may_lack():
        new = [parquet_file_to_data_file(io, metadata, one) if isinstance(one, str) else one for one in added]
    operation = Operation.REPLACE if same_rows else _operation(bool(gone), bool(new))
    with _ReplaceFiles(operation, transaction, io, snapshot_properties=dict(summary)) as change:
        for file in gone:
            change.delete_data_file(file)
        for file in new:
            change.append_data_file(file)


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


def _operation(removes: bool, adds: bool) -> Operation:
    if not removes:
        return Operation.APPEND
    return Operation.OVERWRITE if adds else Operation.DELETE


class _ReplaceFiles(_SnapshotProducer["_ReplaceFiles"]):
    def _validate_concurrency(self) -> None:
        """Nothing to do: `Publisher.commit_together` refuses whatever another commit came before."""

    def _manifests(self) -> list[ManifestFile]:
        kept = self._existing_manifests()
        by_partition: dict[Record, list[ManifestEntry]] = defaultdict(list)
        for file in self._added_data_files:
            by_partition[file.partition].append(self._entry(ManifestEntryStatus.ADDED, file))
        current = self._transaction.table_metadata.default_spec_id
        added = [self._written(current, entries) for entries in by_partition.values()]
        by_spec: dict[int, list[ManifestEntry]] = defaultdict(list)
        for entry in self._deleted_entries():
            by_spec[entry.data_file.spec_id].append(entry)
        return self._merged(added + kept) + [self._written(spec_id, entries) for spec_id, entries in by_spec.items()]

    def _existing_manifests(self) -> list[ManifestFile]:
        return self._without_removed[0]

    def _deleted_entries(self) -> list[ManifestEntry]:
        return self._without_removed[1]

    @cached_property
    def _without_removed(self) -> tuple[list[ManifestFile], list[ManifestEntry]]:
        """The manifests that stay, rewritten where they named a removed file; and the entries that say which were removed."""
        self._build_delete_files_partition_predicate()
        may_hold = {spec_id: self._build_manifest_evaluator(spec_id) for spec_id in self.partition_filters}
        kept, deleted = list[ManifestFile](), list[ManifestEntry]()
        for manifest in self._of_parent():
            if manifest.content is not ManifestContent.DATA or not _is_in(manifest, may_hold):
                kept.append(manifest)
                continue
            entries = self.fetch_manifest_entry(manifest)
            rest = [entry for entry in entries if entry.data_file not in self._deleted_data_files]
            if len(rest) == len(entries):
                kept.append(manifest)
                continue
            deleted += [
                self._entry(ManifestEntryStatus.DELETED, entry.data_file, entry)
                for entry in entries
                if entry.data_file in self._deleted_data_files
            ]
            if rest:
                existing = [self._entry(ManifestEntryStatus.EXISTING, entry.data_file, entry) for entry in rest]
                kept.append(self._written(manifest.partition_spec_id, existing))
        if missing := self._deleted_data_files - {entry.data_file for entry in deleted}:
            raise TableError(f"not in the table: {', '.join(sorted(file.file_path for file in missing))}")
        return kept, deleted

    def _of_parent(self) -> list[ManifestFile]:
        """The manifests of the parent that name a file which is still there."""
        metadata = self._transaction.table_metadata
        parent = None if self._parent_snapshot_id is None else metadata.snapshot_by_id(self._parent_snapshot_id)
        found = [] if parent is None else parent.manifests(self._io)
        return [manifest for manifest in found if manifest.has_added_files() or manifest.has_existing_files()]

    def _merged(self, manifests: Iterable[ManifestFile]) -> list[ManifestFile]:
        clusters: dict[Cluster, list[ManifestFile]] = defaultdict(list)
        result = []
        for manifest in manifests:
            cluster = _cluster(manifest)
            if cluster is None:
                result.append(manifest)
            else:
                clusters[cluster].append(manifest)
        for (spec_id, _), members in clusters.items():
            changed = any(manifest.added_snapshot_id == self._snapshot_id for manifest in members)
            if not changed or len(members) <= MOST_MANIFESTS:
                result += members
                continue
            entries = [entry for manifest in members for entry in self.fetch_manifest_entry(manifest)]
            result.append(self._written(spec_id, [self._carried(entry) for entry in entries]))
        return result

    def _carried(self, entry: ManifestEntry) -> ManifestEntry:
        """A live entry of another manifest, in one of this snapshot."""
        new = entry.status is ManifestEntryStatus.ADDED and entry.snapshot_id == self._snapshot_id
        return self._entry(ManifestEntryStatus.ADDED if new else ManifestEntryStatus.EXISTING, entry.data_file, entry)

    def _entry(self, status: ManifestEntryStatus, file: DataFile, before: ManifestEntry | None = None) -> ManifestEntry:
        """`before`: what named the file until now. The sequence numbers of an added file are those of the commit to come."""
        inherits = before is None or status is ManifestEntryStatus.ADDED
        return ManifestEntry.from_args(
            status=status,
            snapshot_id=before.snapshot_id if before and status is ManifestEntryStatus.EXISTING else self._snapshot_id,
            sequence_number=None if inherits or before is None else before.sequence_number,
            file_sequence_number=None if inherits or before is None else before.file_sequence_number,
            data_file=file,
        )

    def _written(self, spec_id: int, entries: Sequence[ManifestEntry]) -> ManifestFile:
        with self.new_manifest_writer(self.spec(spec_id)) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        """As pyiceberg makes it, which does not know `replace`."""
        stated, self._operation = self._operation, Operation.OVERWRITE
        try:
            made = super()._summary(snapshot_properties)
        finally:
            self._operation = stated
        return Summary(stated, **made.additional_properties)


def _is_in(manifest: ManifestFile, may_hold: Mapping[int, Callable[[ManifestFile], bool]]) -> bool:
    evaluator = may_hold.get(manifest.partition_spec_id)
    return evaluator is not None and evaluator(manifest)


def _cluster(manifest: ManifestFile) -> Cluster | None:
    """The partition of a manifest; None for one that is not to be merged: full, of several partitions, or of delete files."""
    partitions = manifest.partitions or []
    if any(one.lower_bound != one.upper_bound or (one.contains_null and one.lower_bound is not None) for one in partitions):
        return None
    files = (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
    if files >= MOST_ENTRIES or manifest.content is not ManifestContent.DATA:
        return None
    return manifest.partition_spec_id, tuple(one.lower_bound for one in partitions)
