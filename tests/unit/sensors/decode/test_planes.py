"""Planes are the transposed rows: nothing lost, and easier to compress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.decode.planes import from_planes, to_planes
from sensors.errors import DecodeError


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, int]:
    step, points = draw(st.integers(1, 50)), draw(st.integers(0, 40))
    return draw(st.binary(min_size=step * points, max_size=step * points)), step


@given(tables())
def test_each_is_the_inverse_of_the_other(table: tuple[bytes, int]) -> None:
    data, step = table
    assert from_planes(to_planes(data, step), step).tobytes() == data
    assert to_planes(from_planes(data, step), step).tobytes() == data


@given(tables())
def test_byte_k_of_every_point_stands_together(table: tuple[bytes, int]) -> None:
    data, step = table
    assert to_planes(data, step).tobytes() == b"".join(data[k::step] for k in range(step))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, dtype=np.uint8)])
def test_any_buffer_is_taken_and_left_as_it_was(kind: type[bytes]) -> None:
    data = kind(b"abcABC")
    assert to_planes(data, 3).tobytes() == b"aAbBcC"
    assert bytes(data) == b"abcABC"


def test_the_planes_can_be_written_where_they_are_needed() -> None:
    page = np.zeros(10, dtype=np.uint8)
    made = to_planes(b"abcABC", 3, out=page[2:8])
    assert page.tobytes() == b"\0\0aAbBcC\0\0"
    assert np.shares_memory(made, page)
    assert from_planes(made, 3, out=page[2:8].copy()).tobytes() == b"abcABC"
    with pytest.raises(ValueError, match=r"out has the shape \(5,\), \(6,\) is needed"):
        to_planes(b"abcABC", 3, out=page[:5])


def test_an_array_is_its_bytes_not_its_values() -> None:
    points = np.array([1.5, -2.0], dtype="<f4")
    assert to_planes(points.view(np.uint8), 4).tobytes() == to_planes(points.tobytes(), 4).tobytes()
    assert to_planes(points, 4).tobytes() == to_planes(points.tobytes(), 4).tobytes()


@pytest.mark.parametrize(("size", "step"), [(5, 3), (1, 0), (6, -3), (2, 3)])
@pytest.mark.parametrize("change", [to_planes, from_planes])
def test_a_fraction_of_a_point_is_refused(change: Callable[[bytes, int], Any], size: int, step: int) -> None:
    with pytest.raises(DecodeError, match=f"{size} bytes are not a whole number of points of {step} bytes"):
        change(bytes(size), step)


def test_an_empty_cloud_may_claim_any_size_of_a_point() -> None:
    assert [to_planes(b"", step).size for step in (0, 1, 2**31)] == [0, 0, 0]


def test_a_sweep_of_full_precision_shrinks_where_its_rows_do_not() -> None:
    """x, y, z and intensity of a noisy spinning lidar: above 0.8 of their size as rows, below 0.75 as planes."""
    rng = np.random.default_rng(7)
    azimuth = np.repeat(np.linspace(-np.pi, np.pi, 1000, endpoint=False), 32)
    range_m = np.tile(np.linspace(4.0, 60.0, 32), 1000) + rng.normal(0.0, 0.02, 32_000)
    xyz = [range_m * np.cos(azimuth), range_m * np.sin(azimuth), rng.normal(-1.8, 0.02, 32_000)]
    points = np.column_stack([*xyz, rng.integers(0, 256, 32_000)]).astype("<f4").tobytes()
    codec = pa.Codec("zstd", 1)
    assert len(codec.compress(points)) > 0.8 * len(points)
    assert len(codec.compress(to_planes(points, 16).tobytes())) < 0.75 * len(points)
