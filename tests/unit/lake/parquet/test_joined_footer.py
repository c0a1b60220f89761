"""Files whose row groups become those of one file: the library reads the same rows from it, and no page is written anew."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.parquet.footer import LENGTH_BYTES, MAGIC, FooterError, JoinedPart, join_footers

KIND = pa.schema([("n", pa.int64()), ("frames", pa.list_(pa.struct([("text", pa.string()), ("raw", pa.binary())])))])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(-(2**60), 2**60) | st.none(),
            "frames": st.lists(
                st.fixed_dictionaries({"text": st.text(max_size=5), "raw": st.binary(max_size=200) | st.none()}), max_size=3
            ),
        }
    ),
    max_size=20,
)


def parquet(rows: Sequence[dict[str, object]], group: int = 4, kind: pa.Schema = KIND, *, index: bool = False) -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema=kind)
    pq.write_table(table, sink, row_group_size=group, write_page_checksum=True, write_page_index=index)
    return sink.getvalue()


def parts_of(bodies: Sequence[bytes]) -> tuple[list[JoinedPart], bytes]:
    parts, content = [], MAGIC
    for body in bodies:
        at = len(body) - LENGTH_BYTES - len(MAGIC)
        footer_at = at - int.from_bytes(body[at : at + LENGTH_BYTES], "little")
        parts.append(JoinedPart(body[footer_at:at], pq.read_metadata(io.BytesIO(body)), len(content) - len(MAGIC)))
        content += body[len(MAGIC) : footer_at]
    return parts, content


def joined(bodies: Sequence[bytes]) -> bytes:
    parts, content = parts_of(bodies)
    footer = join_footers(parts)
    return content + footer + len(footer).to_bytes(LENGTH_BYTES, "little") + MAGIC


@given(st.lists(ROWS, min_size=1, max_size=5), st.integers(1, 6), st.booleans())
def test_the_library_reads_the_rows_of_all_files_in_order(files: list[list[dict[str, object]]], group: int, index: bool) -> None:
    bodies = [parquet(rows, group, index=index) for rows in files]
    found = pq.ParquetFile(io.BytesIO(joined(bodies)), page_checksum_verification=True)
    assert found.read().to_pylist() == [row for rows in files for row in rows]
    sizes = [found.metadata.row_group(number).num_rows for number in range(found.num_row_groups)]
    assert sizes == [
        pq.read_metadata(io.BytesIO(body)).row_group(number).num_rows
        for body in bodies
        for number in range(pq.read_metadata(io.BytesIO(body)).num_row_groups)
    ]
    assert joined([joined(bodies), bodies[0]]) == joined([*bodies, bodies[0]]), "a joined file is a file like any other"


def test_statistics_stay_so_that_readers_skip_row_groups() -> None:
    bodies = [parquet([{"n": first + offset, "frames": []} for offset in range(3)]) for first in (0, 100)]
    metadata = pq.read_metadata(io.BytesIO(joined(bodies)))
    found = [metadata.row_group(number).column(0).statistics for number in range(2)]
    assert [(one.min, one.max) for one in found] == [(0, 2), (100, 102)]


def test_more_row_groups_than_fit_a_short_list() -> None:
    bodies = [parquet([{"n": number, "frames": []}]) for number in range(40)]
    found = pq.read_table(io.BytesIO(joined(bodies)))
    assert found["n"].to_pylist() == list(range(40))


def test_other_columns_are_refused() -> None:
    other = parquet([{"n": 1}], kind=pa.schema([("n", pa.int64())]))
    with pytest.raises(FooterError, match="different columns"):
        joined([parquet([]), other])


def test_a_footer_that_is_cut_is_an_error() -> None:
    parts, _ = parts_of([parquet([{"n": 1, "frames": []}])] * 2)
    whole = parts[1]
    for end in range(0, len(whole.footer), 7):
        with pytest.raises(FooterError):
            join_footers([JoinedPart(whole.footer[:end], whole.metadata, 0), whole])
