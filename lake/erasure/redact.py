"""The successors of a table's versions without one drive, staged as one change of the table.

Nothing that mentions the drive stays in the metadata: a snapshot that lists one of its files, or an entry of one that was
deleted, or whose summary names it, is removed. Where a branch or tag is on such a snapshot, it moves to a successor: the same
files without the drive's, listed by manifests that never named it. A delete by a library leaves the path and the bounds of what
it deleted in the manifest; so the manifests are written here. The successor's summary says which snapshots it stands for
(`redactions`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus, ManifestFile, write_manifest, write_manifest_list
from pyiceberg.table.refs import SnapshotRef
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertTableUUID,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from lake.iceberg.internals import begin, stage_updates
from lake.iceberg.refs import ref_is, remove_snapshots
from lake.iceberg.replace_files import data_files
from lake.iceberg.snapshots import table_name
from lake.landing import DriveId
from lake.tables.drive_row_files import DriveRowFiles

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

REDACTS, ERASURE = "scenelake.redacts", "scenelake.erasure"
_COMPRESSION: Any = "gzip"
_OUR_PROPERTIES = "scenelake."


@dataclass(frozen=True, slots=True)
class Redaction:
    """A snapshot that `successor` stands for since `request`: without `rows` rows of the drive that was forgotten."""

    snapshot_id: int
    successor: int
    request: str
    rows: int


@dataclass(frozen=True, slots=True)
class Redacted:
    """What an erasure changes in one table.

    `refs`: branch or tag and the redaction of its snapshot; `rows`: of the drive, in what is published now; `removed`: snapshots
    that are gone, those that successors stand for among them.
    """

    table: str
    refs: tuple[tuple[str, Redaction], ...]
    rows: int
    removed: tuple[int, ...]


def redactions(table: Table) -> dict[int, Redaction]:
    """The snapshots that successors stand for, by their ids: what became of a version that a run recorded.

    It is known for as long as a successor, or a snapshot that redacts it in turn, is part of the table.
    """
    found: dict[int, Redaction] = {}
    for snapshot in table.metadata.snapshots:
        for one in _redacted_by(snapshot):
            known = found.get(one.snapshot_id)
            rows = one.rows if known is None else max(one.rows, known.rows)
            found[one.snapshot_id] = Redaction(one.snapshot_id, snapshot.snapshot_id, one.request, rows)
    return found


class TableRedaction:
    """One table as it is now, and what removing a drive from all of its versions takes."""

    def __init__(self, table: Table, drive: DriveId, request: str) -> None:
        self._table, self._drive, self._request = table, drive, request
        self._files = DriveRowFiles(table, drive)
        self._rest: dict[str, DataFile] = {}
        self._entries: dict[str, tuple[ManifestEntry, ...]] = {}
        self._mentions: dict[str, bool] = {}
        self._snapshots = {one.snapshot_id: one for one in table.metadata.snapshots}
        self._sequence = table.metadata.next_sequence_number() - 1
        self.mentioning = frozenset(one.snapshot_id for one in self._snapshots.values() if self._mentioned_in(one))

    def stage(self) -> tuple[Transaction, Redacted] | None:
        """Stage the change; None if nothing mentions the drive."""
        if not self.mentioning:
            return None
        updates: list[TableUpdate] = []
        metadata = self._table.metadata
        requirements: list[TableRequirement] = [AssertTableUUID(uuid=metadata.table_uuid)]
        successors: dict[int, Snapshot] = {}
        refs: list[tuple[str, Redaction]] = []
        for name, ref in sorted(metadata.refs.items()):
            requirements.append(ref_is(name, ref.snapshot_id))
            if ref.snapshot_id not in self.mentioning:
                continue
            old = self._snapshots[ref.snapshot_id]
            if old.snapshot_id not in successors:
                successors[old.snapshot_id] = self._successor(old)
                updates.append(AddSnapshotUpdate(snapshot=successors[old.snapshot_id]))
            successor = successors[old.snapshot_id]
            updates.append(_moved(name, ref, old, successor))
            refs.append((name, Redaction(old.snapshot_id, successor.snapshot_id, self._request, self._rows_in(old))))
        updates.append(remove_snapshots(sorted(self.mentioning)))
        transaction = begin(self._table)
        stage_updates(transaction, updates, requirements)
        return transaction, Redacted(table_name(self._table), tuple(refs), self.rows(), tuple(sorted(self.mentioning)))

    def rows(self) -> int:
        """Rows of the drive in what is published now."""
        current = self._table.metadata.current_snapshot()
        return 0 if current is None else self._rows_in(current)

    def _mentioned_in(self, snapshot: Snapshot) -> bool:
        if _names(snapshot, self._drive):
            return True
        return any(self._mentions_drive(manifest) for manifest in snapshot.manifests(self._table.io))

    def _mentions_drive(self, manifest: ManifestFile) -> bool:
        """Whether an entry of a manifest, a deleted one included, is of a file that holds rows of the drive, or held them."""
        path = manifest.manifest_path
        if path not in self._mentions:
            self._mentions[path] = any(self._of_drive(entry) for entry in self._all_entries(manifest))
        return self._mentions[path]

    def _of_drive(self, entry: ManifestEntry) -> bool:
        file = entry.data_file
        if f"/{self._drive}/" in file.file_path:
            return True
        if entry.status is ManifestEntryStatus.DELETED:
            return self._files.named_by_bounds(file)  # the file may be gone
        return self._files.rows_of_drive(file) > 0

    def _all_entries(self, manifest: ManifestFile) -> tuple[ManifestEntry, ...]:
        path = manifest.manifest_path
        if path not in self._entries:
            self._entries[path] = tuple(manifest.fetch_manifest_entry(self._table.io, discard_deleted=False))
        return self._entries[path]

    def _rows_in(self, snapshot: Snapshot) -> int:
        return sum(self._files.rows_of_drive(file) for file in self._live(snapshot))

    def _live(self, snapshot: Snapshot) -> Iterator[DataFile]:
        for manifest in snapshot.manifests(self._table.io):
            for entry in self._all_entries(manifest):
                if entry.status is not ManifestEntryStatus.DELETED:
                    yield entry.data_file

    def _successor(self, old: Snapshot) -> Snapshot:
        """A snapshot with the files of `old` without the drive's; its manifests and their list are written."""
        metadata, io = self._table.metadata, self._table.io
        snapshot_id = metadata.new_snapshot_id()
        self._sequence += 1
        parent = self._surviving_ancestor(old)
        writer = _ManifestFolder(self._table, snapshot_id)
        manifests: list[ManifestFile] = []
        rewritten: list[DataFile] = []
        for manifest in old.manifests(io):
            if not self._mentions_drive(manifest):
                manifests.append(manifest)
                continue
            kept = []
            for entry in self._all_entries(manifest):
                if entry.status is ManifestEntryStatus.DELETED:
                    continue
                if not self._of_drive(entry):
                    kept.append(entry)
                elif self._files.rows_of_drive(entry.data_file) < entry.data_file.record_count:
                    rewritten.append(self._rest_of(entry.data_file))
            manifests += writer.existing(manifest.partition_spec_id, kept)
        manifests += writer.added(metadata.default_spec_id, rewritten)
        return Snapshot.model_validate(
            {
                "snapshot-id": snapshot_id,
                "parent-snapshot-id": parent,
                "sequence-number": self._sequence,
                "timestamp-ms": max(time.time_ns() // 10**6, metadata.last_updated_ms),
                "manifest-list": writer.write_list(manifests, parent, self._sequence),
                "summary": self._summary(old, manifests),
                "schema-id": metadata.current_schema_id,
            }
        )

    def _rest_of(self, file: DataFile) -> DataFile:
        """A file with the rows of other drives; the same one for every snapshot that lists `file`."""
        if file.file_path not in self._rest:
            (self._rest[file.file_path],) = data_files(self._table, [self._files.write_rest(file)])
        return self._rest[file.file_path]

    def _surviving_ancestor(self, snapshot: Snapshot) -> int | None:
        found: Snapshot | None = snapshot
        while found is not None and found.snapshot_id in self.mentioning:
            found = self._snapshots.get(found.parent_snapshot_id or -1)
        return None if found is None else found.snapshot_id

    def _summary(self, old: Snapshot, manifests: Sequence[ManifestFile]) -> Summary:
        """What the successor says of itself. What `old` said of another drive's publication still holds."""
        rows = sum((one.added_rows_count or 0) + (one.existing_rows_count or 0) for one in manifests)
        files = sum((one.added_files_count or 0) + (one.existing_files_count or 0) for one in manifests)
        stands_for = [(one.snapshot_id, one.rows, one.request) for one in _redacted_by(old)]
        stands_for.append((old.snapshot_id, self._rows_in(old), self._request))
        told = {} if old.summary is None or _names(old, self._drive) else old.summary.additional_properties
        properties = {name: value for name, value in told.items() if name.startswith(_OUR_PROPERTIES)} | {
            ERASURE: self._request,
            REDACTS: " ".join(f"{one}:{gone}:{request}" for one, gone, request in stands_for),
            "total-records": str(rows),
            "total-data-files": str(files),
        }
        return Summary(Operation.OVERWRITE, **properties)


class _ManifestFolder:
    """Writes the manifests of one new snapshot."""

    def __init__(self, table: Table, snapshot_id: int) -> None:
        self._table, self._snapshot_id = table, snapshot_id

    def existing(self, spec_id: int, entries: Sequence[ManifestEntry]) -> list[ManifestFile]:
        """A manifest of files that the table has, with the snapshots that added them; none where there are no entries."""
        kept = [
            ManifestEntry.from_args(
                status=ManifestEntryStatus.EXISTING,
                snapshot_id=entry.snapshot_id,
                sequence_number=entry.sequence_number,
                file_sequence_number=entry.file_sequence_number,
                data_file=entry.data_file,
            )
            for entry in entries
        ]
        return self._write(spec_id, kept)

    def added(self, spec_id: int, files: Sequence[DataFile]) -> list[ManifestFile]:
        """A manifest of new files; none where there are none."""
        made = [
            ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED,
                snapshot_id=self._snapshot_id,
                sequence_number=None,
                file_sequence_number=None,
                data_file=file,
            )
            for file in files
        ]
        return self._write(spec_id, made)

    def write_list(self, manifests: Sequence[ManifestFile], parent: int | None, sequence: int) -> str:
        """Write the list of a snapshot's manifests, and return its location."""
        path = f"{self._table.location()}/metadata/snap-{self._snapshot_id}-0-{uuid.uuid4()}.avro"
        output = self._table.io.new_output(path)
        with write_manifest_list(2, output, self._snapshot_id, parent, sequence, _COMPRESSION) as writer:
            writer.add_manifests(list(manifests))
        return path

    def _write(self, spec_id: int, entries: Sequence[ManifestEntry]) -> list[ManifestFile]:
        if not entries:
            return []
        metadata = self._table.metadata
        output = self._table.io.new_output(f"{self._table.location()}/metadata/{uuid.uuid4()}-m0.avro")
        spec = metadata.specs()[spec_id]
        with write_manifest(2, spec, metadata.schema(), output, self._snapshot_id, _COMPRESSION) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return [writer.to_manifest_file()]


def _moved(name: str, ref: SnapshotRef, old: Snapshot, successor: Snapshot) -> SetSnapshotRefUpdate:
    """The change that puts a branch or tag on a successor. Its deadline, which Iceberg counts from the time of the snapshot,
    stays."""
    max_age_ms = ref.max_ref_age_ms
    if max_age_ms is not None:
        max_age_ms = max(old.timestamp_ms + max_age_ms - successor.timestamp_ms, 1)
    moved = {
        "ref-name": name,
        "type": ref.snapshot_ref_type.value,
        "snapshot-id": successor.snapshot_id,
        "max-ref-age-ms": max_age_ms,
        "max-snapshot-age-ms": ref.max_snapshot_age_ms,
        "min-snapshots-to-keep": ref.min_snapshots_to_keep,
    }
    return SetSnapshotRefUpdate.model_validate(moved)


def _names(snapshot: Snapshot, drive: DriveId) -> bool:
    """Whether a summary names a drive."""
    told = {} if snapshot.summary is None else snapshot.summary.additional_properties
    name = str(drive)
    return any(value == name or f"/{name}/" in value or value.startswith(f"{name}/") for value in told.values())


def _redacted_by(snapshot: Snapshot) -> list[Redaction]:
    told = {} if snapshot.summary is None else snapshot.summary.additional_properties
    found = []
    for entry in told.get(REDACTS, "").split():
        old, rows, request = entry.split(":", 2)
        found.append(Redaction(int(old), snapshot.snapshot_id, request, int(rows)))
    return found
