"""A radar's yaw from range rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.encode import encode_points
from sensors.calibration.doppler import RadarScan, radar_yaw, range_rates
from sensors.calibration.result import Estimate, Unobservable
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud, point_fields

SPEED_M_S = 10.0


def scan(rng: np.random.Generator, yaw_error_deg: float, heading_deg: float = 0.0, movers: int = 8, still: int = 30) -> RadarScan:
    """What stands still and what moves; the radar is declared turned by `yaw_error_deg` from where it is."""
    azimuth = rng.uniform(-1.0, 1.0, still + movers)
    declared = math.radians(heading_deg)
    true = declared + math.radians(yaw_error_deg)  # in the true frame the velocity points further left
    rate = -SPEED_M_S * np.cos(azimuth - true) + rng.normal(0, 0.05, still + movers)
    rate[still:] += rng.uniform(2, 15, movers) * rng.choice([-1, 1], movers)
    return RadarScan(azimuth, rate, (SPEED_M_S * math.cos(declared), SPEED_M_S * math.sin(declared)))


@settings(max_examples=20, deadline=None)
@given(st.floats(-20, 20), st.floats(-180, 180))
def test_a_known_yaw_is_found_among_traffic(error_deg: float, heading_deg: float) -> None:
    rng = np.random.default_rng(0)
    found = radar_yaw([scan(rng, error_deg, heading_deg) for _ in range(10)])
    assert isinstance(found, Estimate)
    assert found.error == pytest.approx(error_deg, abs=0.2)
    assert found.uncertainty < 0.5


def test_a_standing_or_blocked_radar_is_not_judged() -> None:
    rng = np.random.default_rng(0)
    slow = [RadarScan(np.linspace(-1, 1, 30), np.zeros(30), (1.0, 0.0)) for _ in range(20)]
    assert radar_yaw(slow) == Unobservable("0 of 20 scans show what stands still from a moving vehicle, fewer than 6", 0, 0)
    assert isinstance(radar_yaw([scan(rng, 0.0, still=4, movers=0)] * 20), Unobservable)
    traffic = [RadarScan(np.linspace(-1, 1, 30), rng.uniform(-20, 20, 30), (SPEED_M_S, 0.0)) for _ in range(20)]
    assert isinstance(radar_yaw(traffic), Unobservable)
    assert isinstance(radar_yaw([]), Unobservable)


def cloud(**columns: list[float]) -> PointCloud:
    dtype = np.dtype([(name, "<f4") for name in columns])
    points = np.zeros(len(next(iter(columns.values()))), dtype=dtype)
    for name, values in columns.items():
        points[name] = values
    return decode_points(encode_points(1, "radar", point_fields(dtype), points))


def test_range_rates_are_read_by_name_or_made_of_components() -> None:
    place = {"x": [3.0, 0.0, 0.0], "y": [4.0, 2.0, 0.0], "z": [0.0, 0.0, 0.0]}
    named = range_rates(cloud(**place, range_rate=[-5.0, 1.0, 7.0]))
    parts = range_rates(cloud(**place, vx=[-3.0, 0.0, 7.0], vy=[-4.0, 1.0, 7.0]))
    assert named is not None and parts is not None
    for azimuth, rate in (named, parts):  # the third has no direction
        assert azimuth == pytest.approx([math.atan2(4, 3), math.pi / 2])
        assert rate == pytest.approx([-5.0, 1.0])
    assert range_rates(cloud(**place)) is None
