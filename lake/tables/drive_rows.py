"""Filters for the rows of one drive, in any table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from pyiceberg.expressions import And, BooleanExpression, EqualTo, In, IsNull, Or, Reference
from pyiceberg.expressions.literals import DateLiteral, Literal, literal

from lake.landing import DriveId

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
