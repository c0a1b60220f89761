"""The schemas, and the check that every table goes through."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lake.errors import TableError
from lake.tables.schemas import DRIVES, FRAME_INDEX, FRAMES, OPAQUE_LEAVES, PARTITIONS, PUBLISHED, RECORDS, SCENES, check_schema

ALL = [SCENES, FRAMES, RECORDS, DRIVES, FRAME_INDEX]


@pytest.mark.parametrize("schema", ALL)
def test_a_table_has_its_own_schema_in_any_column_order(schema: pa.Schema) -> None:
    check_schema(schema, schema, "rows")
    check_schema(pa.schema(list(reversed(schema))), schema, "rows")


def test_every_difference_is_named_at_once() -> None:
    fields = [field for field in FRAMES if field.name != "fate"]
    position = [field.name for field in fields].index("stamp_ns")
    fields[position] = pa.field("stamp_ns", pa.float64(), nullable=False)
    fields[0] = fields[0].with_nullable(True)
    fields.append(pa.field("color", pa.string()))
    with pytest.raises(TableError) as caught:
        check_schema(pa.schema(fields), FRAMES, "frames of a drive")
    message = str(caught.value)
    assert message.startswith("frames of a drive does not have its schema")
    assert "fate: missing" in message
    assert "stamp_ns: pyarrow.Field<stamp_ns: double not null> instead of pyarrow.Field<stamp_ns: int64 not null>" in message
    assert "vehicle_id: pyarrow.Field<vehicle_id: string> instead of pyarrow.Field<vehicle_id: string not null>" in message
    assert "color: unknown column" in message


def test_a_duplicate_column_is_refused() -> None:
    with pytest.raises(TableError, match="fate: missing"):
        check_schema(pa.schema([*FRAMES, FRAMES.field("fate")]), FRAMES, "frames")


def test_a_difference_inside_a_nested_column_counts() -> None:
    other = pa.field("sources", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False)
    fields = [other if field.name == "sources" else field for field in SCENES]
    with pytest.raises(TableError, match="sources"):
        check_schema(pa.schema(fields), SCENES, "scenes")


@pytest.mark.parametrize("schema", ALL)
def test_time_is_integer_nanoseconds_everywhere(schema: pa.Schema) -> None:
    def leaves(kind: pa.DataType, name: str) -> list[tuple[str, pa.DataType]]:
        if pa.types.is_list(kind):
            return leaves(kind.value_type, name)
        if pa.types.is_struct(kind):
            return [leaf for field in kind for leaf in leaves(field.type, field.name)]
        return [(name, kind)]

    for field in schema:
        for name, kind in leaves(field.type, field.name):
            if name.endswith("_ns"):
                assert kind == pa.int64(), name
            assert not name.endswith(("_s", "_ms", "_us")) or name.endswith("_m_s"), name
            assert not pa.types.is_timestamp(kind), name


def test_payload_columns_and_partitions_exist() -> None:
    for leaf in OPAQUE_LEAVES:
        field = SCENES.field(leaf.split(".")[0])
        for part in leaf.split(".")[1:]:
            field = field.type.value_field if part == "element" else field.type.field(part)
        assert field.type in (pa.binary(), pa.string())
    assert set(PARTITIONS) == set(PUBLISHED)
    for name, columns in PARTITIONS.items():
        for column in columns:  # records of an older lake have no day
            assert PUBLISHED[name].field(column).nullable == ((name, column) == ("quarantine.records", "day"))
