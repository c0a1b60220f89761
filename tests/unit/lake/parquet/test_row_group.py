"""Columns of a row group by two ranged reads, and no byte beyond them that could be left out."""

from __future__ import annotations

import io
import itertools

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LakeError, OversizeError
from lake.landing import DriveId
from lake.parquet import row_group
from lake.parquet.row_group import ByteRange, column_ranges, joined, read_footer, read_row_group
from lake.tables.scene_key import SceneKey
from tests.unit.lake.tables.scenes_files import IMAGE_BYTES, LIDAR_BYTES, RADAR_BYTES, parquet

KEYS = [SceneKey(DriveId("car", "d"), 10**18 + 100 * at) for at in range(6)]
GROUP = 3
FACTS = ("scene_id", "anchor_ns")


class File:
    """Bytes that are read by ranges; each read is logged."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.reads: list[tuple[int, int]] = []

    def __call__(self, uri: str, start: int, length: int) -> bytes:
        assert 0 <= start <= start + length <= len(self.body)
        self.reads.append((start, length))
        return self.body[start : start + length]

    @property
    def read_bytes(self) -> int:
        return sum(length for _, length in self.reads)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "dictionary"])
def body(request: pytest.FixtureRequest) -> bytes:
    return parquet(KEYS, GROUP, dictionary=request.param)


@st.composite
def chunks(draw: st.DrawFn) -> list[ByteRange]:
    edges = sorted(draw(st.lists(st.integers(0, 200), min_size=2, max_size=16)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return [ByteRange(start, end) for start, end in pairs if end > start]


@given(chunks(), st.integers(1, 4))
def test_joined_ranges_cover_everything_with_the_fewest_bytes(ranges: list[ByteRange], at_most: int) -> None:
    made = joined(ranges, at_most)
    assert len(made) <= at_most
    assert all(any(one.start <= entry.start and entry.end <= one.end for one in made) for entry in ranges)
    least = (
        min(
            (
                sum(group[-1].end - group[0].start for group in split)
                for cuts in itertools.combinations(range(1, len(ranges)), min(at_most, len(ranges)) - 1)
                for split in [[ranges[low:high] for low, high in itertools.pairwise((0, *cuts, len(ranges)))]]
            ),
            default=0,
        )
        if ranges
        else 0
    )
    assert sum(one.end - one.start for one in made) == least


def test_neighbours_are_one_range() -> None:
    assert joined([ByteRange(0, 4), ByteRange(4, 9), ByteRange(9, 10)], 4) == (ByteRange(0, 10),)


@pytest.mark.parametrize(
    "columns", [(*FACTS, "lidars"), (*FACTS, "cameras"), (*FACTS, "radars", "calibration"), ("calibration",)]
)
def test_columns_are_what_pyarrow_reads_from_the_whole_file(body: bytes, columns: tuple[str, ...]) -> None:
    whole = pq.ParquetFile(io.BytesIO(body))
    for number in range(2):
        file = File(body)
        assert read_row_group(file, "f", whole.metadata, number, columns).equals(
            whole.read_row_group(number, columns=list(columns))
        )
        assert len(file.reads) <= 2


def test_one_modality_is_read_without_the_others(body: bytes) -> None:
    metadata = pq.read_metadata(io.BytesIO(body))
    sizes = {}
    for name in ("lidars", "cameras", "radars"):
        file = File(body)
        read_row_group(file, "f", metadata, 1, (*FACTS, name, "calibration"))
        sizes[name] = file.read_bytes
    slack = 8_000  # facts, match columns, page headers
    assert GROUP * LIDAR_BYTES < sizes["lidars"] < GROUP * LIDAR_BYTES + slack
    assert GROUP * RADAR_BYTES < sizes["radars"] < GROUP * RADAR_BYTES + slack
    # The radars lie between the cameras and the calibration, and a third request would cost more than they do.
    assert GROUP * 2 * IMAGE_BYTES < sizes["cameras"] < GROUP * (2 * IMAGE_BYTES + RADAR_BYTES) + slack


def test_the_ranges_of_all_columns_tile_the_row_group(body: bytes) -> None:
    metadata = pq.read_metadata(io.BytesIO(body))
    ranges = column_ranges(metadata, 0, [metadata.schema.column(0).path, *pq.read_schema(io.BytesIO(body)).names])
    assert joined(ranges, 1) == (ByteRange(4, ranges[-1].end),)
    assert all(before.end == after.start for before, after in itertools.pairwise(ranges))


@pytest.mark.parametrize(("tail", "reads"), [(1 << 20, 1), (64, 2)])
def test_a_footer_takes_one_read_or_two(body: bytes, monkeypatch: pytest.MonkeyPatch, tail: int, reads: int) -> None:
    monkeypatch.setattr(row_group, "FIRST_TAIL_BYTES", tail)
    file = File(body)
    assert read_footer(file, "f", len(body)).equals(pq.read_metadata(io.BytesIO(body)))
    assert len(file.reads) == reads
    footer = int.from_bytes(body[-8:-4], "little") + 8
    assert file.read_bytes == (footer if reads == 2 else min(len(body), tail))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"PAR1",
        b"PAR1" + b"\0" * 20,
        b"PAR1" + b"\xff\xff\xff\xffPAR1",
        b"PAR1" + b"\x15" * 40 + (40).to_bytes(4, "little") + b"PAR1",
    ],
)
def test_a_file_that_is_not_parquet_is_reported(broken: bytes) -> None:
    with pytest.raises(LakeError, match="s3://lake/f"):
        read_footer(File(broken), "s3://lake/f", len(broken))


def test_a_footer_beyond_the_bound_is_not_read(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_group, "FIRST_TAIL_BYTES", 64)
    monkeypatch.setattr(row_group, "MAX_FOOTER_BYTES", 1000)
    file = File(body)
    with pytest.raises(LakeError, match="does not end a Parquet file"):
        read_footer(file, "f", len(body))
    assert file.read_bytes == 64


def test_a_row_group_beyond_the_bound_is_not_read(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_group, "MAX_ROW_GROUP_BYTES", GROUP * LIDAR_BYTES)
    file = File(body)
    with pytest.raises(OversizeError, match=f"at most {GROUP * LIDAR_BYTES} are read"):
        read_row_group(file, "f", pq.read_metadata(io.BytesIO(body)), 0, ("lidars",))
    assert file.reads == []


def test_bytes_that_are_not_pages_are_an_error_of_the_lake(body: bytes) -> None:
    metadata = pq.read_metadata(io.BytesIO(body))
    with pytest.raises(LakeError, match="row group 0 cannot be read"):
        read_row_group(File(b"\xff" * len(body)), "f", metadata, 0, ("lidars",))
