"""Payload inserted into a file that the library wrote: the library reads it back, byte for byte."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lake.parquet.payload_pages
from lake.parquet.footer import Chunk, FooterError, Move, dictionary_page_header, move_chunks
from lake.parquet.payload_pages import Payloads, PayloadSizeError, with_payloads

A, B = "frames.list.element.a", "b"
COMPRESSION = {A: "none", B: "zstd", "before": "snappy", "after": "snappy"}
Row = tuple[list[bytes | None], bytes | None]


def skeleton(groups: Sequence[Sequence[Row]], fact: str = A) -> tuple[bytes, list[dict[str, Payloads]]]:
    """A file of these rows with placeholders, between two columns of facts."""
    sink, stood_in = io.BytesIO(), list[dict[str, Payloads]]()
    kind = pa.schema(
        [
            ("before", pa.string()),
            ("frames", pa.list_(pa.struct([("a", pa.binary())]))),
            ("b", pa.binary()),
            ("after", pa.int64()),
        ]
    )
    with pq.ParquetWriter(
        sink,
        kind,
        compression=COMPRESSION,
        use_dictionary=[A, B],
        write_statistics=["before", "after"],
        store_schema=False,
        write_page_checksum=True,
    ) as writer:
        for number, rows in enumerate(groups):
            of_group = {A: Payloads(), B: Payloads()}
            frames = [[{"a": None if value is None else of_group[A].place(value)} for value in values] for values, _ in rows]
            others = [None if value is None else of_group[B].place(value) for _, value in rows]
            facts = {"before": [f"{fact}-{number}"] * len(rows), "after": [-number] * len(rows)}
            writer.write_table(pa.table(facts | {"frames": frames, "b": others}, schema=kind))
            stood_in.append(of_group)
    return sink.getvalue(), stood_in


def laid(groups: Sequence[Sequence[Row]]) -> bytes:
    body, payloads = skeleton(groups)
    return b"".join(with_payloads(memoryview(body), pq.read_metadata(io.BytesIO(body)), payloads, COMPRESSION))


PAYLOADS = st.none() | st.binary(max_size=300) | st.integers(1, 5).map(lambda n: bytes([n]) * (40_000 * n))
ROWS = st.tuples(st.lists(PAYLOADS, max_size=4), PAYLOADS)


@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_library_reads_what_was_laid(groups: list[list[Row]]) -> None:
    body = laid(groups)
    file = pq.ParquetFile(io.BytesIO(body), page_checksum_verification=True)
    assert file.num_row_groups == len(groups)
    for number, rows in enumerate(groups):
        found = file.read_row_group(number).to_pylist()
        assert [([frame["a"] for frame in row["frames"]], row["b"]) for row in found] == rows
        assert {(row["before"], row["after"]) for row in found} == {(f"{A}-{number}", -number)}
        group = file.metadata.row_group(number)
        sizes = [group.column(position).total_uncompressed_size for position in range(group.num_columns)]
        assert group.total_byte_size == sum(sizes)
    assert laid(groups) == body, "equal rows, equal bytes"


def test_other_columns_lie_where_they_lay_and_payload_behind_them() -> None:
    groups: list[list[Row]] = [[([b"x" * 5000, b"y" * 7000], b"z" * 9000)], [([b"u" * 6000], None)]]
    before = pq.read_metadata(io.BytesIO(skeleton(groups)[0]))
    body = laid(groups)
    after = pq.read_metadata(io.BytesIO(body))
    first, second = after.row_group(0), after.row_group(1)
    for number in range(2):
        was, now = before.row_group(number), after.row_group(number)
        for fact in (0, 3):
            assert now.column(fact).data_page_offset == was.column(fact).data_page_offset
            assert now.column(fact).statistics.max == was.column(fact).statistics.max
    ends = [column.dictionary_page_offset + column.total_compressed_size for column in (first.column(1), first.column(2))]
    assert ends == [first.column(2).dictionary_page_offset, second.column(1).dictionary_page_offset], "payload lies together"
    assert body[first.column(1).dictionary_page_offset :].find(b"x" * 5000 + (7000).to_bytes(4, "little") + b"y" * 7000) > 0
    assert first.column(2).total_compressed_size < 9000 < first.column(2).total_uncompressed_size
    assert second.column(2).total_uncompressed_size == before.row_group(1).column(2).total_uncompressed_size


def test_the_same_object_is_stored_once_and_copies_are_not_made() -> None:
    shared = bytearray(b"s" * 10_000)
    view = memoryview(shared)
    body, payloads = skeleton([[([view, view], None), ([view], None)]])  # type: ignore[list-item]
    pieces = with_payloads(memoryview(body), pq.read_metadata(io.BytesIO(body)), payloads, COMPRESSION)
    assert sum(map(len, pieces)) < 12_000
    shared[:] = b"t" * 10_000
    rows = pq.read_table(io.BytesIO(b"".join(pieces)))["frames"].to_pylist()
    assert {frame["a"] for frames in rows for frame in frames} == {b"t" * 10_000}


def test_the_page_header_is_the_library_s() -> None:
    body, payloads = skeleton([[([b"x", b"y"], None)]])
    column = pq.read_metadata(io.BytesIO(body)).row_group(0).column(1)
    size = len(payloads[0][A].distinct) * 12
    theirs = body[column.dictionary_page_offset : column.data_page_offset - size]
    page = body[column.data_page_offset - size : column.data_page_offset]
    assert dictionary_page_header(2, size, size, zlib.crc32(page)) == theirs


def test_more_than_a_page_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake.parquet.payload_pages, "MAX_PAGE_BYTES", 1000)
    with pytest.raises(PayloadSizeError, match=f"{A}: the payloads of one row group take 1001 bytes, a page at most 1000"):
        laid([[([b"x" * 997], None)]])


def test_a_footer_that_is_not_the_library_s_is_an_error_and_no_file() -> None:
    body, _ = skeleton([[([b"x" * 997], None)]])
    footer = body[-8 - int.from_bytes(body[-8:-4], "little") : -8]
    metadata = pq.read_metadata(io.BytesIO(body))
    before = Chunk.of(metadata.row_group(0).column(1))
    move = Move(A, before, Chunk(10, 20, 30, 40), 0)
    with pytest.raises(FooterError, match="does not hold column nowhere"):
        move_chunks(footer, metadata, [[Move("nowhere", before, before, 0)]])
    with pytest.raises(FooterError, match="no field 4"):
        move_chunks(b"\0", metadata, [[move]])
    for end in range(len(footer)):
        with pytest.raises(FooterError):
            move_chunks(footer[:end], metadata, [[move]])


def test_a_text_that_looks_like_a_column_is_found_out() -> None:
    """Never a corrupt file; the writer keeps such text out of the footer."""
    path = bytes([4 << 4 | 8]) + b"".join(bytes([len(name)]) + name.encode() for name in A.split("."))
    body, payloads = skeleton([[([b"x" * 997], None)]], fact=path.decode())
    with pytest.raises(FooterError):
        with_payloads(memoryview(body), pq.read_metadata(io.BytesIO(body)), payloads, COMPRESSION)
