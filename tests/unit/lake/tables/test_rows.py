"""Rows of the published tables as their types: every column has its field, a row that lacks one is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lake.errors import TableError
from lake.landing import DriveId
from lake.tables import rows
from lake.tables.schemas import DRIVES, RECORDS, SCENES

RECORD: dict[str, Any] = {
    "record_id": "c" * 64, "level": "object", "vehicle_id": "veh-1", "drive_id": "drive-a", "revision": "a" * 64,
    "rule_ids": ["DEC005"], "findings": [{"rule_id": "DEC005", "measured": None, "threshold": 0.0, "message": "cut"}],
    "source": {"key": "k", "version_id": "v1", "offset": 3}, "frames": 1, "status": "quarantined", "code_version": "c",
    "config_hash": "h",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "schema"), [(rows.SceneRow, SCENES), (rows.RecordRow, RECORDS), (rows.DriveRow, DRIVES)])
def test_a_type_names_every_column_of_its_table(kind: type[msgspec.Struct], schema: pa.Schema) -> None:
    assert set(kind.__struct_fields__) == set(schema.names)


@pytest.mark.parametrize(
    ("kind", "column"), [(rows.CloudFrame, "lidars"), (rows.CameraFrame, "cameras"), (rows.RadarFrame, "radars")]
)
def test_a_frame_names_every_field_of_its_column(kind: type[msgspec.Struct], column: str) -> None:
    element = SCENES.field(column).type.value_type
    assert set(kind.__struct_fields__) == {element.field(number).name for number in range(element.num_fields)}


def test_a_column_that_is_not_known_is_ignored_and_one_that_may_be_null_may_be_absent() -> None:
    row = rows.row_of(rows.RecordRow, {**RECORD, "added_later": 1})
    assert (row.drive, row.input, row.findings[0].severity) == (DriveId("veh-1", "drive-a"), None, None)


@pytest.mark.parametrize("broken", [{"frames": "many"}, {"source": None}])
def test_a_row_of_another_shape_is_refused_by_the_name_of_its_column(broken: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=next(iter(broken))):
        rows.row_of(rows.RecordRow, RECORD | broken)


def test_a_row_without_a_column_is_refused_by_its_name() -> None:
    with pytest.raises(TableError, match="record_id"):
        rows.row_of(rows.RecordRow, {name: value for name, value in RECORD.items() if name != "record_id"})
