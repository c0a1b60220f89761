"""The batch identities of publishing commits, as the snapshots of `gold.scenes` name them."""

from __future__ import annotations

from pyiceberg.table import Table

from lake.tables.summaries import DRIVE, GENERATION, REVISION


def batch_identities(table: Table) -> list[dict[str, str]]:
    """The batch identity of each publishing snapshot of `gold.scenes`, oldest first: drive, revision, generation, snapshot_id."""
    return [
        {
            "drive": str(snapshot.summary[DRIVE]),
            "revision": str(snapshot.summary[REVISION]),
            "generation": str(snapshot.summary[GENERATION]),
            "snapshot_id": str(snapshot.snapshot_id),
        }
        for snapshot in table.snapshots()
        if snapshot.summary is not None and snapshot.summary[DRIVE] is not None
    ]
