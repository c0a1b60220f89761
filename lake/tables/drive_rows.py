"""Filters for the rows of one drive, and the drives that have quarantine records of a rule."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyiceberg.expressions import And, BooleanExpression, EqualTo, Reference
from pyiceberg.expressions.literals import literal

from lake.landing import DriveId
from lake.tables.schemas import QUARANTINED

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

RECORDS_TABLE = "quarantine.records"


def equal(column: str, value: str) -> BooleanExpression:
    """Rows whose `column` is `value`."""
    return EqualTo(term=Reference(column), value=literal(value))


def of_drive(drive: DriveId) -> BooleanExpression:
    """The rows of a drive, in any table."""
    return And(equal("vehicle_id", drive.vehicle_id), equal("drive_id", drive.drive_id))


def drives_with_rule(catalog: Catalog, rule_id: str, drive: DriveId | None = None) -> dict[DriveId, int]:
    """Drives, sorted, each with the number of its records that name the rule and are neither released nor rejected.

    Findings and payload are not read.

    `drive`: only this one.
    """
    row_filter: BooleanExpression = equal("status", QUARANTINED)
    if drive is not None:
        row_filter = And(row_filter, of_drive(drive))
    columns = ("vehicle_id", "drive_id", "rule_ids", "status")
    found: Counter[DriveId] = Counter()
    for batch in catalog.load_table(RECORDS_TABLE).scan(row_filter=row_filter, selected_fields=columns).to_arrow_batch_reader():
        for row in batch.to_pylist():
            if rule_id in row["rule_ids"]:
                found[DriveId(row["vehicle_id"], row["drive_id"])] += 1
    return dict(sorted(found.items()))
