"""From what a recall found to what later readers must leave out."""

from __future__ import annotations

from lake.versions.recalls import EXCLUDE, RecallRow
from ops.recall.find import RecallResult


def rows_of(found: RecallResult, recall_id: str, reason: str, person: str, now_ns: int) -> list[RecallRow]:
    """One row for each drive. A recall of a sensor excludes its data; any other excludes whole scenes in the interval.

    A recall of one object excludes the whole drive: which of its later revisions hold the object is not known today.
    """
    criteria = found.criteria
    return [
        RecallRow(
            recall_id=recall_id,
            kind=EXCLUDE,
            vehicle_id=one.row.vehicle_id,
            drive_id=one.row.drive_id,
            sensors=(criteria.sensor,) if criteria.sensor is not None else (),
            from_ns=criteria.from_ns,
            to_ns=criteria.to_ns,
            criteria=criteria.to_json(),
            reason=reason,
            person=person,
            recorded_ns=now_ns,
        )
        for one in found.drives
    ]
