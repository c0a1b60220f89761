"""Snapshots of a table by id or by tag, and the only scans of a snapshot by id.

pyiceberg's own scan of a snapshot that does not exist, or has expired, plans no file and counts 0 rows: an expired version would
read as an empty one. Everything in this code that reads a chosen snapshot comes through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.table.refs import SnapshotRefType

from lake.errors import VersionError

if TYPE_CHECKING:
    from pyiceberg.table import DataScan, Table
    from pyiceberg.table.snapshots import Snapshot

EVERYTHING = AlwaysTrue()
ALL_COLUMNS = ("*",)


def table_name(table: Table) -> str:
    """The name of a table within its catalog, such as `gold.scenes`."""
    return ".".join(table.name())


def snapshot_of(table: Table, snapshot_id: int) -> Snapshot:
    """The snapshot with this id.

    Raises:
        VersionError: The table has none: it has expired, or never was.
    """
    found = table.snapshot_by_id(snapshot_id)
    if found is None:
        raise VersionError(
            f"{table_name(table)} has no snapshot {snapshot_id}: it has expired, or never was",
            "`scenelake gold tags` lists the versions that are kept; a tag keeps one",
        )
    return found


def tagged_snapshot(table: Table, tag: str) -> int:
    """The id of the snapshot that a tag pins.

    Raises:
        VersionError: The table has no such tag.
    """
    found = table.metadata.refs.get(tag)
    if found is None or found.snapshot_ref_type is not SnapshotRefType.TAG:
        raise VersionError(f"{table_name(table)} has no tag {tag!r}", "`scenelake gold tags` lists the tags")
    return found.snapshot_id


def scan_at(
    table: Table,
    snapshot_id: int | None,
    row_filter: BooleanExpression = EVERYTHING,
    selected_fields: tuple[str, ...] = ALL_COLUMNS,
) -> DataScan:
    """A scan of one snapshot; of the current one where `snapshot_id` is None.

    Raises:
        VersionError: The table has no such snapshot, or it has expired.
    """
    if snapshot_id is not None:
        snapshot_of(table, snapshot_id)
    return table.scan(row_filter=row_filter, selected_fields=selected_fields, snapshot_id=snapshot_id)
