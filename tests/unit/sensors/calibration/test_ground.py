"""A lidar against the ground, on roads of known shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.calibration.ground import GroundPlane, against_ground, ground_plane
from sensors.calibration.result import Estimate, Quantity, Unobservable

AHEAD = (1.0, 0.0)


def road(rng: np.random.Generator, noise_m: float = 0.02, count: int = 12_000) -> np.ndarray:
    x, y = rng.uniform(-25, 25, count), rng.uniform(-25, 25, count)
    return np.column_stack([x, y, rng.normal(0.0, noise_m, count)])


def tilted(points: np.ndarray, pitch_deg: float, roll_deg: float, up_m: float = 0.0) -> np.ndarray:
    """As a calibration shows them that declares the lidar turned by this, and higher by `up_m`."""
    p, r = np.radians([pitch_deg, roll_deg])
    turn_y = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    return points @ (turn_y @ turn_x).T + [0, 0, up_m]


def over_places(points: np.ndarray, forward: tuple[float, float] = AHEAD, places: int = 8) -> dict[Quantity, object]:
    plane = ground_plane(points, forward, 0)
    assert plane is not None
    planes = [GroundPlane(plane.rise_forward, plane.rise_left, plane.height_m, plane.cells, at) for at in range(places)]
    return dict(against_ground(planes, 0.0))


@settings(max_examples=30, deadline=None)
@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(-0.5, 0.5))
def test_tilt_and_height_of_a_flat_road_are_found(pitch_deg: float, roll_deg: float, up_m: float) -> None:
    found = over_places(tilted(road(np.random.default_rng(0)), pitch_deg, roll_deg, up_m))
    for quantity, expected, near in (
        (Quantity.GROUND_PITCH, pitch_deg, 0.03),
        (Quantity.GROUND_ROLL, roll_deg, 0.08),
        (Quantity.GROUND_HEIGHT, up_m, 0.015),
    ):
        estimate = found[quantity]
        assert isinstance(estimate, Estimate)
        assert estimate.error == pytest.approx(expected, abs=near)


def test_kerbs_cars_and_the_other_half_of_the_road_do_not_count() -> None:
    rng = np.random.default_rng(1)
    points = road(rng)
    points[points[:, 1] > 5.0, 2] += 0.15  # pavement
    points[points[:, 1] < -5.0, 2] += (points[points[:, 1] < -5.0, 1] + 5.0) * 0.05  # falls away
    car = (np.abs(points[:, 0] - 12.0) < 2.5) & (np.abs(points[:, 1]) < 1.0)
    points[car, 2] = rng.uniform(0.2, 1.6, np.count_nonzero(car))
    stray = rng.integers(0, len(points), 60)
    points[stray, 2] = -1.0
    found = over_places(points)
    assert abs(found[Quantity.GROUND_PITCH].error) < 0.05  # type: ignore[attr-defined]
    assert abs(found[Quantity.GROUND_ROLL].error) < 0.1  # type: ignore[attr-defined]


def test_pitch_is_about_the_way_the_vehicle_goes() -> None:
    points = tilted(road(np.random.default_rng(2)), 1.0, 0.0)
    turned = points[:, [1, 0, 2]] * [-1, 1, 1]  # an ego frame with x right and y forward
    found = over_places(turned, (0.0, 1.0))
    assert found[Quantity.GROUND_PITCH].error == pytest.approx(1.0, abs=0.05)  # type: ignore[attr-defined]
    assert found[Quantity.GROUND_ROLL].error == pytest.approx(0.0, abs=0.1)  # type: ignore[attr-defined]


def test_hills_are_in_the_uncertainty() -> None:
    slopes = np.radians([1.5, -1.5, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0])
    planes = [GroundPlane(float(slope), 0.0, 0.0, 200, place) for place, slope in enumerate(slopes)]
    hilly = against_ground(planes, 0.0)[Quantity.GROUND_PITCH]
    flat = against_ground([GroundPlane(0.0, 0.0, 0.0, 200, place) for place in range(8)], 0.0)[Quantity.GROUND_PITCH]
    assert isinstance(hilly, Estimate) and isinstance(flat, Estimate)
    assert hilly.uncertainty > 1.0 > flat.uncertainty == pytest.approx(0.2)


def test_one_place_says_nothing_however_often_it_is_seen() -> None:
    found = against_ground([GroundPlane(0.02, 0.0, 0.0, 200, 3)] * 50, 0.0)
    assert found[Quantity.GROUND_PITCH] == Unobservable(
        "50 of 50 sweeps show a ground plane, in 1 places, fewer than 8", 50, 10_000
    )


def test_a_rig_that_does_not_say_where_the_ground_is_has_no_height() -> None:
    planes = [GroundPlane(0.0, 0.0, -1.8, 200, place) for place in range(8)]
    assert isinstance(against_ground(planes, None)[Quantity.GROUND_HEIGHT], Unobservable)
    assert isinstance(against_ground(planes, None)[Quantity.GROUND_PITCH], Estimate)


@pytest.mark.parametrize(
    "points", [np.empty((0, 3)), np.full((500, 3), 9.0), np.random.default_rng(3).uniform(-20, 20, (400, 3))]
)
def test_without_a_road_there_is_no_plane(points: np.ndarray) -> None:
    assert ground_plane(points, AHEAD, 0) is None
