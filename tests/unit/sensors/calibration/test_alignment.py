"""A camera against a lidar, in a world of boards that both see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensors.calibration.alignment import QUANTITIES, View, align, camera_turn
from sensors.calibration.image_edges import edge_maps
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_edges import LidarEdges
from sensors.calibration.result import Estimate, Quantity, Unobservable
from sensors.rig import Intrinsics

LENS = Lens(Intrinsics(640, 360, 457.0, 457.0, 319.5, 179.5), 1)


def boards(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of grey boards, and points on their four sides in the camera frame."""
    rng = np.random.default_rng(seed)
    image, points = np.full((360, 640), 128, dtype=np.uint8), []
    for column in range(6):
        left, top = 30 + 100 * column + rng.integers(0, 30), rng.integers(20, 200)
        right, bottom = left + rng.integers(30, 50), top + rng.integers(60, 120)
        image[top:bottom, left:right] = rng.choice([20, 60, 200, 240])
        depth = rng.uniform(5.0, 30.0)
        sides = [(u, v) for u in (left - 0.5, right - 0.5) for v in np.arange(top + 3, bottom - 3, 6.0)]
        sides += [(u, v) for v in (top - 0.5, bottom - 0.5) for u in np.arange(left + 3, right - 3, 4.0)]
        points += [((u - 319.5) / 457.0 * depth, (v - 179.5) / 457.0 * depth, depth) for u, v in sides]
    return image, np.array(points)


def views(turn_deg: tuple[float, float, float], count: int = 4) -> list[View]:
    """As a calibration shows them that declares the camera turned by this (roll, pitch, yaw) from where it is."""
    found = []
    for place in range(count):
        image, points = boards(place)
        seen = points @ camera_turn(turn_deg)  # the inverse, on the right
        kind = np.full(len(seen), 4, dtype=np.uint8)
        found.append(View(LidarEdges(seen, kind), edge_maps(image, 457.0), place))
    return found


def driven(turn_deg: tuple[float, float, float], late_s: float, count: int = 8) -> list[View]:
    """As `views`, from a vehicle that passes the boards sideways and turns, with images so much older than their stamps say."""
    rng = np.random.default_rng(5)
    found = []
    for view in views(turn_deg, count):
        velocity, turn = (
            np.array([rng.uniform(4.0, 9.0), 0.0, rng.uniform(0.0, 3.0)]),
            np.array([0.0, rng.uniform(-0.1, 0.1), 0.0]),
        )
        shown = replace(view, velocity_m_s=velocity, turn_rad_s=turn)
        found.append(shown.after(late_s))
    return found


@pytest.mark.parametrize("late_s", [0.025, -0.025, 0.04])
def test_a_late_image_is_not_taken_for_one_of_a_turned_camera(late_s: float) -> None:
    found = align(driven((0, 0, 0), late_s), LENS)
    yaw, time_ms = found[Quantity.CAMERA_YAW], found[Quantity.CAMERA_TIME]
    assert isinstance(yaw, Estimate)
    assert isinstance(time_ms, Estimate)
    assert time_ms.error == pytest.approx(late_s * 1e3, abs=3.0)
    assert time_ms.proven > 5.0
    assert yaw.proven == 0.0
    assert abs(yaw.error) < 0.15


def test_a_turned_camera_is_not_taken_for_a_late_one() -> None:
    found = align(driven((0, 0, 0.8), 0.0), LENS)
    yaw, time_ms = found[Quantity.CAMERA_YAW], found[Quantity.CAMERA_TIME]
    assert isinstance(yaw, Estimate)
    assert isinstance(time_ms, Estimate)
    assert yaw.error == pytest.approx(0.8, abs=0.15)
    assert yaw.proven > 0.3
    assert time_ms.proven < 5.0


def test_both_errors_are_told_apart() -> None:
    found = align(driven((0, 0, -0.6), 0.03), LENS)
    yaw, time_ms = found[Quantity.CAMERA_YAW], found[Quantity.CAMERA_TIME]
    assert isinstance(yaw, Estimate)
    assert isinstance(time_ms, Estimate)
    assert (yaw.error, time_ms.error) == (pytest.approx(-0.6, abs=0.2), pytest.approx(30.0, abs=5.0))


def test_time_is_not_measured_where_nothing_is_in_doubt_or_nothing_moves() -> None:
    assert Quantity.CAMERA_TIME not in align(driven((0, 0, 0), 0.0), LENS)
    assert Quantity.CAMERA_TIME not in align(views((0, 0, 0.8)), LENS)


def test_edges_pass_by_as_the_vehicle_moves() -> None:
    (view,) = views((0, 0, 0), 1)
    moved = replace(view, velocity_m_s=np.array([1.0, 0.0, 2.0]), turn_rad_s=np.array([0.0, 0.1, 0.0])).after(0.5)
    x, y, z = view.edges.points_m.T
    np.testing.assert_allclose(moved.edges.points_m, np.column_stack([x - 0.5 * (1.0 + 0.1 * z), y, z - 0.5 * (2.0 - 0.1 * x)]))


@pytest.mark.parametrize("turn_deg", [(0, 0, 0), (0, 0, 0.5), (0, 0, -2.5), (0, 0.5, 0), (0.7, 0, 0), (-0.5, 0.4, 1.0)])
def test_a_known_turn_is_found(turn_deg: tuple[float, float, float]) -> None:
    found = align(views(turn_deg), LENS)
    for quantity, expected in zip(QUANTITIES, turn_deg, strict=True):
        estimate = found[quantity]
        assert isinstance(estimate, Estimate)
        assert estimate.error == pytest.approx(expected, abs=0.1 if quantity is Quantity.CAMERA_ROLL else 0.05)
        assert estimate.uncertainty < 0.4
        assert estimate.frames == 4


def test_the_same_input_gives_the_same_digits() -> None:
    assert align(views((0, 0, 0.5)), LENS) == align(views((0, 0, 0.5)), LENS)


def test_images_of_something_else_show_no_turn() -> None:
    right = views((0, 0, 0), 6)
    wrong = [View(view.edges, right[(at + 1) % 6].maps, view.place) for at, view in enumerate(right)]
    assert all(isinstance(found, Unobservable) for found in align(wrong, LENS).values())


def test_grey_images_show_no_turn() -> None:
    grey = edge_maps(np.full((360, 640), 99, dtype=np.uint8), 457.0)
    blind = [View(view.edges, grey, view.place) for view in views((0, 0, 0))]
    for quantity, found in align(blind, LENS).items():
        assert isinstance(found, Unobservable), (quantity, found)


def test_an_error_beyond_the_search_is_not_measured() -> None:
    found = align(views((0, 0, 9.0)), LENS)[Quantity.CAMERA_YAW]
    assert isinstance(found, Unobservable)


def test_few_edges_or_few_places_are_not_evidence() -> None:
    none = align([], LENS)
    assert none[Quantity.CAMERA_YAW] == Unobservable("0 edge points in 0 places, fewer than 150 or 8", 0, 0)
    (view,) = views((0, 0, 0), 1)
    narrow = np.abs(view.edges.points_m[:, 0] / view.edges.points_m[:, 2]) < 0.2
    few = View(LidarEdges(view.edges.points_m[narrow], view.edges.kind[narrow]), view.maps, 0)
    assert isinstance(align([few] * 10, LENS)[Quantity.CAMERA_YAW], Unobservable)


def test_turns_are_rotations_about_the_bodys_axes() -> None:
    forward, left, up = np.array([0, 0, 1.0]), np.array([-1.0, 0, 0]), np.array([0, -1.0, 0])
    quarter = 90.0
    assert camera_turn((0, 0, quarter)) @ forward == pytest.approx(left)
    assert camera_turn((0, quarter, 0)) @ forward == pytest.approx(-up)
    assert camera_turn((quarter, 0, 0)) @ left == pytest.approx(up)
    turned = camera_turn(np.array([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]]))
    assert turned @ np.swapaxes(turned, 1, 2) == pytest.approx(np.tile(np.eye(3), (2, 1, 1)))
    assert np.array_equal(turned[1], np.eye(3))
