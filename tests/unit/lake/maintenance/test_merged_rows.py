"""Rows keep their values and their order however they are cut, and a change of one of them shows."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LakeError, TableError
from lake.maintenance.merged_rows import RowsDigest, rechunked, table_rows
from lake.parquet.row_group import RangeRead
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.schemas import FRAMES, RECORDS
from tests.unit.lake.tables.fence_lake import DRIVE, frame, record

KIND = pa.schema(
    [("n", pa.int64()), ("text", pa.string()), ("flag", pa.bool_()), ("list", pa.list_(pa.string())), ("real", pa.float64())]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(-5, 5) | st.none(),
            "text": st.text(max_size=3) | st.none(),
            "flag": st.booleans() | st.none(),
            "list": st.lists(st.text(max_size=2), max_size=3) | st.none(),
            "real": st.floats(allow_nan=False) | st.none(),
        }
    ),
    max_size=30,
)


def ranges(body: bytes) -> RangeRead:
    def read(_: str, start: int, length: int) -> bytes:
        return body[start : start + length]

    return read


def cut(table: pa.Table, cuts: list[int]) -> Iterator[pa.Table]:
    edges = sorted({0, len(table), *(at % (len(table) + 1) for at in cuts)})
    for first, last in itertools.pairwise(edges):
        part = table.slice(first, last - first)
        yield part if (first + last) % 2 else part.combine_chunks()


def digest(tables: Iterator[pa.Table], rows: int = 7) -> tuple[int, str]:
    found = RowsDigest()
    for table in rechunked(tables, rows):
        found.add(table)
    return found.result()


@given(ROWS, st.lists(st.integers(0, 100)), st.lists(st.integers(0, 100)))
def test_the_digest_depends_on_the_rows_and_not_on_how_they_are_cut(
    rows: list[dict[str, object]], first: list[int], second: list[int]
) -> None:
    table = pa.Table.from_pylist(rows, schema=KIND)
    stored = io.BytesIO()
    pq.write_table(table, stored, row_group_size=3)
    assert digest(cut(table, first)) == digest(cut(table, second)) == digest(iter([pq.read_table(stored)]))
    assert digest(cut(table, first))[0] == len(rows)


@given(ROWS.filter(bool), st.integers(0, 100), st.sampled_from(KIND.names))
def test_another_value_gives_another_digest(rows: list[dict[str, object]], which: int, name: str) -> None:
    other = [dict(row) for row in rows]
    row = other[which % len(rows)]
    row[name] = {"n": 9, "text": "long", "flag": not row["flag"], "list": ["long"], "real": 1e300}[name]
    changed = [pa.Table.from_pylist(some, schema=KIND) for some in (rows, other)]
    assert (digest(iter([changed[0]])) == digest(iter([changed[1]]))) == (rows == other)


@given(st.lists(st.integers(0, 20)), st.integers(1, 9))
def test_tables_have_the_length_that_was_asked_for(lengths: list[int], rows: int) -> None:
    tables = [pa.table({"n": pa.array(range(length), pa.int64())}) for length in lengths]
    found = list(rechunked(iter(tables), rows))
    assert all(len(table) == rows for table in found[:-1])
    assert [value for table in found for value in table["n"].to_pylist()] == [n for length in lengths for n in range(length)]


def stored(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **WRITE_OPTIONS)
    return sink.getvalue().to_pybytes()


def _older(field: pa.Field) -> pa.Field:
    if field.name != "findings":
        return field
    parts = [part for part in field.type.value_type if part.name not in ("sensor", "severity")]
    return pa.field("findings", pa.list_(pa.struct(parts)))


def test_a_column_that_an_older_file_lacks_is_null_nested_ones_too() -> None:
    found = {"rule_id": "X", "measured": 1.0, "threshold": 2.0, "message": "m"}
    kind = pa.schema([_older(field) for field in RECORDS if field.name not in ("reviewer", "reason")])
    old = pa.Table.from_pylist([record(DRIVE, "r", 5) | {"findings": [found]}], schema=kind)
    body = stored(old)
    (table,) = table_rows(ranges(body), "f", len(body), RECORDS)
    assert table.schema.equals(RECORDS)
    (row,) = table.to_pylist()
    assert (row["reviewer"], row["stamp_ns"]) == (None, 5)
    assert row["findings"] == [found | {"sensor": None, "severity": None}]


def test_a_column_that_this_version_does_not_know_is_not_lost() -> None:
    table = pa.Table.from_pylist([frame(DRIVE, "r", 5)], schema=FRAMES)
    body = stored(table.append_column("later", pa.array([1])))
    with pytest.raises(TableError, match="would lose: later"):
        list(table_rows(ranges(body), "f", len(body), FRAMES))
    nested = stored(pa.table({"key": pa.array([{"more": 1}])}))
    with pytest.raises(TableError, match=r"would lose: key\.more"):
        list(table_rows(ranges(nested), "f", len(nested), FRAMES))


def test_a_flipped_bit_is_an_error(tmp_path: Path) -> None:
    body = bytearray(stored(pa.Table.from_pylist([frame(DRIVE, "r", number) for number in range(500)], schema=FRAMES)))
    column = pq.read_metadata(io.BytesIO(body)).row_group(0).column(6)
    body[column.data_page_offset + column.total_compressed_size // 3 + 60] ^= 1
    with pytest.raises(LakeError, match="CRC"):
        list(table_rows(ranges(bytes(body)), "f", len(body), FRAMES))
