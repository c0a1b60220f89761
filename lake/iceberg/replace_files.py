"""Removing and adding data files of a table in one snapshot."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.table import TableProperties
from pyiceberg.table.snapshots import Operation

from lake.iceberg.internals import ReplaceFiles

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction


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
    merge: bool = False,
) -> None:
    """Stage one snapshot that removes and adds data files; without any, an empty one.

    The table must not have been given another snapshot by the same transaction.

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
        merge: Merge all manifests that are less than half full, across partitions, sorted by partition.

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
    with ReplaceFiles(operation, transaction, io, snapshot_properties=dict(summary)) as change:
        change.merge = merge
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
