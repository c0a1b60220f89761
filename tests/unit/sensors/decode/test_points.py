"""Columns, validity and point times of a cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_points
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud, point_fields
from sensors.errors import DecodeError

STAMP_NS = 1_700_000_000_123_456_789


def cloud(columns: dict[str, Any], dtypes: dict[str, str], stamp_ns: int = STAMP_NS, big: bool = False) -> PointCloud:
    """A decoded cloud with one unused byte between its columns."""
    members = [(name, dtypes[name].replace("<", ">") if big else dtypes[name]) for name in columns]
    holes = [member for name, kind in members for member in ((name, kind), (f"_{name}", "u1"))]
    rows = len(next(iter(columns.values())))
    points = np.zeros(rows, dtype=np.dtype(holes))
    for name, values in columns.items():
        points[name] = values
    fields = tuple(field for field in point_fields(points.dtype) if not field.name.startswith("_"))
    return decode_points(encode_points(stamp_ns, "lidar", fields, points, is_bigendian=big))


XYZ = {"x": "<f4", "y": "<f4", "z": "<f4"}


@pytest.mark.parametrize("big", [False, True])
def test_columns_are_read_by_offset_and_byte_order(big: bool) -> None:
    values = {"x": [1.5, -2], "y": [3, 4], "z": [5, 6], "intensity": [255, 0], "range": [70000, 1], "v": [1e300, -1]}
    read = cloud(values, XYZ | {"intensity": "u1", "range": "<u4", "v": "<f8"}, big=big)
    assert read.names == tuple(values)
    assert read.point_step == 3 * 5 + 2 + 5 + 9
    for name, expected in values.items():
        column = read.column(name)
        assert column.dtype.isnative
        assert column.tolist() == expected
        assert not column.flags.writeable
    assert read.xyz_m().dtype == np.float32
    assert read.xyz_m().tolist() == [[1.5, 3, 5], [-2, 4, 6]]


def test_fields_of_several_values_have_two_dimensions() -> None:
    points = np.array([((1, 2, 3),), ((4, 5, 6),)], dtype=[("rgb", "u1", (3,))])
    read = decode_points(encode_points(1, "lidar", point_fields(points.dtype), points))
    assert read.column("rgb").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_missing_column_is_named_with_those_there_are() -> None:
    read = cloud({"x": [1.0]}, XYZ)
    with pytest.raises(DecodeError, match="no field 'intensity', only x"):
        read.column("intensity")
    with pytest.raises(DecodeError, match="no field 'y'"):
        read.xyz_m()


def test_invalid_points_are_those_without_a_position() -> None:
    nan, inf = np.nan, np.inf
    columns = {"x": [0, 1, nan, 1, 0, -0.0, 0], "y": [0, 0, 1, -inf, 1, 0, nan], "z": [0, 0, 1, 1, 0, 0, 0]}
    assert cloud(columns, XYZ).invalid().tolist() == [True, False, True, True, False, True, True]


def test_a_position_beyond_float32_is_invalid() -> None:
    wide = cloud({"x": [1e300, 1.0], "y": [1, 1], "z": [1, 1]}, dict.fromkeys("xyz", "<f8"))
    assert wide.invalid().tolist() == [True, False]


def test_an_empty_cloud_has_empty_columns() -> None:
    empty = cloud({"x": [], "y": [], "z": [], "t": []}, XYZ | {"t": "<u4"})
    offsets = empty.time_offset_ns()
    assert empty.xyz_m().shape == (0, 3)
    assert offsets is not None
    assert offsets.shape == (0,)
    assert offsets.dtype == np.int64


TIMED = {"x": [1.0, 2.0, 3.0], "y": [1.0] * 3, "z": [1.0] * 3}


@pytest.mark.parametrize(
    ("name", "dtype", "values", "expected"),
    [
        ("t", "<u4", [0, 99_999_999, 4_294_967_295], [0, 99_999_999, 4_294_967_295]),
        ("t", "<i4", [-100_000_000, 0, 5], [-100_000_000, 0, 5]),
        ("offset_time", "<u4", [0, 1, 2], [0, 1, 2]),
        ("time", "<f4", [0.0, 0.0625, -0.125], [0, 62_500_000, -125_000_000]),
        ("time", "<f8", [-0.1014, 0.0, 0.0015], [-101_400_000, 0, 1_500_000]),
        ("t", "<f8", [0.25, 0.5, 0.75], [250_000_000, 500_000_000, 750_000_000]),
    ],
)
def test_times_relative_to_the_stamp(name: str, dtype: str, values: list[float], expected: list[int]) -> None:
    offsets = cloud(TIMED | {name: values}, XYZ | {name: dtype}).time_offset_ns()
    assert offsets is not None
    assert offsets.dtype == np.int64
    assert offsets.tolist() == expected


@given(st.lists(st.integers(-(10**8), 2 * 10**8), min_size=3, max_size=3))
def test_times_since_the_epoch_are_exact_to_the_resolution_of_float64(offsets_ns: list[int]) -> None:
    """A float64 second at epoch scale is a multiple of 238 ns, so that half of it is what the recorder lost."""
    seconds = [(STAMP_NS + offset) / 10**9 for offset in offsets_ns]
    read = cloud(TIMED | {"timestamp": seconds}, XYZ | {"timestamp": "<f8"}).time_offset_ns()
    assert read is not None
    assert np.abs(read - np.array(offsets_ns)).max() <= 120


def test_integer_times_come_before_float_times() -> None:
    both = cloud(TIMED | {"time": [9.0] * 3, "t": [1, 2, 3]}, XYZ | {"time": "<f4", "t": "<u4"})
    assert both.time_offset_ns() is not None
    assert both.time_offset_ns().tolist() == [1, 2, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("extra", [{}, {"timestamp": "<u4"}, {"ring": "<u2"}])
def test_a_cloud_without_a_known_time_has_none(extra: dict[str, str]) -> None:
    columns = TIMED | {name: [1, 2, 3] for name in extra}
    assert cloud(columns, XYZ | extra).time_offset_ns() is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -11.0])
def test_a_point_with_an_unusable_time_is_an_error_unless_it_has_no_position(bad: float) -> None:
    with pytest.raises(DecodeError, match="point 1 says"):
        cloud(TIMED | {"time": [0.0, bad, 0.1]}, XYZ | {"time": "<f8"}).time_offset_ns()
    no_return = {"x": [1, 0, np.nan], "y": [1, 0, 1], "z": [1, 0, 1], "time": [0.5, bad, np.nan]}
    offsets = cloud(no_return, XYZ | {"time": "<f8"}).time_offset_ns()
    assert offsets is not None
    assert offsets.tolist() == [500_000_000, 0, 0]


def test_times_of_another_clock_are_an_error() -> None:
    with pytest.raises(DecodeError, match="3 of 3 points have a timestamp more than 10 s from the stamp"):
        cloud(TIMED | {"timestamp": [1622.0, 1622.1, 1622.2]}, XYZ | {"timestamp": "<f8"}).time_offset_ns()
