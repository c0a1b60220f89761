"""A source returns every byte once, in order, for any request sizes and however short the stream's reads are."""

from __future__ import annotations

import io
import os
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.container.source import AHEAD_BYTES, SMALL_READ_BYTES, Buffers, ByteSource
from sensors.errors import TruncatedError
from tests.unit.sensors.container.short_reads import ShortFills, ShortReads

DATA = os.urandom(2 * SMALL_READ_BYTES)
COUNTS = st.one_of(st.integers(0, 40), st.integers(AHEAD_BYTES - 2, AHEAD_BYTES + 2), st.integers(0, SMALL_READ_BYTES))
READS = st.lists(st.tuples(st.sampled_from(["read", "view", "apart", "skip"]), COUNTS), max_size=20)


@given(READS, st.sampled_from([ShortReads, ShortFills]), st.integers(200, 2 * SMALL_READ_BYTES), st.integers(0, len(DATA)))
def test_reads_of_any_kind_go_on_where_the_last_one_ended(
    reads: list[tuple[str, int]], stream: type[ShortReads], most: int, size: int
) -> None:
    data, seen = DATA[:size], bytearray()
    source = ByteSource(stream(data, most), seen.extend)  # type: ignore[arg-type]
    at = 0
    for kind, count in reads:
        end = min(at + count, size)
        if kind == "read":
            assert source.read_up_to(count) == data[at:end]
        elif kind == "skip" and at + count > size:
            with pytest.raises(TruncatedError, match=f"the file ends at {size}"):
                source.skip(count)
        elif kind == "skip":
            source.skip(count)
        else:
            view = source.view_up_to(count)
            assert (view, view.readonly) == (data[at:end], True)
            if kind == "apart":
                assert source.enter_apart(view) == zlib.crc32(data[at:end])
            else:
                source.enter(view)
        at = end
        assert (source.offset, source.crc) == (at, zlib.crc32(data[:at]))
        assert at <= len(seen) <= at + SMALL_READ_BYTES, "what is observed is ahead of what is read by a bound"
    source.drain()
    assert (bytes(seen), source.offset) == (data, size)


def test_a_small_record_costs_the_stream_no_call() -> None:
    calls = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            calls.append(size)
            return super().read(size)

        def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
            calls.append(len(buffer))
            return super().readinto(buffer)

    source = ByteSource(Counted(DATA))
    for _ in range(10):
        source.read(9)
        source.skip(20)
    assert len(calls) == 1
    source.view_up_to(SMALL_READ_BYTES)
    for _ in range(10):
        source.read(9)
    assert len(calls) == 2


def test_a_view_that_is_kept_keeps_its_bytes() -> None:
    """Buffers are reused only when no view of them exists, in whatever order views are released."""
    size = 5000
    blocks = [bytes([number]) * size for number in range(20)]
    source = ByteSource(io.BytesIO(b"".join(blocks)))
    kept = []
    for number in range(20):
        view = source.view_up_to(size)
        if number % 3 == 0:
            kept.append((number, view[10:20]))
        del view
    for number, part in kept:
        assert bytes(part) == bytes([number]) * 10
        assert part.readonly


def test_a_buffer_is_used_again() -> None:
    source = ByteSource(io.BytesIO(bytes(100_000)))
    first = source.view_up_to(1000)
    address = id(first.obj)
    del first
    assert id(source.view_up_to(990).obj) == address


def test_a_buffer_serves_the_next_source_too() -> None:
    buffers = Buffers()
    first = ByteSource(io.BytesIO(bytes(1000)), buffers=buffers).view_up_to(1000)
    second = ByteSource(io.BytesIO(bytes(1000)), buffers=buffers).view_up_to(1000)
    addresses = id(first.obj), id(second.obj)
    assert addresses[0] != addresses[1], "the first is looked at"
    del first
    third = ByteSource(io.BytesIO(b"x" * 1000), buffers=buffers).view_up_to(1000)
    assert (id(third.obj), bytes(third)) == (addresses[0], b"x" * 1000)
    del second, third
    assert id(ByteSource(io.BytesIO(bytes(1000)), buffers=buffers).view_up_to(1000).obj) == addresses[0], "the last one first"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_a_checksum_goes_on_over_pieces_of_any_length(data: bytes, cuts: list[int]) -> None:
    source = ByteSource(io.BytesIO(data))
    for start, end in pairwise(sorted([0, *(min(cut, len(data)) for cut in cuts), len(data)])):
        assert source.enter_apart(source.view_up_to(end - start)) == zlib.crc32(data[start:end])
    assert source.crc == zlib.crc32(data)


@pytest.mark.parametrize("count", [0, 1, 2 * 2**20, 5 * 2**20 + 3])
def test_views_of_any_size_are_whole(count: int) -> None:
    data = os.urandom(5 * 2**20)
    source = ByteSource(io.BytesIO(data))
    assert source.view_up_to(count) == data[:count]
    assert source.offset == min(count, len(data))
    assert source.read_up_to(3) == data[count : count + 3]
