"""The private names of pyiceberg that the lake uses, all of them, and what each is needed for.

They may change with any release: a test compares the installed version with `CHECKED_WITH`. Before raising that, read the
changes of each name here, and run the tests of `lake.tables`.

- `Transaction._table`, `_requirements`, `_updates`: a commit of several tables needs the changes of each before any is visible.
- `MetastoreCatalog._parse_metadata_version`, `_update_table_metadata_log`: the metadata file of such a change.
- `_apply_table_update`, `_TableMetadataUpdateContext`: pyiceberg's own `update_table_metadata` ends with a deep copy of all
  snapshots, and a transaction calls it at every look at what it has staged.
- `Transaction._updates`, `_requirements`: changes of refs, and the removal of snapshots, with an assertion on every ref.
  `Transaction._stage` keeps one assertion of each type.
- `IcebergTables`: the catalog's rows, whose pointers move together.
- `Catalog._convert_schema_if_needed`: a table's schema is defined in pyarrow, with the descriptions of its columns.
- `RestCatalog._session`, `_supported_endpoints`, `_refresh_token`: a request that pyiceberg does not make.
- `DataScan._manifest_planner`: a scan of chosen manifests.
- `_SnapshotProducer` and its parts in `ReplaceFiles`: pyiceberg makes two snapshots of a delete and an append, and merges
  manifests by age, so that each holds files of every vehicle, and a search for one drive reads them all.
"""

from __future__ import annotations

import gzip
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pyiceberg.catalog import Catalog, MetastoreCatalog
from pyiceberg.catalog.rest import API_PREFIX, Endpoint, HttpMethod
from pyiceberg.catalog.sql import IcebergTables
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import DataScan, FileScanTask, Table, Transaction
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update import (
    _apply_table_update,
    _TableMetadataUpdateContext,
    _update_table_metadata_log,
)
from pyiceberg.table.update.snapshot import _SnapshotProducer
from pyiceberg.typedef import EMPTY_DICT, Record
from requests import RequestException

from lake.errors import TableError
from lake.iceberg.manifest_clusters import (
    FEW_ENTRIES,
    Cluster,
    belong_together,
    cluster_of,
    cluster_of_files,
    files_of,
    first_of,
    in_batches,
    in_parts,
    is_mergeable,
)
from sensors.time_units import NS_PER_MS

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.types import StructType

CHECKED_WITH = "0.12.0"
_TIMEOUT_S = (10, 120)  # to connect, and between two pieces of an answer
_EXPIRED = (401, 419)
_MESSAGE = 500
_GZIP_LEVEL = 6

__all__ = [
    "CHECKED_WITH",
    "IcebergTables",
    "ReplaceFiles",
    "RestAnswer",
    "begin",
    "changes_of",
    "entries_of",
    "manifests_of",
    "numbered_schema",
    "plan_manifests",
    "post_to",
    "serves",
    "stage",
    "stage_updates",
    "table_of",
    "was_made",
]


class _Transaction(Transaction):
    """A transaction that computes its metadata once for each change of its updates, and reads the manifests that its table has
    once. Callers of `table_metadata` only read it; it shares all that has not changed with the table."""

    staged_at: str | None = None  # the metadata file that a commit was tried with
    _known: tuple[Table, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if self._known is None or self._known[0] is not self._table or self._known[1] is not self._updates:
            self._known = self._table, self._updates, _applied(self._table.metadata, self._updates)
        return self._known[2]

    @cached_property
    def manifests(self) -> tuple[ManifestFile, ...]:
        current = self._table.metadata.current_snapshot()
        return () if current is None else tuple(current.manifests(self._table.io))

    @cached_property
    def entries(self) -> dict[str, list[ManifestEntry]]:
        """Of the small manifests that were opened, by path."""
        return {}


def _applied(metadata: TableMetadata, updates: Iterable[TableUpdate]) -> TableMetadata:
    changes = _TableMetadataUpdateContext()
    result = metadata
    for update in updates:
        result = _apply_table_update(update, result, changes)
    if changes.has_changes() and result.last_updated_ms == metadata.last_updated_ms:
        result = result.model_copy(update={"last_updated_ms": time.time_ns() // NS_PER_MS})
    return result


def begin(table: Table) -> Transaction:
    """A transaction on the table as it was loaded, for `Publisher.commit_together`."""
    return _Transaction(table)


def table_of(transaction: Transaction) -> Table:
    """The table that the transaction was begun on, as it was then."""
    return transaction._table


def was_made(transaction: Transaction, now: Table) -> bool:
    """Whether the table has been through the state that a commit of a transaction of `begin` was tried with."""
    before = {snapshot.snapshot_id for snapshot in transaction._table.metadata.snapshots}
    new = [one.snapshot_id for one in transaction.table_metadata.snapshots if one.snapshot_id not in before]
    if any(now.snapshot_by_id(snapshot_id) is not None for snapshot_id in new):
        return True
    files = [now.metadata_location, *(entry.metadata_file for entry in now.metadata.metadata_log)]
    return isinstance(transaction, _Transaction) and transaction.staged_at in files


def manifests_of(transaction: Transaction) -> Sequence[ManifestFile]:
    """The manifests of that table, whatever the transaction has staged; read once for a transaction of `begin`."""
    if isinstance(transaction, _Transaction):
        return transaction.manifests
    current = transaction._table.metadata.current_snapshot()
    return () if current is None else current.manifests(transaction._table.io)


def entries_of(transaction: Transaction, manifest: ManifestFile) -> list[ManifestEntry]:
    """The files that a manifest names and that are still there; a small one is read once for a transaction of `begin`."""
    if not isinstance(transaction, _Transaction) or files_of(manifest) > FEW_ENTRIES:
        return manifest.fetch_manifest_entry(transaction._table.io)
    if manifest.manifest_path not in transaction.entries:
        transaction.entries[manifest.manifest_path] = manifest.fetch_manifest_entry(transaction._table.io)
    return transaction.entries[manifest.manifest_path]


def changes_of(transaction: Transaction) -> tuple[tuple[TableRequirement, ...], tuple[TableUpdate, ...]]:
    """What a transaction has staged, as a catalog's protocol sends it."""
    return transaction._requirements, transaction._updates


def stage(transaction: Transaction) -> str:
    """Write the metadata file that a commit of `transaction` would make current, and return its location; no reader sees it."""
    current = transaction._table
    metadata = _update_table_metadata_log(transaction.table_metadata, current.metadata_location, current.metadata.last_updated_ms)
    version = MetastoreCatalog._parse_metadata_version(current.metadata_location) + 1
    packed = metadata.properties.get("write.metadata.compression-codec") == "gzip"
    name = f"{version:05d}-{uuid.uuid4()}{'.gz' if packed else ''}.metadata.json"
    location = load_location_provider(metadata.location, metadata.properties).new_metadata_location(name)
    if isinstance(transaction, _Transaction):
        transaction.staged_at = location
    body = metadata.model_dump_json(exclude_none=True).encode()
    with current.io.new_output(location).create(overwrite=True) as stream:
        stream.write(gzip.compress(body, _GZIP_LEVEL) if packed else body)
    return location


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """A server's answer: HTTP status, and the message of its error, cut."""

    status: int
    message: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.message}".strip()


def serves(catalog: RestCatalog, endpoint: str) -> bool:
    """Whether a REST catalog announces `POST /v1/{prefix}/<endpoint>`."""
    return Endpoint(http_method=HttpMethod.POST, path=f"{API_PREFIX}/{endpoint}") in catalog._supported_endpoints


def post_to(catalog: RestCatalog, endpoint: str, body: Mapping[str, object]) -> RestAnswer | None:
    """The answer of a REST catalog to a request with its session; None if there is none. A token that expired is renewed once."""
    for renewed in (False, True):
        try:
            response = catalog._session.post(catalog.url(endpoint), json=body, timeout=_TIMEOUT_S)
        except RequestException:
            return None
        if response.status_code not in _EXPIRED or renewed:
            break
        catalog._refresh_token()
    return RestAnswer(response.status_code, response.text[:_MESSAGE])


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


def numbered_schema(schema: pa.Schema) -> Schema:
    """A schema with the ids and descriptions of its columns, as a new table gets it."""
    return assign_fresh_schema_ids(Catalog._convert_schema_if_needed(schema))


def plan_manifests(scan: DataScan, manifests: Sequence[ManifestFile]) -> Iterable[FileScanTask]:
    """The files of a scan that these manifests of its snapshot list; no other manifest is opened."""
    return scan._manifest_planner.plan_files(list(manifests))


class ReplaceFiles(_SnapshotProducer["ReplaceFiles"]):
    """One snapshot that removes and adds files; `merge`: and merges manifests. See `lake.iceberg.replace_files`."""

    merge = False

    def _validate_concurrency(self) -> None:
        """Nothing to do: `Publisher.commit_together` refuses whatever another commit came before."""

    def _manifests(self) -> list[ManifestFile]:
        kept = self._existing_manifests()
        by_partition: dict[Record, list[ManifestEntry]] = defaultdict(list)
        for file in self._added_data_files:
            by_partition[file.partition].append(self._entry(ManifestEntryStatus.ADDED, file))
        by_spec: dict[int, list[ManifestEntry]] = defaultdict(list)
        for entry in self._deleted_entries():
            by_spec[entry.data_file.spec_id].append(entry)
        current = (self._merged if self.merge else self._clustered)(kept, by_partition)
        return current + [self._written(spec_id, entries) for spec_id, entries in by_spec.items()]

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
        for manifest in filter(files_of, manifests_of(self._transaction)):
            evaluator = may_hold.get(manifest.partition_spec_id)
            if manifest.content is not ManifestContent.DATA or evaluator is None or not evaluator(manifest):
                kept.append(manifest)
                continue
            gone, rest = list[ManifestEntry](), list[ManifestEntry]()
            for entry in entries_of(self._transaction, manifest):
                (gone if entry.data_file in self._deleted_data_files else rest).append(entry)
            deleted += [self._entry(ManifestEntryStatus.DELETED, entry.data_file, entry) for entry in gone]
            if not gone:
                kept.append(manifest)
            elif rest:
                existing = [self._entry(ManifestEntryStatus.EXISTING, entry.data_file, entry) for entry in rest]
                kept.append(self._written(manifest.partition_spec_id, existing))
        if missing := self._deleted_data_files - {entry.data_file for entry in deleted}:
            raise TableError(f"not in the table: {', '.join(sorted(file.file_path for file in missing))}")
        return kept, deleted

    def _clustered(self, kept: list[ManifestFile], added: Mapping[Record, list[ManifestEntry]]) -> list[ManifestFile]:
        clusters: dict[Cluster | None, list[ManifestFile]] = defaultdict(list)
        for manifest in kept:
            clusters[cluster_of(manifest)].append(manifest)
        spec_id, result = self._transaction.table_metadata.default_spec_id, list[ManifestFile]()
        for partition, entries in added.items():
            cluster = cluster_of_files(spec_id, self._partition_type(spec_id), partition)
            together = belong_together(clusters[cluster], len(entries))
            result.append(self._written(spec_id, entries + (self._existing(clusters.pop(cluster)) if together else [])))
        return result + [manifest for members in clusters.values() for manifest in members]

    def _merged(self, kept: list[ManifestFile], added: Mapping[Record, list[ManifestEntry]]) -> list[ManifestFile]:
        by_spec: dict[int, list[ManifestFile]] = defaultdict(list)
        for manifest in filter(is_mergeable, kept):
            by_spec[manifest.partition_spec_id].append(manifest)
        result = [manifest for manifest in kept if not is_mergeable(manifest)]
        current = self._transaction.table_metadata.default_spec_id
        new = [entry for entries in added.values() for entry in entries]
        for spec_id in by_spec.keys() | ({current} if new else set()):
            kind = self._partition_type(spec_id)
            batches = list(in_batches(sorted(by_spec[spec_id], key=lambda manifest: first_of(manifest, kind)))) or [[]]
            for position, batch in enumerate(batches):
                entries = self._existing(batch, again=False) + (new if spec_id == current and position == 0 else [])
                result += [self._written(spec_id, part) for part in in_parts(entries)]
        return result

    def _partition_type(self, spec_id: int) -> StructType:
        return self.spec(spec_id).partition_type(self.schema())

    def _existing(self, manifests: Iterable[ManifestFile], *, again: bool = True) -> list[ManifestEntry]:
        """What manifests of earlier snapshots, or rewritten ones, name, as a manifest of this snapshot does. `again`: they may
        be read again, and are worth keeping in memory."""
        return [
            self._entry(ManifestEntryStatus.EXISTING, entry.data_file, entry)
            for manifest in manifests
            for entry in (entries_of(self._transaction, manifest) if again else manifest.fetch_manifest_entry(self._io))
        ]

    def _entry(self, status: ManifestEntryStatus, file: DataFile, before: ManifestEntry | None = None) -> ManifestEntry:
        """`before`: what named the file until now. The sequence numbers of an added file are those of the commit to come."""
        return ManifestEntry.from_args(
            status=status,
            snapshot_id=before.snapshot_id if before and status is ManifestEntryStatus.EXISTING else self._snapshot_id,
            sequence_number=before.sequence_number if before else None,
            file_sequence_number=before.file_sequence_number if before else None,
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
