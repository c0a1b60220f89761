"""Changes of a table's refs and snapshots, and assertions about them, as Iceberg's REST specification names their fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.update import (
    AssertRefSnapshotId,
    RemovePartitionStatisticsUpdate,
    RemoveSnapshotRefUpdate,
    RemoveSnapshotsUpdate,
    SetSnapshotRefUpdate,
)

if TYPE_CHECKING:
    from pyiceberg.table.update import TableRequirement, TableUpdate


def set_tag(name: str, snapshot_id: int, max_age_ms: int | None = None) -> TableUpdate:
    """Set a tag to a snapshot. `max_age_ms`: after the time of that snapshot."""
    fields = {"ref-name": name, "type": SnapshotRefType.TAG, "snapshot-id": snapshot_id, "max-ref-age-ms": max_age_ms}
    return SetSnapshotRefUpdate.model_validate(fields)


def drop_ref(name: str) -> TableUpdate:
    """Remove a tag or branch."""
    return RemoveSnapshotRefUpdate.model_validate({"ref-name": name})


def drop_partition_statistics(snapshot_id: int) -> TableUpdate:
    """Remove the partition statistics of a snapshot."""
    return RemovePartitionStatisticsUpdate.model_validate({"snapshot-id": snapshot_id})


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


def ref_is(name: str, snapshot_id: int | None) -> TableRequirement:
    """Assert that a ref is at this snapshot; with None, that there is no such ref."""
    return AssertRefSnapshotId.model_validate({"ref": name, "snapshot-id": snapshot_id})
