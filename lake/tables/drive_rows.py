"""Filters for the rows of one drive, in any table."""

from __future__ import annotations

from pyiceberg.expressions import And, BooleanExpression, EqualTo, Reference
from pyiceberg.expressions.literals import literal

from lake.landing import DriveId


def equal(column: str, value: str) -> BooleanExpression:
    """Rows whose `column` is `value`."""
    return EqualTo(term=Reference(column), value=literal(value))


def of_drive(drive: DriveId) -> BooleanExpression:
    """The rows of a drive, in any table."""
    return And(equal("vehicle_id", drive.vehicle_id), equal("drive_id", drive.drive_id))
