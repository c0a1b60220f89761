"""Feather files are read completely and exactly, or refused before they allocate memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import SourceError
from fleet.importers.argoverse2 import feather as reader
from fleet.importers.argoverse2.feather import declared_size, read_rows

ROWS = 1237
TWO = np.dtype([("a", "<f4"), ("b", "<i8")])


def columns() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {"a": rng.normal(size=ROWS).astype(np.float16), "b": rng.integers(0, 9, ROWS), "c": ["x"] * ROWS}


def written(path: Path, content: dict[str, Any], compression: str = "lz4", chunk_rows: int = 500) -> Path:
    feather.write_feather(pa.table(content), path, compression=compression, chunksize=chunk_rows)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "a.feather", columns())


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_values_come_out_as_they_went_in(tmp_path: Path, compression: str) -> None:
    path = written(tmp_path / "a.feather", columns(), compression)
    rows = read_rows(path, np.dtype([("b", "<i8"), ("c", "O"), ("a", "<f4")]), ROWS)
    np.testing.assert_array_equal(rows["a"], columns()["a"].astype(np.float32))
    np.testing.assert_array_equal(rows["a"].astype(np.float16).view(np.uint16), columns()["a"].view(np.uint16))
    np.testing.assert_array_equal(rows["b"], columns()["b"])
    assert rows["c"].tolist() == columns()["c"]


@given(
    rows=st.integers(0, 300),
    chunk_rows=st.integers(1, 100),
    compression=st.sampled_from(["lz4", "zstd", "uncompressed"]),
    texts=st.booleans(),
)
def test_declared_sizes_are_those_of_the_buffers_that_arrow_then_allocates(
    tmp_path_factory: pytest.TempPathFactory, rows: int, chunk_rows: int, compression: str, texts: bool
) -> None:
    content: dict[str, Any] = {"n": np.arange(rows, dtype=np.int16), "f": np.ones(rows)}
    if texts:
        content["s"] = pa.array(["ab" * (n % 5) if n % 7 else None for n in range(rows)], pa.string())
    path = written(tmp_path_factory.mktemp("f") / "a.feather", content, compression, chunk_rows)
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    buffers = [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]
    size = declared_size(path.read_bytes())
    assert (size.rows, size.data_bytes) == (rows, sum(buffer.size for buffer in buffers))


@pytest.mark.parametrize("declared", [2**40, 2**62, reader.MAX_DATA_BYTES + 1])
def test_a_decompression_bomb_is_refused_before_arrow_sees_it(file: Path, monkeypatch: pytest.MonkeyPatch, declared: int) -> None:
    body = file.read_bytes()
    honest = struct.pack("<q", 500 * 8)  # column b of the first batch; the second's is the same
    assert body.count(honest) == 2
    file.write_bytes(body.replace(honest, struct.pack("<q", declared), 1))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("arrow was asked to read it")

    monkeypatch.setattr(pa.ipc, "open_file", never)
    with pytest.raises(
        SourceError, match=rf"would need {declared + declared_size(body).data_bytes - 4000} bytes once decompressed"
    ):
        read_rows(file, TWO, ROWS)


def test_a_size_below_the_truth_is_found_by_the_codec(file: Path) -> None:
    body = file.read_bytes()
    file.write_bytes(body.replace(struct.pack("<q", 4000), struct.pack("<q", 3000), 1))
    with pytest.raises(SourceError, match="not a whole Feather file"):
        read_rows(file, TWO, ROWS)


def test_limits_of_rows_and_file_size(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_rows(file, TWO, ROWS)) == ROWS
    with pytest.raises(SourceError, match=f"has {ROWS} rows, the limit is {ROWS - 1}"):
        read_rows(file, TWO, ROWS - 1)
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", file.stat().st_size - 1)
    with pytest.raises(SourceError, match=f"has {file.stat().st_size} bytes, the limit is"):
        read_rows(file, TWO, ROWS)


def test_every_truncation_is_refused(file: Path) -> None:
    body = file.read_bytes()
    for length in [*range(0, len(body), 97), len(body) - 1]:
        file.write_bytes(body[:length])
        with pytest.raises(SourceError, match="not a whole Feather file"):
            read_rows(file, TWO, ROWS)


def test_damage_anywhere_gives_rows_or_a_reason(file: Path) -> None:
    body = file.read_bytes()
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(600):
        damaged = bytearray(body)
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(body)))] = int(rng.integers(256))
        file.write_bytes(damaged)
        try:
            assert len(read_rows(file, TWO, ROWS)) <= ROWS
        except SourceError:
            refused += 1
    assert 50 < refused < 600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": np.ones(3, np.float16)}, "lacks the columns b"),
        ({"a": np.ones(3), "b": [1, 2, 3]}, "the column a is double, which float32 does not hold without loss"),
        ({"a": np.ones(3, np.float32), "b": np.ones(3, np.uint64)}, "the column b is uint64, which int64 does not hold"),
        ({"a": np.ones(3, np.float32), "b": ["1", "2", "3"]}, "the column b is string"),
        ({"a": np.ones(3, np.float32), "b": [1, None, 3]}, "1 of 3 cells of the column b are empty"),
        ({"a": np.ones(3, np.float32), "b": [True, False, True]}, "the column b is bool"),
        ({"a": np.ones(3, np.float32), "b": pa.array(["x", "y", "x"]).dictionary_encode()}, "dictionary-encoded columns"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_rows(written(tmp_path / "a.feather", content), TWO, 10)


def test_a_column_of_numbers_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the column a is int64 instead of text"):
        read_rows(written(tmp_path / "a.feather", {"a": [1]}), np.dtype([("a", "O")]), 10)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    doubled = pa.Table.from_arrays([pa.array([1.0], pa.float32())] * 2 + [pa.array([1])], names=["a", "a", "b"])
    with pa.OSFile(str(tmp_path / "a.feather"), "wb") as sink, pa.ipc.new_file(sink, doubled.schema) as writer:
        writer.write_table(doubled)
    with pytest.raises(SourceError, match="lacks the columns a, or has them twice"):
        read_rows(tmp_path / "a.feather", TWO, 10)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    for body, message in (
        (b"", "does not begin and end"),
        (b"FEA1" + bytes(40) + b"FEA1", "of version 1"),
        (b"ARROW1" * 9, "not a whole"),
    ):
        path.write_bytes(body)
        with pytest.raises(SourceError, match=message):
            read_rows(path, TWO, 10)
    with pytest.raises(SourceError, match="is missing"):
        read_rows(tmp_path / "b.feather", TWO, 10)


def test_batches_and_buffers_have_limits(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="1237 parts, the limit is 1000"):
        read_rows(written(tmp_path / "a.feather", columns(), chunk_rows=1), TWO, ROWS)
    wide = {f"n{number}": [1] for number in range(600)}
    with pytest.raises(SourceError, match="1200 parts, the limit is 1000"):
        read_rows(written(tmp_path / "b.feather", wide), np.dtype([("n0", "<i8")]), ROWS)
