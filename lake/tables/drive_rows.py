"""Filters for the rows of one drive, and the drives that have quarantine records of a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In, IsNull, Or, Reference
from pyiceberg.expressions.literals import DateLiteral, Literal, literal

from lake.landing import DriveId
from lake.tables.schemas import QUARANTINED

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

RECORDS_TABLE = "quarantine.records"
DAY = "day"
_EPOCH = date(1970, 1, 1)


def equal(column: str, value: str) -> BooleanExpression:
    """Rows whose `column` is `value`."""
    return EqualTo(term=Reference(column), value=literal(value))


def of_drive(drive: DriveId, days: Collection[date] | None = None) -> BooleanExpression:
    """The rows of a drive, in any table.

    `days`: where its rows are filed, as `DriveRow.days` says; for the tables that have days. Without them, a plan opens the
    manifests of all days. Rows of no day are older than that column, and always meant.
    """
    found = And(equal("vehicle_id", drive.vehicle_id), equal("drive_id", drive.drive_id))
    if days is None:
        return found
    return And(found, Or(on_days(days), IsNull(term=Reference(DAY))))


def on_days(days: Collection[date]) -> BooleanExpression:
    """Rows that are filed under one of the days."""
    wanted: set[Literal[Any]] = {DateLiteral((day - _EPOCH).days) for day in days}
    return In(term=Reference(DAY), values=wanted)


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
    try:
        table = catalog.load_table(RECORDS_TABLE)
    except NoSuchTableError:
        return {}  # nothing has been published yet
    for batch in table.scan(row_filter=row_filter, selected_fields=columns).to_arrow_batch_reader():
        for row in batch.to_pylist():
            if rule_id in row["rule_ids"]:
                found[DriveId(row["vehicle_id"], row["drive_id"])] += 1
    return dict(sorted(found.items()))
