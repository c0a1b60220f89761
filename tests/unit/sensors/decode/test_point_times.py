"""Every encoding of point times that drivers use, and what must not be taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_points
from sensors.decode.messages import decode_points
from sensors.decode.point_times import time_column
from sensors.decode.points import PointCloud, point_fields
from sensors.errors import DecodeError

STAMP_NS = 1_700_000_000_123_456_789
OFFSETS_NS = [0, 55_296, 99_950_000]


def cloud(name: str, kind: str, values: Any, placed: Any = (1.0, 2.0, 3.0)) -> PointCloud:
    points = np.zeros(len(values), dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), (name, kind)])
    points["x"] = placed
    points[name] = values
    return decode_points(encode_points(STAMP_NS, "lidar", point_fields(points.dtype), points))


def offsets(*args: Any, **kwargs: Any) -> list[int]:
    found = cloud(*args, **kwargs).time_offset_ns()
    assert found is not None and found.dtype == np.int64
    return found.tolist()


@pytest.mark.parametrize(
    ("field", "kind", "driver"),
    [
        ("t", "<u4", "Ouster"),
        ("time_stamp", "<u4", "nebula"),
        ("offset_time", "<u4", "Livox"),
        ("offset_ns", "<i4", "Argoverse 2"),
        ("time_offset_ns", "<i4", "Aeva"),
    ],
)
def test_integers_are_nanoseconds_from_the_stamp(field: str, kind: str, driver: str) -> None:
    assert offsets(field, kind, OFFSETS_NS) == OFFSETS_NS


@pytest.mark.parametrize("field", ["t", "offset_ns", "time_offset_ns"])
def test_integers_before_the_stamp_are_negative(field: str) -> None:
    assert offsets(field, "<i4", [-101_400_000, 0, 1_500_000]) == [-101_400_000, 0, 1_500_000]


@pytest.mark.parametrize("field", ["t", "time"])
@pytest.mark.parametrize(("kind", "error_ns"), [("<f4", 4), ("<f8", 0)])
def test_float_seconds_from_the_stamp(field: str, kind: str, error_ns: int) -> None:
    found = offsets(field, kind, [-0.05, 0.000055296, 0.09995])
    assert np.abs(np.array(found) - [-50_000_000, 55_296, 99_950_000]).max() <= error_ns


def test_float64_seconds_since_the_epoch() -> None:
    """Hesai, RoboSense."""
    found = offsets("timestamp", "<f8", [(STAMP_NS + offset) / 1e9 for offset in OFFSETS_NS])
    assert np.abs(np.array(found) - OFFSETS_NS).max() <= 239


@given(st.lists(st.integers(-100_000_000, 100_000_000), min_size=3, max_size=3))
def test_float64_nanoseconds_since_the_epoch(offsets_ns: list[int]) -> None:
    """livox_ros_driver2; float64 holds such a number to 256 ns."""
    found = offsets("timestamp", "<f8", [float(STAMP_NS + offset) for offset in offsets_ns])
    assert np.abs(np.array(found) - offsets_ns).max() <= 128


def test_nanoseconds_as_the_bits_of_a_float_are_refused() -> None:
    bits = (STAMP_NS + np.array(OFFSETS_NS, dtype=np.uint64)).view(np.float64)
    with pytest.raises(DecodeError, match="bytes of an integer are declared as a float"):
        offsets("timestamp", "<f8", bits)
    narrow = np.array([1, 55_296, 99_950_000], dtype=np.uint32).view(np.float32)
    with pytest.raises(DecodeError, match="bytes of an integer are declared as a float"):
        offsets("t", "<f4", narrow)


def test_a_float32_cannot_hold_the_epoch() -> None:
    with pytest.raises(DecodeError, match="in float32, which resolves 128 s"):
        offsets("timestamp", "<f4", [STAMP_NS / 1e9] * 3)


@pytest.mark.parametrize(("scale", "unit"), [(1e3, "ms"), (1e6, "us")])
def test_milliseconds_and_microseconds_since_the_epoch_are_refused_by_name(scale: float, unit: str) -> None:
    with pytest.raises(DecodeError, match=f"timestamp is counted in {unit} from the epoch"):
        offsets("timestamp", "<f8", [STAMP_NS / 1e9 * scale] * 3)


def test_milliseconds_of_another_time_are_refused() -> None:
    with pytest.raises(DecodeError, match="3 of 3 points have a timestamp more than 10 s from the stamp"):
        offsets("timestamp", "<f8", [(STAMP_NS / 1e9 + 60) * 1e3] * 3)


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize("name", ["t", "timestamp"])
@pytest.mark.parametrize(("scale", "unit"), [(1e3, "ms"), (1e6, "us"), (1e9, "ns")])
@pytest.mark.parametrize("sign", [1, -1])
def test_another_unit_than_seconds_is_named(kind: str, name: str, scale: float, unit: str, sign: int) -> None:
    with pytest.raises(DecodeError, match=f"{name} spans .*, which would be 0.0999 s in {unit} from the stamp"):
        offsets(name, kind, [sign * scale * seconds for seconds in (0.00002, 0.05, 0.09995)])


def test_what_has_no_position_does_not_decide() -> None:
    """An all-zero point has time 0 in most drivers, which is no time since the epoch."""
    seconds = [STAMP_NS / 1e9, 0.0, 0.0]
    found = offsets("timestamp", "<f8", seconds, placed=(1.0, 0.0, 0.0))
    assert abs(found[0]) <= 239 and found[1:] == [0, 0]


def test_a_cloud_of_one_instant_is_not_an_integer_in_disguise() -> None:
    assert offsets("time", "<f4", [0.0, 0.0, 0.0]) == [0, 0, 0]


def test_integers_come_before_floats_and_other_kinds_do_not_count() -> None:
    assert time_column(["timestamp", "offset_time"], ["f", "u"]) == 1
    assert time_column(["t", "time"], ["f", "f"]) == 0
    assert time_column(["timestamp", "time"], ["u", "i"]) is None
    assert time_column([], []) is None


@pytest.mark.parametrize(("kind", "late"), [("<i4", None), ("<u4", 2**32 - 1), ("<i4", -(2**31))])
def test_integers_are_bounded_by_their_type_below_ten_seconds(kind: str, late: int | None) -> None:
    """32 bits of nanoseconds reach 4.3 s: no time in them is too far from the stamp."""
    values = OFFSETS_NS if late is None else [*OFFSETS_NS[:2], late]
    assert offsets("t", kind, values) == values
