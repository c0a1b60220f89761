"""Which drives have quarantine records of a rule: read without findings or payload."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyiceberg.expressions import And, BooleanExpression, EqualTo, Reference
from pyiceberg.expressions.literals import literal

from lake.landing import DriveId

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

RECORDS_TABLE = "quarantine.records"
QUARANTINED = "quarantined"


def drives_with_rule(catalog: Catalog, rule_id: str, drive: DriveId | None = None) -> dict[DriveId, int]:
    """Drives, sorted, each with the number of its records that name the rule and are neither released nor rejected.

    `drive`: only this one.
    """
    wanted: BooleanExpression = _equal("status", QUARANTINED)
    if drive is not None:
        wanted = And(wanted, And(_equal("vehicle_id", drive.vehicle_id), _equal("drive_id", drive.drive_id)))
    columns = ("vehicle_id", "drive_id", "rule_ids", "status")
    found: Counter[DriveId] = Counter()
    for batch in catalog.load_table(RECORDS_TABLE).scan(row_filter=wanted, selected_fields=columns).to_arrow_batch_reader():
        for row in batch.to_pylist():
            if rule_id in row["rule_ids"]:
                found[DriveId(row["vehicle_id"], row["drive_id"])] += 1
    return dict(sorted(found.items()))


def _equal(column: str, value: str) -> BooleanExpression:
    return EqualTo(term=Reference(column), value=literal(value))
