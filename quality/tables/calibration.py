"""The table of calibration checks: one row for each quantity of each sensor of a drive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import pyarrow as pa

from lake.tables.schemas import check_schema
from sensors.calibration.result import CalibrationVerdict, Checked, Quantity

CALIBRATION_CHECKS = pa.schema(
    [
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),  # ok, suspect, bad, not observable
        pa.field("unit", pa.string(), nullable=False),
        pa.field("error", pa.float64()),  # declared less true; null: nothing was measured
        pa.field("uncertainty", pa.float64()),  # half width of the 95 % interval
        pa.field("frames", pa.int64(), nullable=False),
        pa.field("items", pa.int64(), nullable=False),  # ground cells, edge points, radar detections
        pa.field("reason", pa.string(), nullable=False),  # why it is not observable; else empty
    ]
)


def calibration_table(checks: Iterable[Checked]) -> pa.Table:
    """The checks as rows of `CALIBRATION_CHECKS`, by sensor and quantity."""
    rows = [
        asdict(entry) | {"quantity": entry.quantity.value, "verdict": entry.verdict.value, "unit": entry.quantity.unit}
        for entry in sorted(checks, key=lambda entry: (entry.sensor, entry.quantity))
    ]
    return pa.Table.from_pylist(rows, schema=CALIBRATION_CHECKS)


def read_calibration_table(table: pa.Table) -> tuple[Checked, ...]:
    """Read a table that `calibration_table` wrote.

    Raises:
        TableError: The table does not have the schema `CALIBRATION_CHECKS`.
    """
    check_schema(table.schema, CALIBRATION_CHECKS, "calibration checks")
    return tuple(
        Checked(**row | {"quantity": Quantity(row["quantity"]), "verdict": CalibrationVerdict(row["verdict"])})
        for row in table.drop_columns(["unit"]).to_pylist()
    )
