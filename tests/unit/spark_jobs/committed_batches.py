"""The row of `gold.drives` of a batch, as if it had been committed."""

from __future__ import annotations

import msgspec

from lake.tables.publish import Batch
from lake.tables.rows import DriveRow

SNAPSHOT_ID = 77


def committed(batch: Batch) -> DriveRow:
    return DriveRow(
        **msgspec.structs.asdict(batch.facts),
        vehicle_id=batch.drive.vehicle_id,
        drive_id=batch.drive.drive_id,
        revision=batch.revision,
        generation=batch.generation,
        committed_ns=1,
        scenes_snapshot_id=SNAPSHOT_ID,
    )
