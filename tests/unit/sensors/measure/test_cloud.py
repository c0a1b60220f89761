"""Measurements of points against a loop over them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_points
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud, point_fields
from sensors.measure.baseline import content_hash
from sensors.measure.cloud import SECTOR_DEG, SECTORS, measure_lidar, measure_radar

POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1"), ("ring", "<u2")])
VALUES = st.sampled_from([0.0, 1.5, -3.0, math.nan, math.inf, 1e25, 1e-30]) | st.floats(-200, 200, width=32)
POINTS = st.lists(st.tuples(VALUES, VALUES, VALUES, st.integers(0, 255), st.integers(0, 40)), max_size=30)


def cloud(points: npt.NDArray[np.void]) -> PointCloud:
    return decode_points(encode_points(1, "lidar", point_fields(points.dtype), points))


@given(POINTS)
def test_a_sweep_is_counted_as_by_a_loop(rows: list[tuple[float, ...]]) -> None:
    points = np.array(rows, dtype=POINT)
    found = measure_lidar(cloud(points), cloud(points).xyz_m())
    returns = []
    no_return = not_finite = 0
    for point in points:
        x, y, z = (float(point[name]) for name in "xyz")
        if not all(map(math.isfinite, (x, y, z))):
            not_finite += 1
        elif x == y == z == 0:
            no_return += 1
        else:
            returns.append(point)
    assert (found.points, found.no_return, found.not_finite, found.returns) == (len(rows), no_return, not_finite, len(returns))
    assert sum(found.sector_returns) == len(returns)
    assert len(found.sector_returns) == SECTORS
    if not returns:
        assert (found.intensity, found.ring_returns) == (None, None)
        return
    assert found.intensity == pytest.approx(np.mean([float(point["intensity"]) for point in returns]))
    assert found.ring_returns is not None
    counted = {ring: count for ring, count in enumerate(found.ring_returns) if count}
    assert counted == {ring: sum(int(point["ring"]) == ring for point in returns) for ring in {int(p["ring"]) for p in returns}}


def test_sectors_begin_at_the_back_and_turn_left() -> None:
    middles = np.radians(-180 + SECTOR_DEG * (np.arange(SECTORS) + 0.5))
    points = np.zeros(SECTORS, dtype=POINT)
    points["x"], points["y"] = 10 * np.cos(middles), 10 * np.sin(middles)
    found = measure_lidar(cloud(points), cloud(points).xyz_m())
    assert found.sector_returns == (1,) * SECTORS
    one = measure_lidar(cloud(points[:1]), cloud(points[:1]).xyz_m())
    assert one.sector_returns[0] == 1


def test_a_cloud_without_the_fields_says_that_it_does_not_know() -> None:
    points = np.ones(3, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    found = measure_lidar(cloud(points), cloud(points).xyz_m())
    assert (found.intensity, found.ring_returns) == (None, None)
    odd = np.ones(3, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<f4")])
    odd["ring"] = (1.0, -1.0, np.nan)
    assert measure_lidar(cloud(odd), cloud(odd).xyz_m()).ring_returns is None


def test_states_of_a_radar_are_read_where_they_are() -> None:
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ambig_state", "i1"), ("invalid_state", "i1")]
    scan = np.zeros(4, dtype=kinds)
    scan["ambig_state"], scan["invalid_state"] = (3, 3, 1, 3), (0, 4, 5, 0)
    assert measure_radar(cloud(scan)).suspect == 2
    assert measure_radar(cloud(scan[["x", "y", "z", "invalid_state"]].astype(kinds[:3] + kinds[4:]))).suspect == 2
    assert measure_radar(cloud(np.zeros(4, dtype=kinds[:3]))).suspect is None
    assert measure_radar(cloud(np.zeros(0, dtype=kinds))).detections == 0


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_content_tells_payloads_apart(one: bytes, other: bytes) -> None:
    assert (content_hash(one) == content_hash(memoryview(other))) == (one == other)
    assert 0 <= content_hash(one) < 2**63


def test_returns_near_the_lidar_are_counted_apart() -> None:
    points = np.zeros(6, dtype=POINT)
    points["x"] = [0.0, 0.01, 0.2, 0.31, 5.0, math.nan]
    points["y"][3] = 0.01
    found = measure_lidar(cloud(points), cloud(points).xyz_m())
    assert (found.points, found.returns, found.near, found.distant) == (6, 4, 2, 2)


@pytest.mark.parametrize(("spread_m", "expected"), [(0.0, 0.0), (0.001, 0.0017), (0.15, 0.26)])
def test_the_spread_of_returns_is_known_where_they_are_in_few_sectors(spread_m: float, expected: float) -> None:
    points = np.zeros(5000, dtype=POINT)
    offsets = np.random.default_rng(1).normal(0, spread_m, (3, 5000))
    points["x"], points["y"], points["z"] = 12 + offsets[0], 1 + offsets[1], offsets[2]
    assert measure_lidar(cloud(points), cloud(points).xyz_m()).spread_m == pytest.approx(expected, rel=0.05)
    turned = np.linspace(0, np.radians(20), 5000)
    points["x"], points["y"] = 12 * np.cos(turned), 12 * np.sin(turned)
    assert measure_lidar(cloud(points), cloud(points).xyz_m()).spread_m is None
