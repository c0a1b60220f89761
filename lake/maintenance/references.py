"""What the tables need: every object that a snapshot in their current metadata leads to, whoever pins it.

| table | objects |
| --- | --- |
| each | its metadata file and the `KEPT_METADATA` before it, manifest lists, manifests, data and delete files, statistics |
| `gold.drives` | the audit's results and the list of quarantined keys of each publication, and the input of its revision |
| `quarantine.records` | the copy of what the record keeps out of gold, and the input that decisions about it name |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from lake.drive_input import input_key
from lake.errors import LandingError
from lake.landing import DriveId
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import RECORDS_TABLE

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

KEPT_METADATA = 10  # a reader may have been given the name of one and not have read it yet
COLUMNS = {
    DRIVES_TABLE: ("vehicle_id", "drive_id", "revision", "validations", "quarantined_objects"),
    RECORDS_TABLE: ("vehicle_id", "drive_id", "revision", "input", "payload_uri"),
}
_URIS = ("validations", "quarantined_objects", "payload_uri")
_REVISIONS = ("revision", "input")


class TableReferences:
    """Walks tables; a manifest or data file that was seen before, in another snapshot, is not read again.

    Memory: 16 bytes and the overhead of a set for each manifest, and for each file of the tables in `COLUMNS`.
    """

    def __init__(self, lake_bucket: str) -> None:
        self._lake_bucket = lake_bucket
        self._seen: set[bytes] = set()

    def of_table(self, name: str, table: Table, progress: Callable[[str, int, int], None] | None = None) -> Iterator[list[str]]:
        """The URIs that the table needs, in pieces; of a table that was walked before, those that are new.

        `progress` is told the name, the snapshots that were walked, and how many there are.
        """
        metadata = table.metadata
        older = [entry.metadata_file for entry in metadata.metadata_log[-KEPT_METADATA:]]
        statistics = [entry.statistics_path for entry in (*metadata.statistics, *metadata.partition_statistics)]
        yield [table.metadata_location, *older, *statistics]
        snapshots = table.snapshots()
        for done, snapshot in enumerate(snapshots, 1):
            if snapshot.manifest_list and self._is_new(snapshot.manifest_list):
                yield [snapshot.manifest_list]
                for manifest in snapshot.manifests(table.io):
                    if self._is_new(manifest.manifest_path):
                        yield from self._of_manifest(name, table.io, manifest)
            if progress is not None:
                progress(name, done, len(snapshots))

    def _of_manifest(self, name: str, io: FileIO, manifest: ManifestFile) -> Iterator[list[str]]:
        files = [entry.data_file.file_path for entry in manifest.fetch_manifest_entry(io)]
        yield [manifest.manifest_path, *files]
        for uri in files if name in COLUMNS else ():
            if self._is_new(uri):
                yield from self._of_rows(io, uri, COLUMNS[name])

    def _of_rows(self, io: FileIO, uri: str, columns: Sequence[str]) -> Iterator[list[str]]:
        with io.new_input(uri).open() as stream, pq.ParquetFile(stream) as file:
            present = [column for column in columns if column in file.schema_arrow.names]
            for batch in file.iter_batches(columns=present):
                yield [needed for row in batch.to_pylist() for needed in self._of_row(row)]

    def _of_row(self, row: dict[str, Any]) -> Iterator[str]:
        yield from (row[column] for column in _URIS if row.get(column))
        try:
            drive = DriveId(row["vehicle_id"], row["drive_id"])
        except LandingError:
            return  # the row of a drive that was forgotten: it has no name, and so no input
        for column in _REVISIONS:
            if row.get(column):
                yield f"{self._lake_bucket}/{input_key(drive, row[column])}"

    def _is_new(self, uri: str) -> bool:
        mark = hashlib.blake2b(uri.encode(), digest_size=16).digest()
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True
